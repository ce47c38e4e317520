/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/types.h"
#include "vmm/snapshot/orc.h"

/*
 * A step goes from a frame to its caller's as arch/x86/kernel/unwind_orc.c does. A task that does
 * not run has left its registers in a struct inactive_task_frame, to which thread.sp points; of one
 * that runs, they come from the vCPU. Code without an entry, as that of BPF programs and modules,
 * is taken to have a frame pointer, which the kernel's own unwinder does too; frames behind it are
 * guesses.
 *
 * Where no step leads on, the rest of the stack is searched for addresses of text behind a call.
 * Such an address may be left from an earlier call, so these frames are guesses too.
 *
 * Each step takes a constant number of reads and each backtrace has a constant number of steps:
 * whatever the stack holds, it ends.
 */

#define STACK_LEN_MAX (64u << 10) /* bytes; THREAD_SIZE is 16 KiB */
#define GUESSES       16u
#define CALL_LEN      7u /* bytes of the longest call that is looked for */

struct stack_offsets {
	struct kt_member stack, sp;            /* in struct task_struct */
	struct kt_member frame_bp, frame_ip;   /* in struct inactive_task_frame */
	uint32_t frame_len;                    /* of that */
	struct kt_member ip, regs_sp, bp, cs;  /* in struct pt_regs */
	struct kt_member r10, r13, ax, di, dx; /* likewise */
};

struct kt_stacks {
	struct kt_inspect *inspect;
	struct kt_orc *orc; /* NULL: the kernel has no tables that are understood */
	struct stack_offsets at;
	uint64_t text_begin, text_end; /* _stext, _etext */
	uint32_t stack_len;
	/* The stack of the task that is looked at, if it could be read. */
	uint64_t begin, end;
	uint8_t *bytes;
};

/* Where the unwinder is. */
struct cursor {
	uint64_t ip, sp, bp;
	uint64_t regs;                   /* struct pt_regs that holds all registers; 0: none */
	const struct kt_registers *live; /* of the innermost frame; NULL: none */
	bool signal;                     /* @ip is not behind a call */
	bool guess;                      /* from here on */
};

static int find_offsets(struct kt_inspect *inspect, struct stack_offsets *at, struct kt_err *reterr)
{
	uint32_t type;
	int64_t len;
	int r = kt_inspect_member(inspect, "struct task_struct", "stack", &at->stack, reterr) ?:
		kt_inspect_member(inspect, "struct task_struct", "thread.sp", &at->sp, reterr) ?:
		kt_inspect_member(inspect, "struct inactive_task_frame", "bp", &at->frame_bp,
				  reterr) ?:
		kt_inspect_member(inspect, "struct inactive_task_frame", "ret_addr", &at->frame_ip,
				  reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "ip", &at->ip, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "sp", &at->regs_sp, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "bp", &at->bp, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "cs", &at->cs, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "r10", &at->r10, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "r13", &at->r13, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "ax", &at->ax, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "di", &at->di, reterr) ?:
		kt_inspect_member(inspect, "struct pt_regs", "dx", &at->dx, reterr) ?:
		kt_inspect_type(inspect, "struct inactive_task_frame", &type, reterr);

	if (r < 0)
		return r;
	len = kt_btf_size(kt_inspect_btf(inspect), type);
	at->frame_len = len > 0 && len < 4096 ? (uint32_t)len : 0;
	return at->frame_len ? 0 : kt_err_set(reterr, -EPROTO, "inactive_task_frame has no size");
}

/* THREAD_SIZE: a stack is one member of a union. */
static uint32_t find_stack_len(struct kt_inspect *inspect)
{
	uint32_t type;
	int64_t len = 0;

	if (kt_inspect_type(inspect, "union thread_union", &type, NULL) == 0)
		len = kt_btf_size(kt_inspect_btf(inspect), type);
	return len >= 4096 && len <= STACK_LEN_MAX ? (uint32_t)len : 16u << 10;
}

int kt_stacks_open(struct kt_inspect *inspect, struct kt_stacks **ret_stacks, struct kt_err *reterr)
{
	struct kt_stacks *stacks = calloc(1, sizeof(*stacks));
	int r;

	if (!stacks)
		return kt_err_oom(reterr);
	stacks->inspect = inspect;
	stacks->stack_len = find_stack_len(inspect);
	stacks->bytes = malloc(stacks->stack_len);
	r = stacks->bytes ? find_offsets(inspect, &stacks->at, reterr) ?:
			    kt_inspect_symbol(inspect, "_stext", &stacks->text_begin, reterr) ?:
			    kt_inspect_symbol(inspect, "_etext", &stacks->text_end, reterr)
			  : kt_err_oom(reterr);
	if (r == 0 && kt_orc_open(inspect, &stacks->orc, reterr) == -ENOMEM)
		r = -ENOMEM;
	if (r < 0) {
		kt_stacks_close(stacks);
		return kt_err_prefix(reterr, r, "stacks");
	}
	*ret_stacks = stacks;
	return 0;
}

