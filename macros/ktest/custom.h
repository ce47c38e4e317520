/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Work of the test's own: what a function of KT_CUSTOM may call. It runs in the worker, which is a
 * process, or a thread with .threads. It must return soon after kt_custom_stopping() is true.
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_custom; /* the calling worker; valid until the function returns */

/** kt_custom_stopping() - whether the function must return now; to be called often */
bool kt_custom_stopping(const struct kt_custom *worker);

/** kt_custom_done() - counts one iteration of the worker as done */
void kt_custom_done(struct kt_custom *worker);

/** kt_custom_spin() - executes @n pause instructions; returns early if the worker must stop */
void kt_custom_spin(struct kt_custom *worker, unsigned int n);

/**
 * kt_custom_sleep_us() - sleeps for @us microseconds
 *
 * Records as a latency how late the worker woke up. Returns early if the worker must stop.
 */
void kt_custom_sleep_us(struct kt_custom *worker, unsigned int us);

/**
 * kt_custom_block(), kt_custom_unblock() - enclose a wait of the worker's own, such as poll(2)
 *
 * Time between the two calls does not count as waiting for a CPU, nor as a gap in the report.
 */
void kt_custom_block(struct kt_custom *worker);
void kt_custom_unblock(struct kt_custom *worker);

/** kt_custom_latency() - records a wake-up latency of @ns nanoseconds in the worker's report */
void kt_custom_latency(struct kt_custom *worker, uint64_t ns);

/** kt_custom_arg() - the member .arg of the worker's struct kt_work */
uint64_t kt_custom_arg(const struct kt_custom *worker);

/** kt_custom_index() - the index of the worker within its group, from 0 */
unsigned int kt_custom_index(const struct kt_custom *worker);

/** kt_custom_random() - a random 64-bit number; the sequence depends on the test's seed only */
uint64_t kt_custom_random(struct kt_custom *worker);

#ifdef __cplusplus
}
#endif
