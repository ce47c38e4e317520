/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The address space of a guest's kernel: virtual addresses become physical ones.
 *
 * The kernel's image and its direct map of all RAM are linear and need no page table. Everything
 * else (vmalloc, modules, BPF maps) is walked, with 4 or 5 levels and pages of 4 KiB, 2 MiB and
 * 1 GiB. Errors are as in inspect.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/ram.h"

/* Linux: arch/x86/include/asm/page_64_types.h */
#define KT_START_KERNEL_MAP UINT64_C(0xffffffff80000000)

#define KT_SPACE_PAGE    4096u
#define KT_SPACE_PAGES   256u /* translations that are remembered */
#define KT_SPACE_TABLES  16u  /* pages of page tables that are remembered */
#define KT_SPACE_ENTRIES 512u /* of one page table */

struct kt_space_page {
	uint64_t kva; /* first byte; 0: nothing */
	uint64_t gpa;
	uint64_t len;
};

struct kt_space_table {
	uint64_t gpa; /* 0: nothing */
	uint64_t entries[KT_SPACE_ENTRIES];
};

/* Whoever has one sets the first members, and leaves the rest zero. */
struct kt_space {
	struct kt_ram *ram;
	uint64_t root;       /* physical address of the table of the highest level */
	unsigned int levels; /* 4 or 5 */
	uint64_t sme_mask;   /* bits of an entry that are not part of the address */
	uint64_t image;      /* virtual address of the kernel's image */
	uint64_t image_len;
	uint64_t phys_base;   /* of KT_START_KERNEL_MAP, modulo 2^64 */
	uint64_t page_offset; /* where the direct map begins; 0: not known yet */
	struct kt_space_page pages[KT_SPACE_PAGES];
	struct kt_space_table tables[KT_SPACE_TABLES];
};

/* Forgets what it remembers of page tables. */
void kt_space_refresh(struct kt_space *space);

bool kt_space_is_kernel(const struct kt_space *space, uint64_t kva);

/* The physical address of a byte, and how many bytes from there on are contiguous, at least 1. */
int kt_space_translate(struct kt_space *space, uint64_t kva, uint64_t *ret_gpa, uint64_t *ret_len,
		       struct kt_err *reterr);

/* Copy the pieces, all or none. */
int kt_space_readv(struct kt_space *space, const struct kt_inspect_piece *pieces, size_t n,
		   struct kt_err *reterr);
int kt_space_writev(struct kt_space *space, const struct kt_inspect_piece *pieces, size_t n,
		    struct kt_err *reterr);
int kt_space_read(struct kt_space *space, uint64_t kva, void *to, size_t len,
		  struct kt_err *reterr);
