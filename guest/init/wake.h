/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Makes a restored guest differ from other guests of the same image: its own random numbers, and
 * the time of day.
 */

#include "util/err.h"
#include "wire/message.h"

/*
 * Opens what kt_wake() needs, before the image is saved, so that a restored guest need not. Returns
 * a descriptor, or a negative errno.
 */
int kt_wake_prepare(struct kt_err *reterr);

/*
 * Sets the clock and seeds the kernel's random pool with the data in @wake.
 * /proc/sys/kernel/random/boot_id differs between guests as well, because the kernel makes it when
 * it is first read. @fd is from kt_wake_prepare().
 */
void kt_wake(int fd, const struct kt_msg_wake *wake);
