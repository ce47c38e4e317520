/* SPDX-License-Identifier: MIT */
#pragma once
/* What a machine needs of the host and of its own memory, and how long it may take to boot. */

#include "framework/setup/setup.h"

/*
 * How long the machine of @test may take from its start to HELO: --boot-timeout, or a default that
 * grows with the number of vCPUs, the accelerator and --timeout-multiplier.
 */
uint64_t kt_setup_boot_limit_ns(const struct kt_setup *setup, const struct kt_test *test);

/*
 * After how long what should take @limit_ns counts as hung. In virtual time a session has deadlines
 * of its own, which count the machine's CPU time; this one is in real time, and is generous.
 */
uint64_t kt_setup_hang_limit_ns(const struct kt_setup *setup, const struct kt_test *test,
				uint64_t limit_ns);

/*
 * The least memory in MiB with which @kernel boots the machine of @test and unpacks the initramfs;
 * what the test itself uses comes on top. It is an estimate that is a few MiB above what a boot was
 * measured to need.
 */
unsigned int kt_setup_least_mib(const struct kt_setup *setup, const struct kt_kernel *kernel,
				const struct kt_test *test);

/*
 * Why the machine of @test cannot be started: its .memory_mib is below kt_setup_least_mib(), or
 * more than the host has. The text is to be freed; NULL when the machine can be started.
 */
char *kt_setup_machine_fault(const struct kt_setup *setup, const struct kt_kernel *kernel,
			     const struct kt_test *test);
