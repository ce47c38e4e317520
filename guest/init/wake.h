/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Makes a restored guest differ from other guests of the same image: its own random numbers, and
 * the time of day.
 */

#include "util/err.h"
#include "wire/message.h"

/*
 * Before the image is made: opens what kt_wake() needs. Returns a descriptor, or a negative errno.
 */
int kt_wake_prepare(struct kt_err *reterr);

/*
 * Corrects the clock, and seeds the random pool, from which boot_id is made when it is first read.
 */
void kt_wake(int fd, const struct kt_msg_wake *wake);
