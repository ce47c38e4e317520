/* SPDX-License-Identifier: MIT */
#pragma once
/* Memory that a worker works on. */

#include <stddef.h>

#include "guest/worker/type.h"

/*
 * @kib KiB of zeroes that no page is behind yet: each page is a fault of its own, never of a huge
 * one. The worker ends when there is no room for them.
 */
char *kt_buffer_map(const struct kt_worker *worker, unsigned int kib);

void kt_buffer_unmap(char *buffer, unsigned int kib);

/* Adds 1 to a byte of it every @stride bytes, or to fewer when the worker is to stop. */
void kt_buffer_stride(struct kt_worker *worker, char *buffer, unsigned int kib,
		      unsigned int stride);
