/* SPDX-License-Identifier: MIT */
#pragma once
/* Tells the host where the vCPUs are, while the guest waits for it: see vmm/qemu/whereabouts.h. */

#include <stdint.h>

/* @fd: the file that is shared with the host. Without it nothing is told. */
void kt_place_init(int fd);

/*
 * The vCPUs stand from here on. @bell: where the instruction was translated that this vCPU is
 * executing.
 */
void kt_place_tell(uint64_t bell);

/* They may run again. */
void kt_place_hide(void);
