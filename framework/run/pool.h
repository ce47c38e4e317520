/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The pool: machines that are restored ahead of their turn and wait for the vCPUs of their test.
 *
 * Restoring needs one CPU, so it fills a gap that is too small for the next test. A machine of
 * the pool is an attempt whose job is warm; the pool has no list of its own. --pool bounds their
 * number.
 */

#include "framework/run/run.h"

/*
 * Lets the waiting machines begin, in the order of their start, as far as the budget has their
 * vCPUs. True when none has to go on waiting; nothing that comes later in the queue may start
 * otherwise. False too when the run is stopping.
 */
bool kt_pool_hand_out(struct kt_run *run);

/*
 * Takes the item that @at, a link of the queue, leads to, and starts to restore its machine.
 * False, and the item stays, when the pool is full, the budget has no CPU to spare, the group has
 * no template, or the output is not captured.
 */
bool kt_pool_warm_up(struct kt_run *run, struct kt_item **at);

/* Kills the waiting machines of a run that is stopping; their items go back into the queue. */
void kt_pool_discard(struct kt_run *run);
