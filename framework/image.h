/* SPDX-License-Identifier: MIT */
#pragma once
/* The initramfs: this program as /init, the libraries it needs, and files that are asked for. */

#include <stddef.h>

#include "util/err.h"

/* A file to pack besides; a program's libraries come along. */
struct kt_image_extra {
	const char *host;
	const char *guest;
};

struct kt_image_options {
	const char *program; /* the ELF file to pack as /init */
	const struct kt_image_extra *extras;
	size_t n_extras;
};

/*
 * Builds the image, or finds it in the cache: the same contents have the same name. *@ret_fd is
 * open for reading and good whatever becomes of the cache.
 */
int kt_image_build(const struct kt_image_options *options, int *ret_fd, struct kt_err *reterr);
