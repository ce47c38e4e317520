/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Facts of a test: what its declaration means once the defaults are filled in. Both sides ask the
 * test itself for them; none depends on the host or on the options of a run.
 */

#include <stdbool.h>
#include <stdint.h>

#include <ktest/test.h>

/*
 * The topology; a scheduler's own one fills what the test leaves out. Default: 1 LLC with 2 cores.
 */
struct kt_topology kt_test_topology(const struct kt_test *test);

/* The number of CPUs in that topology. */
unsigned int kt_test_vcpus(const struct kt_test *test);

/* The duration in ms that fractions of holds refer to. Default: 2000. */
unsigned int kt_test_duration_ms(const struct kt_test *test);

/* The guest's RAM in MiB. Default: 512. */
unsigned int kt_test_memory_mib(const struct kt_test *test);

/* The host memory in MiB that a machine of the test needs: the guest's RAM and the VMM's own. */
unsigned int kt_test_machine_mib(const struct kt_test *test);

/* The bytes that files brought by the test may take in the guest, which keeps them in its RAM. */
uint64_t kt_test_files_max(const struct kt_test *test);

/* Whether both tests can run in machines of one template. */
bool kt_test_same_machine(const struct kt_test *a, const struct kt_test *b);
