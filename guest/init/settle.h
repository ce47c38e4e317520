/* SPDX-License-Identifier: MIT */
#pragma once
/* Makes the guest small and idle before the machine is saved as a template. */

/*
 * Drops caches, zeroes free memory, which the host then stores as holes, and waits until the CPUs
 * are idle, at most 3 s. Errors are ignored: they only make the template larger.
 */
void kt_settle(void);
