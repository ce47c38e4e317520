/* SPDX-License-Identifier: MIT */
#pragma once
/* A private buffer for bodies that work on memory. */

#include <stddef.h>

#include "guest/worker/type.h"

/*
 * Maps @kib KiB of zeroes without any page behind them. The first write to each page faults, one 4
 * KiB page at a time, because huge pages are switched off. Ends the worker's process
 * (kt_worker_fail()) without memory.
 */
char *kt_buffer_map(const struct kt_worker *worker, unsigned int kib);

/* @kib is that of the mapping. */
void kt_buffer_unmap(char *buffer, unsigned int kib);

/* Adds 1 to one byte in every @stride bytes; ticks. Returns early when the worker is to stop. */
void kt_buffer_stride(struct kt_worker *worker, char *buffer, unsigned int kib,
		      unsigned int stride);
