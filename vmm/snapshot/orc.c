/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/orc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/types.h"

/*
 * Three tables belong together (arch/x86/kernel/unwind_orc.c): the addresses of instructions,
 * sorted, each as its distance from its own place in the table; the entries for them; and for each
 * block of 256 bytes of text the index of the address at which it begins. So a block bounds the
 * search, and what is read for one instruction is a few hundred bytes.
 *
 * All sleeping tasks have the same few frames at the top, so the entries that were found are kept
 * for the life of the object.
 */

#define BLOCK     256u /* bytes of text: LOOKUP_BLOCK_SIZE */
#define BLOCK_MAX 512u /* addresses of one block that are looked at; 256 can be there */
#define N_MAX     (16u << 20)
#define CACHE     1024u /* a power of two */

struct known {
	uint64_t ip; /* 0: free */
	struct kt_orc_entry entry;
};

struct kt_orc {
	struct kt_inspect *inspect;
	uint64_t ips, entries, blocks; /* where the tables begin */
	uint64_t n, n_blocks;          /* of the first two; of the last */
	uint64_t text_begin, text_end; /* _stext, _etext */
	enum kt_orc_numbers numbers;
	struct known cache[CACHE];
};

static const enum kt_orc_reg REGISTERS[KT_ORC_N_NUMBERS][16] = {
	[KT_ORC_NUMBERS_OLD] = { KT_ORC_UNDEFINED, KT_ORC_PREV_SP, KT_ORC_DX, KT_ORC_DI, KT_ORC_BP,
				 KT_ORC_SP, KT_ORC_R10, KT_ORC_R13, KT_ORC_BP_INDIRECT,
				 KT_ORC_SP_INDIRECT, KT_ORC_BAD, KT_ORC_BAD, KT_ORC_BAD, KT_ORC_BAD,
				 KT_ORC_BAD, KT_ORC_BAD },
	[KT_ORC_NUMBERS_NEW] = { KT_ORC_UNDEFINED, KT_ORC_AX, KT_ORC_DX, KT_ORC_SP, KT_ORC_BP,
				 KT_ORC_DI, KT_ORC_R10, KT_ORC_R13, KT_ORC_PREV_SP,
				 KT_ORC_SP_INDIRECT, KT_ORC_BP_INDIRECT, KT_ORC_BAD, KT_ORC_BAD,
				 KT_ORC_BAD, KT_ORC_BAD, KT_ORC_BAD },
};

struct kt_orc_entry kt_orc_decode(enum kt_orc_numbers numbers,
				  const uint8_t bytes[KT_ORC_ENTRY_LEN])
{
	const enum kt_orc_reg *registers = REGISTERS[numbers];

	return (struct kt_orc_entry){
		.sp_offset = (int16_t)(bytes[0] | bytes[1] << 8),
		.bp_offset = (int16_t)(bytes[2] | bytes[3] << 8),
		.sp_reg = registers[bytes[4] & 15],
		.bp_reg = registers[bytes[4] >> 4],
		.type = bytes[5] & 7,
		.signal = bytes[5] >> 3 & 1,
	};
}

/* Whether struct orc_entry has a member here. */
static bool has(struct kt_inspect *inspect, const char *name, uint32_t offset, uint8_t shift,
		uint8_t bits)
{
	struct kt_member member;

	if (!kt_inspect_has_member(inspect, "struct orc_entry", name, &member))
		return false;
	return member.offset + member.bit_shift / 8u == offset + shift / 8u &&
	       member.bit_shift % 8u == shift % 8u && member.bit_size == bits;
}

static int check_layout(struct kt_inspect *inspect, struct kt_err *reterr)
{
	struct kt_inspect *i = inspect;

	if (has(i, "sp_offset", 0, 0, 0) && has(i, "bp_offset", 2, 0, 0) &&
	    has(i, "sp_reg", 4, 0, 4) && has(i, "bp_reg", 4, 4, 4) && has(i, "type", 4, 8, 3) &&
	    has(i, "signal", 4, 11, 1))
		return 0;
	return kt_err_set(reterr, -ENOTSUP, "struct orc_entry of this kernel has another layout");
}

static int find_tables(struct kt_orc *orc, struct kt_err *reterr)
{
	struct kt_inspect *inspect = orc->inspect;
	uint64_t entries_end, blocks_end;
	int r = kt_inspect_symbol(inspect, "__start_orc_unwind_ip", &orc->ips, reterr) ?:
		kt_inspect_symbol(inspect, "__start_orc_unwind", &orc->entries, reterr) ?:
		kt_inspect_symbol(inspect, "__stop_orc_unwind", &entries_end, reterr) ?:
		kt_inspect_symbol(inspect, "orc_lookup", &orc->blocks, reterr) ?:
		kt_inspect_symbol(inspect, "orc_lookup_end", &blocks_end, reterr) ?:
		kt_inspect_symbol(inspect, "_stext", &orc->text_begin, reterr) ?:
		kt_inspect_symbol(inspect, "_etext", &orc->text_end, reterr);

	if (r < 0)
		return r;
	orc->n = (entries_end - orc->entries) / KT_ORC_ENTRY_LEN;
	orc->n_blocks = (blocks_end - orc->blocks) / 4;
	if (!orc->n || orc->n > N_MAX || entries_end < orc->entries || orc->n_blocks > N_MAX ||
	    orc->text_end <= orc->text_begin)
		return kt_err_set(reterr, -EPROTO, "they are absurdly long");
	return 0;
}

