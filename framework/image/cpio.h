/* SPDX-License-Identifier: MIT */
#pragma once
/* Writes the archive format of an initramfs: cpio "newc" (kernel: driver-api/early-userspace). */

#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

struct kt_cpio {
	FILE *out; /* not owned */
	uint32_t inode;
	uint64_t written;
};

#define KT_CPIO_INIT(file) ((struct kt_cpio){ .out = (file), .inode = 1 })

/*
 * Paths are absolute, as in the guest; parents must have been written before. All return 0 or a
 * negative errno; -EFBIG for a file that the format's 32-bit size cannot hold.
 */
int kt_cpio_dir(struct kt_cpio *cpio, const char *path, unsigned int mode);
int kt_cpio_file(struct kt_cpio *cpio, const char *path, unsigned int mode, const void *data,
		 uint64_t len);
int kt_cpio_char_device(struct kt_cpio *cpio, const char *path, unsigned int mode,
			unsigned int major, unsigned int minor);

/* The end marker. */
int kt_cpio_end(struct kt_cpio *cpio);