struct kt_stacks *kt_stacks_close(struct kt_stacks *stacks)
{
	if (!stacks)
		return NULL;
	kt_orc_close(stacks->orc);
	free(stacks->bytes);
	free(stacks);
	return NULL;
}

/* ---- Memory ---- */

/*
 * Copies what is in use of the stack of the task at @kva, from @sp on; of one that leads elsewhere,
 * all. Without the copy, every word is a read of its own.
 */
static int load_stack(struct kt_stacks *stacks, uint64_t kva, uint64_t sp, struct kt_err *reterr)
{
	uint64_t begin, end;
	int r;

	stacks->begin = stacks->end = 0;
	r = kt_inspect_read_uint(stacks->inspect, kva + stacks->at.stack.offset, 8, &begin, reterr);
	if (r < 0)
		return r;
	end = begin + stacks->stack_len;
	if (sp >= begin && sp < end)
		begin = sp & ~UINT64_C(7);
	r = kt_inspect_read(stacks->inspect, begin, stacks->bytes, end - begin, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "stack");
	stacks->begin = begin;
	stacks->end = end;
	return 0;
}

static bool is_on_stack(const struct kt_stacks *stacks, uint64_t kva)
{
	return kva >= stacks->begin && kva < stacks->end && stacks->end - kva >= 8;
}

static int peek(struct kt_stacks *stacks, uint64_t kva, uint64_t *ret_value, struct kt_err *reterr)
{
	if (!is_on_stack(stacks, kva))
		return kt_inspect_read_uint(stacks->inspect, kva, 8, ret_value, reterr);
	memcpy(ret_value, stacks->bytes + (kva - stacks->begin), 8);
	return 0;
}

static bool is_code(const struct kt_stacks *stacks, uint64_t ip)
{
	return kt_inspect_is_kernel(stacks->inspect, ip);
}

/* ---- Steps ---- */

/* A register that an entry names, of the frame at @at. */
static int get_register(struct kt_stacks *stacks, const struct cursor *at,
			const struct kt_member *member, uint64_t live, uint64_t *ret_value,
			struct kt_err *reterr)
{
	if (at->regs)
		return peek(stacks, at->regs + member->offset, ret_value, reterr);
	*ret_value = live;
	return at->live ? 0 : kt_err_set(reterr, -ENODATA, "a register is not known");
}

/* The value to which the entry's offset is added. */
static int get_base(struct kt_stacks *stacks, const struct cursor *at, enum kt_orc_reg reg,
		    uint64_t *ret_value, struct kt_err *reterr)
{
	const struct kt_registers none = { 0 }, *live = at->live ?: &none;
	const struct stack_offsets *member = &stacks->at;

	switch (reg) {
	case KT_ORC_SP:
	case KT_ORC_SP_INDIRECT:
		*ret_value = at->sp;
		return 0;
	case KT_ORC_BP:
	case KT_ORC_BP_INDIRECT:
		*ret_value = at->bp;
		return 0;
	case KT_ORC_R10:
		return get_register(stacks, at, &member->r10, live->r10, ret_value, reterr);
	case KT_ORC_R13:
		return get_register(stacks, at, &member->r13, live->r13, ret_value, reterr);
	case KT_ORC_AX:
		return get_register(stacks, at, &member->ax, live->rax, ret_value, reterr);
	case KT_ORC_DI:
		return get_register(stacks, at, &member->di, live->rdi, ret_value, reterr);
	case KT_ORC_DX:
		return get_register(stacks, at, &member->dx, live->rdx, ret_value, reterr);
	default:
		return kt_err_set(reterr, -EPROTO, "an entry names no register");
	}
}

/* The caller's stack pointer, or where struct pt_regs lies. */
static int find_frame(struct kt_stacks *stacks, const struct cursor *at,
		      const struct kt_orc_entry *entry, uint64_t *ret_sp, struct kt_err *reterr)
{
	uint64_t base, offset = (uint64_t)(int64_t)entry->sp_offset;
	int r = get_base(stacks, at, entry->sp_reg, &base, reterr);

	if (r < 0)
		return r;
	switch (entry->sp_reg) {
	case KT_ORC_SP_INDIRECT:
		r = peek(stacks, base, ret_sp, reterr);
		*ret_sp += r == 0 ? offset : 0;
		return r;
	case KT_ORC_BP_INDIRECT:
		return peek(stacks, base + offset, ret_sp, reterr);
	case KT_ORC_BP:
	case KT_ORC_SP:
		*ret_sp = base + offset;
		return 0;
	default: /* as the kernel does: these have no offset */
		*ret_sp = base;
		return 0;
	}
}

