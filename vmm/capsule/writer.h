/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes a capsule. The file appears under its name complete or not at all, whatever process is
 * killed meanwhile: it is written as a stage beside its name, which is locked as long as the writer
 * lives, and then renamed.
 */

#include "vmm/capsule/info.h"
#include "vmm/mem.h"
#include "vmm/registers.h"

/* All borrowed. */
struct kt_capsule_spec {
	const char *path;
	const struct kt_capsule_info *info;
	const struct kt_registers *vcpus;
	unsigned int n_vcpus;
	int state_fd;             /* what kt_machine_save_devices() has written */
	const struct kt_mem *mem; /* of the machine, which stands still */
	int base_fd;              /* RAM of the template; -1: the capsule has all pages */
	uint64_t max_bytes;       /* a longer file is not written */
};

struct kt_capsule_size {
	uint64_t file_len; /* bytes */
	uint64_t n_pages;
};

/*
 * Writes the capsule, in place of an older one with its name. Returns 0, -EFBIG with an error that
 * says how long the file would be, or another negative errno.
 */
int kt_capsule_write(const struct kt_capsule_spec *spec, struct kt_capsule_size *ret_size,
		     struct kt_err *reterr);

/*
 * Removes the stages in the directory @dir whose writers were killed. Returns how many; @ret_bytes,
 * if not NULL, gets their size on disk.
 */
unsigned int kt_capsule_sweep(const char *dir, uint64_t *ret_bytes);

/*
 * Removes capsules of @dir, the oldest first, until they take at most @max_bytes of disk or one is
 * left.
 */
void kt_capsule_prune(const char *dir, uint64_t max_bytes);

/* What the names of capsules end with. */
#define KT_CAPSULE_SUFFIX ".capsule"
