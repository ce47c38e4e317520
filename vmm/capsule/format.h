/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The file of a capsule: a header, the info (JSON), the state of the devices, and chunks of pages.
 * Each part follows the one before it without a gap, and has a hash, so that every byte of the file
 * is checked. Numbers are little-endian.
 *
 * The state is the number of vCPUs (4 bytes), a struct kt_registers for each, and the state of the
 * devices. A chunk's contents are its page numbers, KT_CAPSULE_CHUNK_PAGES of 4 bytes at most, and
 * then the pages in the same order. Page numbers ascend through all chunks; a page that is in none
 * is that of the template, or of zeroes if the capsule has no template.
 */

#include <stdint.h>

#include "vmm/registers.h"

#define KT_CAPSULE_MAGIC   "KTCAPSUL"
#define KT_CAPSULE_VERSION 1u

#define KT_CAPSULE_PAGE_LEN    4096u
#define KT_CAPSULE_CHUNK_PAGES 256u
#define KT_CAPSULE_CHUNK_MAX   (KT_CAPSULE_CHUNK_PAGES * (KT_CAPSULE_PAGE_LEN + 4u)) /* bytes */
#define KT_CAPSULE_INFO_MAX    (256u << 10)                                          /* bytes */
#define KT_CAPSULE_STATE_MAX   (64u << 20) /* bytes; less than 1 MiB is usual */
#define KT_CAPSULE_MIB_MAX     (1u << 22)  /* of a guest's RAM */
#define KT_CAPSULE_VCPUS_MAX   4096u

struct kt_capsule_header {
	char magic[8];
	uint32_t version;
	uint32_t info_len;
	uint64_t file_len; /* of the whole file */
	uint64_t info_hash;
	uint32_t state_len;    /* unpacked */
	uint32_t state_packed; /* in the file (zstd) */
	uint64_t state_hash;   /* of the bytes in the file, as all hashes */
	uint32_t n_chunks;
	uint32_t n_pages; /* in all chunks */
	uint64_t hash;    /* of the members before */
};

_Static_assert(sizeof(struct kt_capsule_header) == 64, "the format of a file");

/* Registers are stored as they are in memory: a change of the struct is one of the format. */
_Static_assert(sizeof(struct kt_registers) == 232, "the format of a file");

struct kt_capsule_chunk {
	uint32_t n_pages; /* 1..KT_CAPSULE_CHUNK_PAGES */
	uint32_t packed;  /* bytes that follow (zstd) */
	uint64_t hash;    /* of them; the seed is the first 8 bytes of this struct */
};

_Static_assert(sizeof(struct kt_capsule_chunk) == 16, "the format of a file");