/* Saved registers lie at @regs; a partial entry has only those from ip on. 0: user space. */
static int step_regs(struct kt_stacks *stacks, struct cursor *at, uint64_t regs, bool full,
		     struct kt_err *reterr)
{
	uint64_t cs, bp = at->bp;
	int r;

	if (!full)
		regs -= stacks->at.ip.offset;
	r = peek(stacks, regs + stacks->at.ip.offset, &at->ip, reterr) ?:
		peek(stacks, regs + stacks->at.regs_sp.offset, &at->sp, reterr) ?:
		peek(stacks, regs + stacks->at.cs.offset, &cs, reterr);
	if (r == 0 && full)
		r = peek(stacks, regs + stacks->at.bp.offset, &bp, reterr);
	if (r < 0)
		return r;
	at->bp = bp;
	at->regs = full ? regs : 0;
	return (cs & 3) == 0;
}

static int find_bp(struct kt_stacks *stacks, struct cursor *at, const struct kt_orc_entry *entry,
		   uint64_t sp, struct kt_err *reterr)
{
	uint64_t offset = (uint64_t)(int64_t)entry->bp_offset;

	switch (entry->bp_reg) {
	case KT_ORC_UNDEFINED:
		return 0;
	case KT_ORC_PREV_SP:
		return peek(stacks, sp + offset, &at->bp, reterr);
	case KT_ORC_BP:
		return peek(stacks, at->bp + offset, &at->bp, reterr);
	default:
		return kt_err_set(reterr, -EPROTO, "an entry names no register");
	}
}

/* How code that no entry is for has its frames: push %rbp; mov %rsp, %rbp. */
static const struct kt_orc_entry FRAME_POINTER = {
	.sp_reg = KT_ORC_BP,
	.sp_offset = 16,
	.bp_reg = KT_ORC_PREV_SP,
	.bp_offset = -16,
	.type = KT_ORC_CALL,
};

static int find_entry(struct kt_stacks *stacks, struct cursor *at, struct kt_orc_entry *ret_entry,
		      struct kt_err *reterr)
{
	uint64_t ip = at->signal ? at->ip : at->ip - 1;

	if (!stacks->orc)
		return kt_err_set(reterr, -ENOENT, "the kernel has no tables for unwinding");
	if (kt_orc_is_text(stacks->orc, ip))
		return kt_orc_find(stacks->orc, ip, ret_entry, reterr);
	*ret_entry = FRAME_POINTER;
	at->guess = true;
	return 0;
}

/* 1: *@at is the caller. 0: there is none. A negative errno: the way is not known. */
static int step(struct kt_stacks *stacks, struct cursor *at, struct kt_err *reterr)
{
	struct kt_orc_entry entry;
	uint64_t sp, old_sp = at->sp;
	int r = find_entry(stacks, at, &entry, reterr);

	if (r < 0)
		return r;
	if (entry.type == KT_ORC_END_OF_STACK)
		return 0;
	if (entry.type < KT_ORC_CALL || entry.type > KT_ORC_REGS_PARTIAL)
		return kt_err_set(reterr, -ENODATA, "no frame is known here");
	r = find_frame(stacks, at, &entry, &sp, reterr);
	if (r < 0)
		return r;
	at->signal = entry.signal;
	if (entry.type != KT_ORC_CALL) {
		r = step_regs(stacks, at, sp, entry.type == KT_ORC_REGS, reterr);
	} else {
		r = peek(stacks, sp - 8, &at->ip, reterr) ?: find_bp(stacks, at, &entry, sp, reterr)
				?: 1;
		at->regs = 0;
		at->sp = sp;
	}
	at->live = NULL;
	if (r <= 0)
		return r;
	if (!is_code(stacks, at->ip) ||
	    (is_on_stack(stacks, old_sp) && is_on_stack(stacks, at->sp) && at->sp <= old_sp))
		return kt_err_set(reterr, -EPROTO, "the frame is malformed");
	return 1;
}

/* ---- The search ---- */

