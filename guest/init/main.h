/* SPDX-License-Identifier: MIT */
#pragma once
/* PID 1 of the guest. */

#include <stdbool.h>

#include <ktest/test.h>

/* Set on the kernel command line, so that it reaches PID 1 as an environment variable. */
#define KT_GUEST_VARIABLE "KTEST_GUEST"

/* Whether this process is PID 1 of a guest, and not of a container. */
bool kt_guest_is_me(void);

/* Mounts, reports to the host, does what it is told, powers off. */
__attribute__((noreturn)) void kt_guest_main(const struct kt_test_node *tests);
