/* SPDX-License-Identifier: MIT */
#pragma once
/* Work of the test's own: what a KT_CUSTOM function may do in its worker. */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_custom; /* the worker */

/** kt_custom_stopping() - whether the function is to return; look often */
bool kt_custom_stopping(const struct kt_custom *worker);

/** kt_custom_done() - one iteration is done */
void kt_custom_done(struct kt_custom *worker);

/** kt_custom_spin() - @n pauses of the CPU, or fewer when it is to stop */
void kt_custom_spin(struct kt_custom *worker, unsigned int n);

/** kt_custom_sleep_us() - sleeps, and measures how late it woke up */
void kt_custom_sleep_us(struct kt_custom *worker, unsigned int us);

/**
 * kt_custom_block(), kt_custom_unblock() - around what the worker waits for by itself
 *
 * What is between them does not count as waiting for a CPU.
 */
void kt_custom_block(struct kt_custom *worker);
void kt_custom_unblock(struct kt_custom *worker);

/** kt_custom_latency() - records a wake-up that took @ns nanoseconds */
void kt_custom_latency(struct kt_custom *worker, uint64_t ns);

/** kt_custom_arg() - the .arg of the work */
uint64_t kt_custom_arg(const struct kt_custom *worker);

/** kt_custom_index() - which worker of its group this is, from 0 */
unsigned int kt_custom_index(const struct kt_custom *worker);

/** kt_custom_random() - a random number, reproducible from the test's seed */
uint64_t kt_custom_random(struct kt_custom *worker);

#ifdef __cplusplus
}
#endif