/* Whether the instruction before @ip is a call: e8 with 4 bytes, or ff /2. */
static bool is_behind_call(struct kt_stacks *stacks, uint64_t ip)
{
	uint8_t code[CALL_LEN];

	if (kt_inspect_read(stacks->inspect, ip - CALL_LEN, code, CALL_LEN, NULL) < 0)
		return false;
	if (code[CALL_LEN - 5] == 0xe8)
		return true;
	for (unsigned int len = 2; len <= CALL_LEN; len++) {
		if (code[CALL_LEN - len] == 0xff && (code[CALL_LEN - len + 1] & 0x38) == 0x10)
			return true;
	}
	return false;
}

static void add(struct kt_stack *stack, const struct kt_stack_frame *frame)
{
	if (stack->n == KT_STACK_FRAMES)
		stack->cut = true;
	else
		stack->frames[stack->n++] = *frame;
}

static void search(struct kt_stacks *stacks, uint64_t sp, struct kt_stack *stack)
{
	unsigned int n = 0;

	for (sp = (sp + 7) & ~UINT64_C(7); is_on_stack(stacks, sp) && n < GUESSES; sp += 8) {
		uint64_t ip;

		(void)peek(stacks, sp, &ip, NULL);
		if (ip < stacks->text_begin || ip >= stacks->text_end ||
		    !is_behind_call(stacks, ip))
			continue;
		add(stack, &(struct kt_stack_frame){ .ip = ip, .guess = true });
		n++;
	}
	stack->cut = stack->cut || n == GUESSES;
}

static void unwind(struct kt_stacks *stacks, struct cursor *at, struct kt_stack *stack)
{
	uint64_t sp = at->sp;
	int r = 1;

	while (r > 0) {
		add(stack, &(struct kt_stack_frame){ at->ip, at->signal, at->guess });
		if (stack->cut)
			return;
		sp = at->sp;
		r = step(stacks, at, NULL);
	}
	if (r < 0)
		search(stacks, sp, stack);
}

/* ---- Whose ---- */

int kt_stack_of_task(struct kt_stacks *stacks, uint64_t kva, struct kt_stack *ret_stack,
		     struct kt_err *reterr)
{
	struct cursor at = { .sp = 0 };
	uint64_t frame;
	int r = kt_inspect_read_uint(stacks->inspect, kva + stacks->at.sp.offset, 8, &frame,
				     reterr);

	*ret_stack = (struct kt_stack){ .n = 0 };
	if (r < 0)
		return r;
	r = load_stack(stacks, kva, frame, reterr) ?:
		peek(stacks, frame + stacks->at.frame_bp.offset, &at.bp, reterr) ?:
		peek(stacks, frame + stacks->at.frame_ip.offset, &at.ip, reterr);
	if (r < 0)
		return r;
	at.sp = frame + stacks->at.frame_len;
	if (!is_code(stacks, at.ip))
		return kt_err_set(reterr, -EPROTO, "its stack holds no return address");
	unwind(stacks, &at, ret_stack);
	return 0;
}

int kt_stack_of_cpu(struct kt_stacks *stacks, const struct kt_registers *registers, uint64_t kva,
		    struct kt_stack *ret_stack, struct kt_err *reterr)
{
	struct cursor at = {
		.ip = registers->rip,
		.sp = registers->rsp,
		.bp = registers->rbp,
		.live = registers,
		.signal = true,
	};

	(void)reterr;
	*ret_stack = (struct kt_stack){ .n = 0 };
	if (kt_registers_are_user(registers))
		return 0;
	stacks->begin = stacks->end = 0;
	/* The CPU may be on a stack for interrupts, so this one is only an aid. */
	if (kva)
		(void)load_stack(stacks, kva, at.sp, NULL);
	unwind(stacks, &at, ret_stack);
	return 0;
}

/* ---- JSON ---- */

/* A call that never returns may be the last instruction of its function. */
static const char *symbol_text(struct kt_inspect *inspect, const struct kt_stack_frame *frame,
			       char *text, size_t room)
{
	uint64_t offset = 0, back = frame->exact ? 0 : 1;
	const char *name = kt_inspect_symbol_at(inspect, frame->ip - back, &offset);

	if (name)
		(void)snprintf(text, room, "%s+0x%" PRIx64, name, offset + back);
	else
		(void)snprintf(text, room, "0x%" PRIx64, frame->ip);
	return text;
}

json_t *kt_stack_json(struct kt_inspect *inspect, const struct kt_stack *stack)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < stack->n; i++) {
		char text[256] = "? ";
		size_t at = stack->frames[i].guess ? 2 : 0;

		(void)symbol_text(inspect, &stack->frames[i], text + at, sizeof(text) - at);
		(void)json_array_append_new(array, kt_tree_text(text));
	}
	if (array && stack->cut)
		(void)json_array_append_new(array, json_pack("{s:b}", "truncated", 1));
	return array;
}
