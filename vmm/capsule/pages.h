/* SPDX-License-Identifier: MIT */
#pragma once
/* The pages in which a machine's RAM differs from the RAM that it began with. */

#include "vmm/mem.h"

/* @page lies at @offset of the RAM file. Returns 0, or a negative errno, which ends the walk. */
typedef int (*kt_pages_fn)(void *data, uint64_t offset, const uint8_t *page);

/*
 * Calls @fn for each page of @mem that differs from the one at the same offset of the file
 * @base_fd, in ascending order. @base_fd -1: for each page that is not all zeroes. The machine must
 * stand still. Returns 0, what @fn returned, or another negative errno.
 */
int kt_pages_differ(const struct kt_mem *mem, int base_fd, kt_pages_fn fn, void *data,
		    struct kt_err *reterr);
