/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Facts of a test: what its declaration asks for, with the defaults filled in.
 *
 * Every function is pure: it reads the declaration and nothing else. The host sizes machines by
 * these facts and the guest runs by them, so each fact is computed here and nowhere else.
 */

#include <stdint.h>

#include <ktest/test.h>

/*
 * The topology of @test. A field that the test leaves 0 comes from its .scheduler. If all fields
 * are still 0, the machine has 1 NUMA node, 1 LLC, 2 cores and 1 thread. If only some are set, llcs
 * and cores may stay 0, which kt_validate() reports.
 */
struct kt_topology kt_test_topology(const struct kt_test *test);

/* The vCPUs of the test's machine: all CPUs of its topology. */
unsigned int kt_test_vcpus(const struct kt_test *test);

/* How long the scenario lasts, in milliseconds; 2000 by default. */
unsigned int kt_test_duration_ms(const struct kt_test *test);

/* The RAM of the guest in MiB; 512 by default. */
unsigned int kt_test_memory_mib(const struct kt_test *test);

/* The host memory that the machine takes, in MiB: the guest's RAM and 64 MiB for QEMU itself. */
unsigned int kt_test_machine_mib(const struct kt_test *test);

/* How many bytes of files the guest can hold: half of its RAM, because the initramfs is in RAM. */
uint64_t kt_test_files_max(const struct kt_test *test);
