/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The kernel's own tables for unwinding its stacks (CONFIG_UNWINDER_ORC): where, at each address of
 * its code, the caller's frame is. They lie in the guest's RAM, and no entry of them is trusted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"

/* What the frame is relative to. The numbers are ours: the kernel has changed its own. */
enum kt_orc_reg {
	KT_ORC_UNDEFINED,
	KT_ORC_PREV_SP,
	KT_ORC_AX,
	KT_ORC_DX,
	KT_ORC_DI,
	KT_ORC_BP,
	KT_ORC_SP,
	KT_ORC_R10,
	KT_ORC_R13,
	KT_ORC_BP_INDIRECT,
	KT_ORC_SP_INDIRECT,
	KT_ORC_BAD, /* a number that the kernel does not use */
};

/*
 * How the kernel numbers them in arch/x86/include/asm/orc_types.h. Nothing in its types tells, but
 * where a function begins the frame is relative to SP.
 */
enum kt_orc_numbers {
	KT_ORC_NUMBERS_OLD, /* SP is 5: 6.16 */
	KT_ORC_NUMBERS_NEW, /* SP is 3: 7.3 */
	KT_ORC_N_NUMBERS,
};

enum kt_orc_type {
	KT_ORC_NOTHING,      /* no frame is known here */
	KT_ORC_END_OF_STACK, /* the outermost frame */
	KT_ORC_CALL,         /* a return address lies below the caller's frame */
	KT_ORC_REGS, /* struct pt_regs lies here: an entry from user space or an exception */
	KT_ORC_REGS_PARTIAL, /* only its last part, which the processor writes, does */
};

struct kt_orc_entry {
	int16_t sp_offset, bp_offset; /* bytes */
	enum kt_orc_reg sp_reg, bp_reg;
	uint8_t type; /* enum kt_orc_type, or what is none */
	bool signal;  /* the address below is of an instruction, not behind a call */
};

#define KT_ORC_ENTRY_LEN 6u /* bytes in the kernel */

struct kt_orc_entry kt_orc_decode(enum kt_orc_numbers numbers,
				  const uint8_t bytes[KT_ORC_ENTRY_LEN]);

struct kt_orc;

/*
 * Finds the tables. -ENOENT when the kernel has none, -ENOTSUP when its types say that an entry
 * looks otherwise, -EPROTO when they cannot be.
 */
int kt_orc_open(struct kt_inspect *inspect, struct kt_orc **ret_orc, struct kt_err *reterr);

/* Returns NULL. NULL is allowed. */
struct kt_orc *kt_orc_close(struct kt_orc *orc);

/* Whether @ip lies in the text of the image, of which there are entries. */
bool kt_orc_is_text(const struct kt_orc *orc, uint64_t ip);

/* The entry for an instruction. -ENOENT outside of the text. */
int kt_orc_find(struct kt_orc *orc, uint64_t ip, struct kt_orc_entry *ret_entry,
		struct kt_err *reterr);
