/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The guest's physical memory, read and written from outside, whether the guest runs or is paused.
 *
 * The RAM of a machine is either a file that this process maps too, or private memory of the
 * machine's process (after a copy-on-write restore), which is reached with process_vm_readv(2). The
 * functions here treat both alike. They check every access against the guest's RAM: no address of
 * the guest can make them touch anything else.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define KT_MEM_REGIONS_MAX 64u /* QEMU needs one per NUMA node, and one for the hole */

/* A contiguous piece of the guest's RAM. */
struct kt_mem_region {
	uint64_t gpa;    /* guest-physical address */
	uint64_t len;    /* bytes; not 0 */
	uint64_t host;   /* virtual address in the process @pid of struct kt_mem */
	uint64_t offset; /* in the RAM file */
};

/* One copy of a batch. */
struct kt_mem_piece {
	uint64_t gpa;
	void *data; /* where the bytes go to, or come from */
	size_t len;
};

struct kt_mem {
	pid_t pid;          /* the process that maps the RAM; 0 for this one */
	void *mapping;      /* of this process, owned; NULL: none */
	size_t mapping_len; /* bytes */
	int ram_fd;         /* the RAM file, owned while there are regions */
	size_t n_regions;   /* at most KT_MEM_REGIONS_MAX */
	struct kt_mem_region regions[KT_MEM_REGIONS_MAX]; /* sorted by gpa, disjoint */
};

#define KT_MEM_NULL ((struct kt_mem){ .n_regions = 0 })

/*
 * Where a guest of QEMU's q35 machine has its RAM. Less than 2.75 GiB begin at address 0. Of more,
 * the first 2 GiB begin at 0 and the rest at 4 GiB (qemu: hw/i386/pc_q35.c).
 */
struct kt_mem_layout {
	uint64_t low_len;  /* bytes from address 0 on */
	uint64_t high_len; /* bytes from KT_MEM_HIGH on */
};

#define KT_MEM_HIGH (UINT64_C(1) << 32)

/* Returns the layout of @ram_len bytes of RAM. */
struct kt_mem_layout kt_mem_layout(uint64_t ram_len);

/* Maps the file @ram_fd, which holds all @ram_len bytes of a guest's RAM. 0 or a negative errno. */
int kt_mem_map_file(struct kt_mem *mem, int ram_fd, uint64_t ram_len, struct kt_err *reterr);

/*
 * Finds the mappings of the file @ram_fd in the process @pid. Together they must cover all @ram_len
 * bytes of a guest's RAM: -ENXIO otherwise, -E2BIG for more than KT_MEM_REGIONS_MAX pieces.
 */
int kt_mem_find_in_process(struct kt_mem *mem, pid_t pid, int ram_fd, uint64_t ram_len,
			   struct kt_err *reterr);

/*
 * The RAM is a private map of the file @ram_fd, at @host in the process @pid, which may be this
 * one. 0 or a negative errno.
 */
int kt_mem_of_map(struct kt_mem *mem, pid_t pid, const void *host, int ram_fd, uint64_t ram_len,
		  struct kt_err *reterr);

/* Unmaps what kt_mem_map_file() mapped; @mem is KT_MEM_NULL then. */
void kt_mem_deinit(struct kt_mem *mem);

/*
 * Copy @len bytes from or to the guest-physical address @gpa. Return 0, or a negative errno with an
 * error that names the address: -EFAULT when one of the bytes is not RAM, and nothing is copied
 * then.
 */
int kt_mem_read(const struct kt_mem *mem, uint64_t gpa, void *to, size_t len,
		struct kt_err *reterr);
int kt_mem_write(const struct kt_mem *mem, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr);

/* The pieces in as few system calls as possible; nothing is copied when one of them is not RAM. */
int kt_mem_readv(const struct kt_mem *mem, const struct kt_mem_piece *pieces, size_t n,
		 struct kt_err *reterr);
int kt_mem_writev(const struct kt_mem *mem, const struct kt_mem_piece *pieces, size_t n,
		  struct kt_err *reterr);

/*
 * Finds the first bytes at or above @gpa that may be other than zero: data of the RAM file, and
 * pages of the machine's own. Returns 0, or -ENXIO when there are none.
 */
int kt_mem_data(const struct kt_mem *mem, uint64_t gpa, uint64_t *ret_gpa, uint64_t *ret_len);
