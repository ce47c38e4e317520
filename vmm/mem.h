/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Guest-physical memory, seen from outside while the guest runs or stands still.
 *
 * There are two shapes, and one interface: RAM in a file that this process maps too, and RAM that
 * only the machine's own process has (a copy-on-write restore), reached with process_vm_readv(2).
 * Every access is checked against the RAM that there is; nothing else can be read or written.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define KT_MEM_REGIONS_MAX 64u

/* A piece of RAM: where the guest has it, and where it is. */
struct kt_mem_region {
	uint64_t gpa; /* guest-physical address */
	uint64_t len;
	uint64_t host; /* address in this process, or in the other one */
};

struct kt_mem {
	pid_t pid;     /* the process that has it; 0 for this one */
	void *mapping; /* to be unmapped; NULL when there is none */
	size_t mapping_len;
	size_t n_regions;
	struct kt_mem_region regions[KT_MEM_REGIONS_MAX]; /* by gpa, apart from one another */
};

#define KT_MEM_NULL ((struct kt_mem){ .n_regions = 0 })

/*
 * The layout of RAM in guests of QEMU's q35: all of it from 0, or when it is larger than 2.75 GiB
 * the first 2 GiB from 0 and the rest from 4 GiB (qemu: hw/i386/pc_q35.c).
 */
struct kt_mem_layout {
	uint64_t low_len;  /* from 0 */
	uint64_t high_len; /* from KT_MEM_HIGH */
};

#define KT_MEM_HIGH (UINT64_C(1) << 32)

struct kt_mem_layout kt_mem_layout(uint64_t ram_len);

/* Maps the file that is all of a guest's RAM. */
int kt_mem_map_file(struct kt_mem *mem, int ram_fd, uint64_t ram_len, struct kt_err *reterr);

/*
 * Finds the mappings that the process @pid has of the file @ram_fd, which together are all of a
 * guest's RAM.
 */
int kt_mem_find_in_process(struct kt_mem *mem, pid_t pid, int ram_fd, uint64_t ram_len,
			   struct kt_err *reterr);

void kt_mem_deinit(struct kt_mem *mem);

/* -EFAULT, with the address, for any byte that is not RAM; then nothing is copied. */
int kt_mem_read(const struct kt_mem *mem, uint64_t gpa, void *to, size_t len,
		struct kt_err *reterr);
int kt_mem_write(const struct kt_mem *mem, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr);
