/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The file that is a guest's RAM: whole pages of 4 KiB, sparse. A page of zeroes may be a hole.
 * Functions that return int return 0 or a negative errno.
 */

#include <stdint.h>

/*
 * Hashes the contents (XXH3), and counts the bytes in pages that are not zero. A hole and a page of
 * zeroes hash alike, so a copy that has filled the holes has the same hash. -EINVAL when the length
 * of the file is not a multiple of a page.
 */
int kt_ramfile_hash(int fd, uint64_t *ret_hash, uint64_t *ret_used);

/*
 * Turns all pages of zeroes into holes, which take no disk, and no memory in a restored machine. On
 * a file system without holes the pages stay; that is not an error.
 */
void kt_ramfile_punch(int fd);

/* Copies contents and length of @from to the empty file @to; holes stay holes. */
int kt_ramfile_copy(int from, int to);
