/* SPDX-License-Identifier: MIT */
#pragma once
/* The kernels that tests run on: found by path, build tree or version, and prepared for booting. */

#include <stddef.h>

#include "framework/kernel/image.h"

/*
 * A kernel that can be booted. In the cache a kernel is a directory with the files
 * - vmlinuz: the bzImage;
 * - vmlinux: extracted from it;
 * - btf: the BTF of the vmlinux;
 * - meta.json: struct kt_kernel_facts; it is written last;
 * - modules/ and config (the .config): only of downloaded kernels, where the archive has them.
 */
struct kt_kernel {
	char *dir;     /* in the cache; NULL: a vmlinux that is used where it is */
	char *boot;    /* file to boot: the vmlinux if that can be booted, else the bzImage */
	int use_fd;    /* keeps @dir from being pruned while this is open; -1: none */
	char *vmlinux; /* for symbols and BTF */
	char *config;  /* file with its configuration; NULL: there is none */
	struct kt_kernel_facts facts;
	const char *spec;      /* what the user asked for; NULL: the default. Borrowed */
	char *label;           /* of NAME[LABEL] where there are several kernels; else NULL */
	char *virtual_cmdline; /* the same for machines with virtual time */
	char *cmdline; /* the kernel command line of this run; NULL until setup has made it */
};

#define KT_KERNEL_NULL ((struct kt_kernel){ .use_fd = -1, .facts = KT_KERNEL_FACTS_NULL })

void kt_kernel_deinit(struct kt_kernel *kernel);

/*
 * Finds the kernel that @spec names: the path of a bzImage, a vmlinux, a build tree or a directory
 * of the cache, or else a version as in kt_kernel_version_matches(). NULL is the default: the
 * newest kernel of the cache whose sched_ext BTF is consistent, or the newest if there is none.
 *
 * -ENOENT when there is no such kernel; -ENOTSUP when it cannot run tests, with the reason. A
 * bzImage is copied to the cache and prepared there, once for each version of the file.
 */
int kt_kernel_resolve(const char *spec, struct kt_kernel *ret_kernel, struct kt_err *reterr);

/*
 * Completes the directory @dir, which has a vmlinuz: extracts the vmlinux and the BTF, reads the
 * facts, writes meta.json. To be called on a stage, before that is published in the cache. The
 * errors do not name the kernel: the caller knows what the user calls it.
 */
int kt_kernel_prepare(const char *dir, struct kt_kernel_facts *ret_facts, struct kt_err *reterr);

/* Reads a directory that kt_kernel_prepare() has completed. Does not check what tests need. */
int kt_kernel_load(const char *dir, struct kt_kernel *ret_kernel, struct kt_err *reterr);

/*
 * The configuration that belongs to the user's own @kernel: .config of a build tree, which holds
 * vmlinux and arch/x86/boot/bzImage, or config-VERSION beside vmlinuz-VERSION. To be freed; NULL
 * when there is none that can be read.
 */
char *kt_kernel_find_config(const char *kernel);

/*
 * Lists the releases of the kernels in the cache, newest first, as a NULL-terminated vector for
 * kt_kernel_list_free(). Copies of the user's own bzImages are not listed.
 */
int kt_kernel_list(char ***ret_releases, struct kt_err *reterr);
void kt_kernel_list_free(char **releases);

/*
 * Whether @release is a release of the version @wanted, which is its beginning up to a point where
 * a number ends: "7.0" matches 7.0 and 7.0.13, but not 7.01.
 */
bool kt_kernel_version_matches(const char *release, const char *wanted);
