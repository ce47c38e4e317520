/* SPDX-License-Identifier: MIT */
#pragma once
/* The beginning and the end of a file: what a report shows of a payload's output. */

#include <stddef.h>

/* A file of at most so many lines and bytes is shown whole, else half of that from either end. */
#define KT_EXCERPT_LINES 80u
#define KT_EXCERPT_BYTES 8192u

/*
 * Reads an excerpt of the file @fd: it is whole lines where these are shorter than half of
 * KT_EXCERPT_BYTES, with a line between the two parts that says how many bytes are left out. To be
 * freed; *@ret_len bytes with a NUL behind. NULL when out of memory, or when the file cannot be
 * read.
 */
char *kt_excerpt_read(int fd, size_t *ret_len);
