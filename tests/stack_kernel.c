/* SPDX-License-Identifier: MIT */
#include "tests/stack_kernel.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

/*
 * Functions and tables are variables of the image, which tiny_kernel.c makes 64 bytes long and puts
 * one behind the other in this order; a table that needs more has others behind it.
 */

#define LEN     64u
#define BODY    4u
#define BLOCK   256u
#define ENTRIES 10u /* with that for what is in front of the functions */

static const char *const VARIABLES[] = {
	"schedule",
	"caller",
	"interrupt",
	"outer",
	"thread",
	"nothing",
	"_etext",
	"__start_orc_unwind_ip",
	"__start_orc_unwind",
	"__stop_orc_unwind",
	"orc_lookup",
	"orc_lookup_1",
	"orc_lookup_2",
	"orc_lookup_3",
	"orc_lookup_4",
	"orc_lookup_5",
	"orc_lookup_end",
	NULL,
};

static void add_fields(struct btf *btf, int type, const char *const *names, const uint32_t *offsets,
		       size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)btf__add_field(btf, names[i], type, offsets[i] * 8, 0);
}

static void add_orc(struct btf *btf, int s16, int u32)
{
	(void)btf__add_struct(btf, "orc_entry", KT_ORC_ENTRY_LEN);
	(void)btf__add_field(btf, "sp_offset", s16, 0, 0);
	(void)btf__add_field(btf, "bp_offset", s16, 16, 0);
	(void)btf__add_field(btf, "sp_reg", u32, 32, 4);
	(void)btf__add_field(btf, "bp_reg", u32, 36, 4);
	(void)btf__add_field(btf, "type", u32, 40, 3);
	(void)btf__add_field(btf, "signal", u32, 43, 1);
}

static struct btf *make_types(void)
{
	static const char *const REGS[] = {
		"bp", "r10", "r13", "ax", "di", "dx", "ip", "cs", "sp"
	};
	static const uint32_t REGS_AT[] = { STACK_REGS_BP, STACK_REGS_R10, 16,           24, 32, 40,
					    STACK_REGS_IP, STACK_REGS_CS,  STACK_REGS_SP };
	struct btf *btf = btf__new_empty();
	int u64 = btf__add_int(btf, "long unsigned int", 8, 0);
	int u32 = btf__add_int(btf, "unsigned int", 4, 0);
	int s16 = btf__add_int(btf, "short int", 2, BTF_INT_SIGNED), thread;

	add_orc(btf, s16, u32);
	(void)btf__add_struct(btf, "inactive_task_frame", STACK_FRAME_LEN);
	add_fields(btf, u64, (const char *const[]){ "bx", "bp", "ret_addr" },
		   (const uint32_t[]){ 0, 8, 16 }, 3);
	(void)btf__add_struct(btf, "pt_regs", 80);
	add_fields(btf, u64, REGS, REGS_AT, KT_ARRAY_LEN(REGS));
	thread = btf__add_struct(btf, "thread_struct", 8);
	(void)btf__add_field(btf, "sp", u64, 0, 0);
	(void)btf__add_struct(btf, "task_struct", TINY_TASK_LEN);
	(void)btf__add_field(btf, "stack", u64, 0, 0);
	(void)btf__add_field(btf, "thread", thread, 64, 0);
	return btf;
}

/* ---- Tables ---- */

struct row {
	unsigned int function, offset; /* where it begins to count */
	int16_t sp_offset, bp_offset;
	uint8_t sp, bp, type, signal; /* as the kernel numbers them */
};

static void write_row(struct stack_kernel *kernel, unsigned int i, const struct row *row)
{
	uint64_t ips = tiny_symbol(&kernel->tiny, "__start_orc_unwind_ip") + i * 4u;
	uint8_t *entry = tiny_at(&kernel->tiny, tiny_symbol(&kernel->tiny, "__start_orc_unwind"));

	tiny_set(&kernel->tiny, ips, kernel->functions[row->function] + row->offset - ips, 4);
	entry += i * KT_ORC_ENTRY_LEN;
	entry[0] = (uint8_t)row->sp_offset;
	entry[1] = (uint8_t)(row->sp_offset >> 8);
	entry[2] = (uint8_t)row->bp_offset;
	entry[3] = (uint8_t)(row->bp_offset >> 8);
	entry[4] = (uint8_t)(row->sp | row->bp << 4);
	entry[5] = (uint8_t)(row->type | row->signal << 3);
}

