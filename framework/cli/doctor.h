/* SPDX-License-Identifier: MIT */
#pragma once
/* "doctor": what this host can run tests with, and which command mends what it lacks. */

#include "framework/cli/exit_status.h"
#include "framework/options/options.h"

/*
 * Prints a line for each thing that tests need: the processor, memory, QEMU, kernels, the cache,
 * limits. Returns KT_EXIT_STATUS_OK when tests can run, KT_EXIT_STATUS_HARNESS when they cannot.
 */
enum kt_exit_status kt_doctor_command(const struct kt_options *options);
