/* SPDX-License-Identifier: MIT */
#pragma once
/* Becoming small and quiet, before the machine is saved as a template. */

/*
 * Gives back what the boot has left: drops caches, overwrites free memory with zeroes so that the
 * host can make holes of it, and waits until what runs after a boot has run.
 */
void kt_settle(void);
