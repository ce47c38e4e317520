/* SPDX-License-Identifier: MIT */
#pragma once
/* PID 1 of the guest: the same binary as the runner on the host, started as /init. */

#include <stdbool.h>

#include <ktest/test.h>

/* Set on the kernel command line, so that it reaches PID 1 as an environment variable. */
#define KT_GUEST_VARIABLE "KTEST_GUEST"

/* Whether this process is PID 1 of a guest. PID 1 of a container lacks KT_GUEST_VARIABLE. */
bool kt_guest_is_me(void);

/* Sets up the guest, runs what the host asks for, one test of @tests or a shell, and powers off. */
__attribute__((noreturn)) void kt_guest_main(const struct kt_test_node *tests);
