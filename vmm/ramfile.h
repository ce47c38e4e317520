/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The file that is a guest's RAM: whole pages of 4 KiB, sparse, with holes where nothing but zeroes is.
 */

#include <stdint.h>

/*
 * A hash of the contents, and how many bytes are in pages that are not zero. It does not depend on
 * where the file has holes, so a copy that fills them has the same.
 */
int kt_ramfile_hash(int fd, uint64_t *ret_hash, uint64_t *ret_used);

/*
 * Makes holes of all pages that are zero: they take no disk, and no memory in a machine that is
 * restored. A file system without holes keeps them.
 */
void kt_ramfile_punch(int fd);

/* Copies the contents, and the length, to an empty file; holes stay holes. */
int kt_ramfile_copy(int from, int to);
