/* SPDX-License-Identifier: MIT */
#pragma once
/* A vCPU that waits for the host in the middle of a block, so that the machine stands still. */

#include <stdbool.h>

/* @fd is an eventfd of the host's: readable while it wants the machine to stop. */
void kt_stand_init(int fd);

/*
 * Waits until @fd has something to read (-1: for ever). Returns 0, or -EAGAIN when the host wants
 * the machine to stop before: the vCPU has to leave guest code, and may wait again when it is back.
 */
int kt_stand_wait(int fd);

/*
 * Waits for the same, no longer than @ms milliseconds of the host's time. Returns whether @fd has
 * something to read.
 */
bool kt_stand_poll(int fd, int ms);
