/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The files of a guest: this program as /init, the libraries it needs, and files that are asked for.
 * Packages are files that only some guests need; they are not in the initramfs, but always sent. A guest
 * may have more than it needs.
 *
 * A guest that boots gets them as an initramfs; one that is restored from a template has most of them
 * already and is sent those that differ.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/link.h"

/* A file to pack besides; a program's libraries come along. */
struct kt_image_extra {
	const char *host;
	const char *guest;
};

struct kt_image_package {
	const char *name; /* put before the errors of its files */
	const struct kt_image_extra *extras;
	size_t n_extras;
};

/*
 * A set of packages is a number, the sum of these for those in it; what is no package's is always
 * meant. Of more than 64 packages some come together.
 */
static inline uint64_t kt_image_package_bit(size_t index)
{
	return UINT64_C(1) << index % 64;
}

struct kt_image_options {
	const char *program; /* the ELF file to pack as /init */
	const struct kt_image_extra *extras;
	size_t n_extras;
	const struct kt_image_package *packages;
	size_t n_packages;
};

struct kt_image;

/* Finds, reads and hashes the files. An error names the file, or the library that is missing. */
int kt_image_open(const struct kt_image_options *options, struct kt_image **ret_image,
		  struct kt_err *reterr);
struct kt_image *kt_image_free(struct kt_image *image);
void kt_image_freep(struct kt_image **image);

/* The path of the program, without symbolic links. */
const char *kt_image_program(const struct kt_image *image);

/*
 * The initramfs, without packages, written to the cache or found there: the same contents have the same name. *@ret_fd
 * is open for reading and good whatever becomes of the cache.
 */
int kt_image_initramfs(const struct kt_image *image, int *ret_fd, struct kt_err *reterr);

/*
 * Paths and hashes of the files of @packages, besides those of @before, the manifest of a guest that
 * they are sent to; NULL: of none. A new object, NULL when out of memory.
 */
json_t *kt_image_manifest(const struct kt_image *image, uint64_t packages, const json_t *before);

/* Whether a guest with the files of @manifest lacks one of @packages, or has it with other contents. */
bool kt_image_differs(const struct kt_image *image, uint64_t packages, const json_t *manifest);

/* How much kt_image_send_changes() has to send. */
uint64_t kt_image_bytes(const struct kt_image *image, uint64_t packages, const json_t *manifest);

/* Sends those that differ as FILE frames; EXEC is up to the caller. */
int kt_image_send_changes(const struct kt_image *image, uint64_t packages, const json_t *manifest,
			  struct kt_link *link, struct kt_err *reterr);
