/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The image: all files that the guests of a run can have. They are this program as /init, the
 * libraries that it needs, and what the run adds.
 *
 * The files are divided into base files, which every guest has, and packages, which only some tests
 * need. A guest gets them in two ways: a guest that boots has the base files in its initramfs; a
 * guest that is restored from a template has the template's files, and what differs from the image
 * is sent to it. Files of packages are always sent, never in the initramfs. Files of a template
 * that the test does not need are removed before it runs: a test sees the same files however its
 * guest came about.
 *
 * A manifest tells which files a guest has: a JSON object that maps the path of each file to the
 * mode and hash of its contents.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/err.h"
#include "vmm/link.h"

/* A file to be added to the image, with the libraries that it needs. Paths are absolute. */
struct kt_image_extra {
	const char *host;
	const char *guest;
};

struct kt_image_package {
	const char *name; /* for errors about its files */
	const struct kt_image_extra *extras;
	size_t n_extras; /* may be 0 */
};

#define KT_IMAGE_PACKAGES_MAX 1024u

/* A set of packages, a bit each. Base files belong to every set, also to the empty one. */
struct kt_packages {
	uint64_t words[KT_IMAGE_PACKAGES_MAX / 64];
};

#define KT_PACKAGES_NONE ((struct kt_packages){ .words = { 0 } })

/* @index is below KT_IMAGE_PACKAGES_MAX. */
static inline void kt_packages_add(struct kt_packages *set, size_t index)
{
	set->words[index / 64] |= UINT64_C(1) << index % 64;
}

static inline void kt_packages_add_all(struct kt_packages *set, const struct kt_packages *more)
{
	for (size_t i = 0; i < KT_IMAGE_PACKAGES_MAX / 64; i++)
		set->words[i] |= more->words[i];
}

static inline bool kt_packages_overlap(const struct kt_packages *a, const struct kt_packages *b)
{
	for (size_t i = 0; i < KT_IMAGE_PACKAGES_MAX / 64; i++) {
		if (a->words[i] & b->words[i])
			return true;
	}
	return false;
}

static inline bool kt_packages_equal(const struct kt_packages *a, const struct kt_packages *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* What an image is made of. All is borrowed until kt_image_open() returns. */
struct kt_image_options {
	const char *program;                 /* the ELF file that becomes /init */
	const struct kt_image_extra *extras; /* further base files */
	size_t n_extras;
	const struct kt_image_package *packages;
	size_t n_packages; /* at most KT_IMAGE_PACKAGES_MAX */
};

struct kt_image;

/*
 * Finds, reads and hashes the files. An error names the file, or the library that is missing. A
 * fault of a package is not an error: see kt_image_package_fault().
 */
int kt_image_open(const struct kt_image_options *options, struct kt_image **ret_image,
		  struct kt_err *reterr);

/* Frees the image. Returns NULL, to be stored by the caller. */
struct kt_image *kt_image_free(struct kt_image *image);
void kt_image_freep(struct kt_image **image);

/*
 * What is wrong with the package number @index: a file of it cannot be read, needs a library that
 * is nowhere, or is to be in the place of another file. Owned by @image; NULL when nothing is.
 */
const char *kt_image_package_fault(const struct kt_image *image, size_t index);

/* The path of the program on the host, without symbolic links. Owned by @image. */
const char *kt_image_program(const struct kt_image *image);

/*
 * Opens the initramfs with the base files for reading. It is in the cache, under a name that is
 * made from its contents, and is written if it is not there. *@ret_fd stays valid when the file is
 * removed from the cache. Without a cache that can be written it is made in memory.
 */
int kt_image_initramfs(const struct kt_image *image, int *ret_fd, struct kt_err *reterr);

/*
 * A new manifest of the base files and of the files of @packages. @before, if not NULL, is the
 * manifest of the guest to which they are sent: its other files are included. NULL when out of
 * memory.
 */
json_t *kt_image_manifest(const struct kt_image *image, struct kt_packages packages,
			  const json_t *before);

/*
 * Whether a guest with the files of @manifest lacks a base file or a file of @packages, or has it
 * with another mode or other contents.
 */
bool kt_image_differs(const struct kt_image *image, struct kt_packages packages,
		      const json_t *manifest);

/* The bytes that kt_image_send_changes() would send; @manifest NULL: to a guest without files. */
uint64_t kt_image_bytes(const struct kt_image *image, struct kt_packages packages,
			const json_t *manifest);

/*
 * Sends the files that differ from @manifest as FILE frames. If /init is among them, the caller
 * sends EXEC afterwards. Returns 0, -ENOMEM, or -ENAMETOOLONG for a path that FILE cannot hold.
 */
int kt_image_send_changes(const struct kt_image *image, struct kt_packages packages,
			  const json_t *manifest, struct kt_link *link, struct kt_err *reterr);

/*
 * Sends one REMOVE frame with the files of @manifest that are neither base files nor files of
 * @packages; nothing when there are none. Returns 0, -ENOMEM, or -EMSGSIZE when the paths do not
 * fit into a frame.
 */
int kt_image_send_removals(const struct kt_image *image, struct kt_packages packages,
			   const json_t *manifest, struct kt_link *link, struct kt_err *reterr);
