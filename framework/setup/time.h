/* SPDX-License-Identifier: MIT */
#pragma once
/* Whose time a test's machine has, and how fast its vCPUs are in virtual time. */

#include "framework/setup/setup.h"

/*
 * Virtual if machines are emulated, the run does not ask for real time, and the guest is not a
 * shell, whose input comes when a person types it.
 */
enum kt_time kt_setup_default_time(const struct kt_setup *setup);

/* The same, unless the test asks for real time. */
enum kt_time kt_setup_time(const struct kt_setup *setup, const struct kt_test *test);

/* Whether the course of the test's machine follows from the seed alone. */
bool kt_setup_is_repeatable(const struct kt_setup *setup, const struct kt_test *test);

/*
 * An instruction takes 2^n ns in virtual time, and the vCPUs share the instructions: the largest n
 * with which each of @vcpus busy vCPUs executes at least @mips million a second, 0..10. @mips 0:
 * 60, but 125 for one vCPU.
 */
unsigned int kt_setup_insn_shift(unsigned int vcpus, unsigned int mips);

/*
 * Million instructions per virtual second of the test's machine, all vCPUs together; 0 if it has
 * real time.
 */
unsigned int kt_setup_mips(const struct kt_setup *setup, const struct kt_test *test);

/* How vCPUs take turns in a test whose random numbers have this seed. */
struct kt_turns kt_setup_turns(const struct kt_setup *setup, uint64_t seed);

/*
 * How long the host waits for the test's result by kt_machine_clock_ns(): the limit of the test
 * itself or, where the guest's clock decides, the CPU time that no test needs within its limit.
 */
uint64_t kt_setup_patience_ns(const struct kt_setup *setup, const struct kt_test *test);

/* How many CPUs of the host the test's machine can use: its vCPUs, or one in virtual time. */
unsigned int kt_setup_threads(const struct kt_setup *setup, const struct kt_test *test);

/* The factor for limits and patience of the test: 1 in virtual time. */
double kt_setup_multiplier(const struct kt_setup *setup, const struct kt_test *test);
