/* SPDX-License-Identifier: MIT */
#pragma once
/* Kernels to test: found by path, build tree or version, and kept in the cache ready to boot. */

#include <stddef.h>

#include "framework/kernel/image.h"

/*
 * A kernel ready to boot. In the cache each is a directory: vmlinuz (unless only a vmlinux was
 * given), vmlinux, btf, meta.json, and for downloaded ones modules/ where the archive has them.
 */
struct kt_kernel {
	char *dir;     /* in the cache; NULL for a vmlinux that is used where it lies */
	char *boot;    /* file to boot: the vmlinux if it has a PVH entry, else the bzImage */
	char *vmlinux; /* for symbols and BTF; NULL when it could not be extracted */
	struct kt_kernel_facts facts;
	const char *spec; /* what was asked for; NULL: the default. Borrowed */
	char *label;      /* in the names of tests, where there are several; else NULL */
};

#define KT_KERNEL_NULL ((struct kt_kernel){ .facts = KT_KERNEL_FACTS_NULL })

void kt_kernel_deinit(struct kt_kernel *kernel);

/*
 * Finds the kernel that @spec names: a bzImage, a vmlinux, a build tree, or the (beginning of the)
 * version of a cached one. NULL is the default: the newest cached one whose sched_ext BTF is
 * consistent, else the newest. A kernel that cannot run tests is refused with the reason.
 */
int kt_kernel_resolve(const char *spec, struct kt_kernel *ret_kernel, struct kt_err *reterr);

/*
 * Fills the directory @dir from its vmlinuz: extracts the vmlinux, reads the facts, writes
 * meta.json. For those that bring new kernels into the cache.
 */
int kt_kernel_prepare(const char *dir, struct kt_kernel_facts *ret_facts, struct kt_err *reterr);

/* Loads a prepared directory. */
int kt_kernel_load(const char *dir, struct kt_kernel *ret_kernel, struct kt_err *reterr);

/* The names of the cached kernels, newest first: a NULL-terminated vector, each to be freed. */
int kt_kernel_list(char ***ret_releases, struct kt_err *reterr);
void kt_kernel_list_free(char **releases);

/* Whether @release is the version that @wanted asks for: "7.0" means 7.0.x, all of it itself. */
bool kt_kernel_version_matches(const char *release, const char *wanted);