/* The index of the last row that counts at the beginning of each block of text. */
static void write_blocks(struct stack_kernel *kernel, const struct row *rows, unsigned int n)
{
	uint64_t at = tiny_symbol(&kernel->tiny, "orc_lookup");
	uint64_t end = tiny_symbol(&kernel->tiny, "orc_lookup_end");
	uint64_t text = tiny_symbol(&kernel->tiny, "_stext");

	for (; at < end; at += 4, text += BLOCK) {
		uint32_t index = 0;

		for (uint32_t i = 0; i < n; i++) {
			if (kernel->functions[rows[i].function] + rows[i].offset <= text)
				index = i;
		}
		tiny_set(&kernel->tiny, at, index, 4);
	}
}

static void write_tables(struct stack_kernel *kernel, enum kt_orc_numbers numbers)
{
	bool is_old = numbers == KT_ORC_NUMBERS_OLD;
	uint8_t sp = is_old ? 5 : 3, bp = 4, previous = is_old ? 1 : 8;
	const struct row rows[] = {
		{ STACK_SCHEDULE, 0, 8, 0, sp, 0, KT_ORC_CALL, 0 },
		{ STACK_SCHEDULE, BODY, 24, 0, sp, 0, KT_ORC_CALL, 0 },
		{ STACK_CALLER, 0, 8, 0, sp, 0, KT_ORC_CALL, 0 },
		{ STACK_CALLER, BODY, 16, -16, bp, previous, KT_ORC_CALL, 0 },
		{ STACK_INTERRUPT, 0, 0, 0, sp, 0, KT_ORC_REGS, 1 },
		{ STACK_OUTER, 0, 8, 0, sp, 0, KT_ORC_CALL, 0 },
		{ STACK_OUTER, BODY, 16, 0, sp, 0, KT_ORC_CALL, 0 },
		{ STACK_THREAD, 0, 0, 0, 0, 0, KT_ORC_END_OF_STACK, 0 },
		{ STACK_NOTHING, 0, 0, 0, 0, 0, KT_ORC_NOTHING, 0 },
		{ STACK_NOTHING, 60, 0, 0, 0, 0, KT_ORC_NOTHING, 0 },
	};

	_Static_assert(KT_ARRAY_LEN(rows) == ENTRIES && ENTRIES * KT_ORC_ENTRY_LEN <= LEN,
		       "the entries fill one variable");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(rows); i++)
		write_row(kernel, i, &rows[i]);
	write_blocks(kernel, rows, KT_ARRAY_LEN(rows));
}

/* ---- All ---- */

void stack_kernel_init(struct stack_kernel *kernel, enum kt_orc_numbers numbers)
{
	const struct tiny_options options = { .btf = make_types, .variables = VARIABLES };
	struct kt_err err = KT_ERR_NULL;

	*kernel = (struct stack_kernel){ .inspect = NULL };
	tiny_kernel_init(&kernel->tiny, &options);
	for (unsigned int i = 0; i < STACK_FUNCTIONS; i++) {
		kernel->functions[i] = tiny_symbol(&kernel->tiny, VARIABLES[i]);
		/* A call ends 8 bytes behind where the function begins. */
		tiny_set(&kernel->tiny, kernel->functions[i] + 3, 0xe8, 1);
	}
	write_tables(kernel, numbers);
	kernel->task = tiny_alloc(&kernel->tiny, TINY_TASK_LEN);
	kernel->stack = tiny_alloc(&kernel->tiny, STACK_LEN);
	tiny_set(&kernel->tiny, kernel->task, kernel->stack, 8);
	if (kt_inspect_open(kernel->tiny.ram, NULL, &kernel->inspect, &err) < 0) {
		(void)fprintf(stderr, "stack kernel: %s\n", err.text);
		abort();
	}
}

void stack_kernel_deinit(struct stack_kernel *kernel)
{
	kernel->inspect = kt_inspect_close(kernel->inspect);
	tiny_kernel_deinit(&kernel->tiny);
}

void stack_set(struct stack_kernel *kernel, uint64_t at, uint64_t value)
{
	tiny_set(&kernel->tiny, kernel->stack + at, value, 8);
}

void stack_sleep(struct stack_kernel *kernel, uint64_t at, uint64_t ip, uint64_t bp)
{
	tiny_set(&kernel->tiny, kernel->task + 8, kernel->stack + at, 8);
	stack_set(kernel, at + 8, bp);
	stack_set(kernel, at + 16, ip);
}
