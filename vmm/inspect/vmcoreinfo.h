/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * VMCOREINFO: a text in which the kernel tells tools like crash(8) where its memory is (Linux:
 * kernel/vmcore_info.c). It lies in a page of its own, and once more in a note for kdump.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/ram.h"

#define KT_VMCOREINFO_MAX 4096u /* bytes; the kernel's buffer is one page */

/* What is used of it. Addresses are virtual unless it says otherwise. */
struct kt_vmcoreinfo {
	char release[65];
	char build_id[41];
	uint64_t kernel_offset; /* by which KASLR has moved the image */
	uint64_t phys_base;     /* modulo 2^64: it may be negative */
	uint64_t root;          /* init_top_pgt */
	unsigned int levels;
	uint64_t sme_mask; /* bits of page table entries that are not part of the address */
	uint64_t image_len;
	uint64_t stext;
	uint64_t names, num_syms, token_table, token_index, offsets; /* of kallsyms */
	uint64_t relative_base;                                      /* 0 from Linux 7.0 on */
};

/*
 * Parses a text that a NUL or the end of @len bytes ends. -EAGAIN when it lacks something: the
 * kernel is still writing it, or it is another text. -EPROTO when a value is malformed.
 */
int kt_vmcoreinfo_parse(const char *text, size_t len, struct kt_vmcoreinfo *ret_info,
			struct kt_err *reterr);

/*
 * Called for each text that parses, with the physical address of its page. 1: this is the one. A
 * negative errno: it is not, and why, which @reterr of the search tells.
 */
typedef int (*kt_vmcoreinfo_fn)(void *data, uint64_t gpa, const struct kt_vmcoreinfo *info,
				struct kt_err *reterr);

/*
 * Searches the RAM, the pages in @hints first. Returns 0, -EAGAIN when there is no text yet, or
 * what is wrong with the one there is.
 */
int kt_vmcoreinfo_find(struct kt_ram *ram, const uint64_t *hints, size_t n_hints,
		       kt_vmcoreinfo_fn fn, void *data, struct kt_err *reterr);