/* The part of the table of addresses in which that of @ip is: *@ret_n from *@ret_first on. */
static int find_block(const struct kt_orc *orc, uint64_t ip, uint64_t *ret_first, uint64_t *ret_n,
		      struct kt_err *reterr)
{
	uint64_t block = (ip - orc->text_begin) / BLOCK;
	uint32_t bounds[2];
	int r;

	if (block + 1 >= orc->n_blocks)
		return kt_err_set(reterr, -ENOENT, "no entry is for 0x%" PRIx64, ip);
	r = kt_inspect_read(orc->inspect, orc->blocks + block * 4, bounds, sizeof(bounds), reterr);
	if (r < 0)
		return r;
	if (bounds[1] < bounds[0] || bounds[1] >= orc->n || bounds[1] - bounds[0] >= BLOCK_MAX)
		return kt_err_set(reterr, -EPROTO, "the block of 0x%" PRIx64 " is malformed", ip);
	*ret_first = bounds[0];
	*ret_n = bounds[1] - bounds[0] + 1;
	return 0;
}

/* The index of the last address that is not above @ip. */
static int find_index(const struct kt_orc *orc, uint64_t ip, uint64_t *ret_index,
		      struct kt_err *reterr)
{
	int32_t distances[BLOCK_MAX];
	uint64_t first = 0, n = 0, found = UINT64_MAX;
	int r = find_block(orc, ip, &first, &n, reterr)
			?: kt_inspect_read(orc->inspect, orc->ips + first * 4, distances, n * 4,
					   reterr);

	if (r < 0)
		return r;
	for (uint64_t i = 0; i < n; i++) {
		if (orc->ips + (first + i) * 4 + (uint64_t)(int64_t)distances[i] <= ip)
			found = first + i;
	}
	if (found == UINT64_MAX)
		return kt_err_set(reterr, -ENOENT, "no entry is for 0x%" PRIx64, ip);
	*ret_index = found;
	return 0;
}

/* The bytes of the entry for @ip. */
static int read_entry(const struct kt_orc *orc, uint64_t ip, uint8_t bytes[KT_ORC_ENTRY_LEN],
		      struct kt_err *reterr)
{
	uint64_t index = 0;

	return find_index(orc, ip, &index, reterr)
		       ?: kt_inspect_read(orc->inspect, orc->entries + index * KT_ORC_ENTRY_LEN,
					  bytes, KT_ORC_ENTRY_LEN, reterr);
}

/* A call has just pushed the return address: the caller's frame is 8 bytes above SP. */
static int find_numbers(struct kt_orc *orc, struct kt_err *reterr)
{
	uint8_t bytes[KT_ORC_ENTRY_LEN];
	uint64_t function;
	int r = kt_inspect_symbol(orc->inspect, "schedule", &function, reterr)
			?: read_entry(orc, function, bytes, reterr);

	if (r < 0)
		return r;
	for (int i = 0; i < KT_ORC_N_NUMBERS; i++) {
		struct kt_orc_entry entry = kt_orc_decode((enum kt_orc_numbers)i, bytes);

		orc->numbers = (enum kt_orc_numbers)i;
		if (entry.sp_reg == KT_ORC_SP && entry.sp_offset == 8 &&
		    entry.type == KT_ORC_CALL && !entry.signal)
			return 0;
	}
	return kt_err_set(reterr, -ENOTSUP, "the kernel numbers registers in another way");
}

int kt_orc_open(struct kt_inspect *inspect, struct kt_orc **ret_orc, struct kt_err *reterr)
{
	struct kt_orc *orc = calloc(1, sizeof(*orc));
	int r;

	if (!orc)
		return kt_err_oom(reterr);
	orc->inspect = inspect;
	r = check_layout(inspect, reterr) ?: find_tables(orc, reterr) ?: find_numbers(orc, reterr);
	if (r < 0) {
		kt_orc_close(orc);
		return kt_err_prefix(reterr, r, "tables for unwinding (ORC)");
	}
	*ret_orc = orc;
	return 0;
}

struct kt_orc *kt_orc_close(struct kt_orc *orc)
{
	free(orc);
	return NULL;
}

bool kt_orc_is_text(const struct kt_orc *orc, uint64_t ip)
{
	return ip >= orc->text_begin && ip < orc->text_end;
}

int kt_orc_find(struct kt_orc *orc, uint64_t ip, struct kt_orc_entry *ret_entry,
		struct kt_err *reterr)
{
	struct known *known = &orc->cache[(ip ^ ip >> 10) & (CACHE - 1)];
	uint8_t bytes[KT_ORC_ENTRY_LEN];
	int r;

	if (!kt_orc_is_text(orc, ip))
		return kt_err_set(reterr, -ENOENT, "0x%" PRIx64 " is not in the kernel's text", ip);
	if (known->ip != ip) {
		r = read_entry(orc, ip, bytes, reterr);
		if (r < 0)
			return r;
		*known = (struct known){ ip, kt_orc_decode(orc->numbers, bytes) };
	}
	*ret_entry = known->entry;
	return 0;
}
