/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes a cpio archive in the format "newc", which the kernel unpacks as its initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */

#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

struct kt_cpio {
	FILE *out;        /* not owned */
	uint32_t inode;   /* number of the next entry */
	uint64_t written; /* bytes so far; entries are aligned by it */
};

#define KT_CPIO_INIT(file) ((struct kt_cpio){ .out = (file), .inode = 1 })

/*
 * Write one entry each. Paths are absolute paths in the guest; the directory of an entry must have
 * been written before. Owner and group are root. Return 0, a negative errno of the write, or -EFBIG
 * for a file whose size does not fit into the format's 32 bits.
 */
int kt_cpio_dir(struct kt_cpio *cpio, const char *path, unsigned int mode);
int kt_cpio_file(struct kt_cpio *cpio, const char *path, unsigned int mode, const void *data,
		 uint64_t len);
int kt_cpio_char_device(struct kt_cpio *cpio, const char *path, unsigned int mode,
			unsigned int major, unsigned int minor);

/* Writes the entry that ends the archive. Flushing is up to the caller. */
int kt_cpio_end(struct kt_cpio *cpio);
