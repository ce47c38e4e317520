/* SPDX-License-Identifier: MIT */
/*
 * Backtraces of stacks that are made byte by byte (tests/stack_kernel.h): by the tables, by search,
 * and of stacks and tables that no kernel would leave.
 */
#include <errno.h>
#include <string.h>

#include "tests/stack_kernel.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/snapshot/stack.h"
#include "wire/json.h"

UNIT_SUITE(orc);
UNIT_SUITE(stack);

#define SLEEP 0x3000u /* where the task has left its registers */
#define WILD  UINT64_C(0xffffc90000001000)

static struct stack_kernel kernel;
static struct kt_stacks *stacks;

static void begin_with(enum kt_orc_numbers numbers)
{
	stack_kernel_init(&kernel, numbers);
	cr_assert(zero(int, kt_stacks_open(kernel.inspect, &stacks, NULL)));
}

static void begin(void)
{
	begin_with(KT_ORC_NUMBERS_NEW);
}

static void end(void)
{
	stacks = kt_stacks_close(stacks);
	stack_kernel_deinit(&kernel);
}

/* What comes behind the call in a function. */
static uint64_t behind(unsigned int function)
{
	return kernel.functions[function] + 8;
}

static struct kt_stack unwind(void)
{
	struct kt_stack stack;

	kt_inspect_refresh(kernel.inspect);
	cr_assert(zero(int, kt_stack_of_task(stacks, kernel.task, &stack, NULL)));
	return stack;
}

static void expect_frame(const struct kt_stack *stack, size_t i, uint64_t ip, bool guess)
{
	cr_assert(lt(sz, i, stack->n), "there are %zu frames", stack->n);
	cr_assert(eq(u64, stack->frames[i].ip, ip), "frame %zu", i);
	cr_assert(eq(int, stack->frames[i].guess, guess), "frame %zu", i);
}

/* ---- Tables ---- */

Test(orc, an_entry_is_decoded)
{
	static const uint8_t BYTES[] = { 0x10, 0, 0xf0, 0xff, 0x84, 0x0a };
	struct kt_orc_entry entry = kt_orc_decode(KT_ORC_NUMBERS_NEW, BYTES);

	cr_assert(eq(int, entry.sp_offset, 16));
	cr_assert(eq(int, entry.bp_offset, -16));
	cr_assert(eq(int, (int)entry.sp_reg, KT_ORC_BP));
	cr_assert(eq(int, (int)entry.bp_reg, KT_ORC_PREV_SP));
	cr_assert(eq(int, entry.type, KT_ORC_CALL));
	cr_assert(entry.signal);
	entry = kt_orc_decode(KT_ORC_NUMBERS_OLD, BYTES);
	cr_assert(eq(int, (int)entry.bp_reg, KT_ORC_BP_INDIRECT));
}

/* Each byte of the text has the entry that is the last at or before it. */
Test(orc, the_entry_of_each_instruction_is_found, .init = begin, .fini = end)
{
	struct kt_orc_entry entry;
	struct kt_orc *orc;

	cr_assert(zero(int, kt_orc_open(kernel.inspect, &orc, NULL)));
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t ip = kernel.functions[STACK_SCHEDULE] + i;

		cr_assert(zero(int, kt_orc_find(orc, ip, &entry, NULL)));
		cr_assert(eq(int, entry.sp_offset, i < 4 ? 8 : 24));
		cr_assert(zero(int,
			       kt_orc_find(orc, kernel.functions[STACK_THREAD] + i, &entry, NULL)));
		cr_assert(eq(int, entry.type, KT_ORC_END_OF_STACK));
	}
	cr_assert(eq(int, kt_orc_find(orc, tiny_symbol(&kernel.tiny, "_etext"), &entry, NULL),
		     -ENOENT));
	cr_assert(eq(int, kt_orc_find(orc, 0, &entry, NULL), -ENOENT));
	kt_orc_close(orc);
}

static void expect_no_tables(int code, const char *why)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_orc *orc;

	kt_inspect_refresh(kernel.inspect);
	cr_assert(eq(int, kt_orc_open(kernel.inspect, &orc, &err), code));
	cr_assert(strstr(err.text, why) != NULL, "%s", err.text);
}

Test(orc, numbers_that_are_unknown_are_refused, .init = begin, .fini = end)
{
	tiny_set(&kernel.tiny, tiny_symbol(&kernel.tiny, "__start_orc_unwind") + 4, 6, 1);
	expect_no_tables(-ENOTSUP, "numbers registers in another way");
}

Test(orc, blocks_that_cannot_be_are_refused, .init = begin, .fini = end)
{
	uint64_t text = tiny_symbol(&kernel.tiny, "_stext");
	uint64_t block = tiny_symbol(&kernel.tiny, "orc_lookup") +
			 (kernel.functions[STACK_SCHEDULE] - text) / 256 * 4;

	tiny_set(&kernel.tiny, block + 4, 0x7fffffff, 4);
	expect_no_tables(-EPROTO, "malformed");
	tiny_set(&kernel.tiny, block, 9, 4);
	tiny_set(&kernel.tiny, block + 4, 3, 4);
	expect_no_tables(-EPROTO, "malformed");
}

/* ---- Stacks ---- */

/* schedule < caller < outer < thread; returns where the last return address lies. */
static uint64_t make_sleeper(void)
{
	uint64_t at = SLEEP + STACK_FRAME_LEN, bp = kernel.stack + at + 24 + 32;

	stack_sleep(&kernel, SLEEP, behind(STACK_SCHEDULE), bp);
	stack_set(&kernel, at + 16, behind(STACK_CALLER)); /* 24 above SP, less 8 */
	stack_set(&kernel, at + 24 + 32, 0x1234);          /* the BP of outer's caller */
	stack_set(&kernel, at + 24 + 40, behind(STACK_OUTER));
	at += 24 + 48;
	stack_set(&kernel, at + 8, behind(STACK_THREAD));
	return at + 8;
}

static void expect_sleeper(void)
{
	struct kt_stack stack;

	(void)make_sleeper();
	stack = unwind();
	cr_assert(eq(sz, stack.n, 4));
	expect_frame(&stack, 0, behind(STACK_SCHEDULE), false);
	expect_frame(&stack, 1, behind(STACK_CALLER), false);
	expect_frame(&stack, 2, behind(STACK_OUTER), false);
	expect_frame(&stack, 3, behind(STACK_THREAD), false);
	cr_assert(not(stack.cut));
}

Test(stack, a_sleeping_task, .init = begin, .fini = end)
{
	expect_sleeper();
}

Test(stack, with_the_numbers_of_old_kernels)
{
	begin_with(KT_ORC_NUMBERS_OLD);
	expect_sleeper();
	end();
}

/* An interrupt came while the kernel was in outer(): the address is exact. */
static uint64_t make_interrupt(uint64_t cs)
{
	uint64_t regs = SLEEP + STACK_FRAME_LEN + 24, sp = regs + 80;

	stack_sleep(&kernel, SLEEP, behind(STACK_SCHEDULE), 0);
	stack_set(&kernel, SLEEP + STACK_FRAME_LEN + 16, kernel.functions[STACK_INTERRUPT] + 1);
	stack_set(&kernel, regs + STACK_REGS_IP, kernel.functions[STACK_OUTER]);
	stack_set(&kernel, regs + STACK_REGS_CS, cs);
	stack_set(&kernel, regs + STACK_REGS_SP, kernel.stack + sp);
	stack_set(&kernel, sp, behind(STACK_THREAD));
	return regs;
}

Test(stack, an_interrupt_of_the_kernel_and_of_user_space, .init = begin, .fini = end)
{
	struct kt_stack stack;

	(void)make_interrupt(0x10);
	stack = unwind();
	cr_assert(eq(sz, stack.n, 4));
	/* The entry of its first byte counts, not of the byte before, where another function is. */
	expect_frame(&stack, 2, kernel.functions[STACK_OUTER], false);
	cr_assert(stack.frames[2].exact);
	expect_frame(&stack, 3, behind(STACK_THREAD), false);
	(void)make_interrupt(0x33);
	stack = unwind();
	cr_assert(eq(sz, stack.n, 2));
}

Test(stack, a_cpu, .init = begin, .fini = end)
{
	struct kt_registers registers = { .cr0 = KT_CR0_PE, .cs = 0x10 };
	struct kt_stack stack;

	(void)make_sleeper();
	registers.rip = kernel.functions[STACK_SCHEDULE] + 4;
	registers.rsp = kernel.stack + SLEEP + STACK_FRAME_LEN;
	registers.rbp = kernel.stack + SLEEP + STACK_FRAME_LEN + 24 + 32;
	for (int i = 0; i < 2; i++) {
		/* With its task, and without. */
		cr_assert(zero(int, kt_stack_of_cpu(stacks, &registers, i ? kernel.task : 0, &stack,
						    NULL)));
		cr_assert(eq(sz, stack.n, 4));
		cr_assert(stack.frames[0].exact);
		expect_frame(&stack, 1, behind(STACK_CALLER), false);
		expect_frame(&stack, 3, behind(STACK_THREAD), false);
	}
	registers.cs = 0x33;
	cr_assert(zero(int, kt_stack_of_cpu(stacks, &registers, kernel.task, &stack, NULL)));
	cr_assert(zero(sz, stack.n));
}

Test(stack, where_no_frame_is_known_it_is_searched, .init = begin, .fini = end)
{
	uint64_t last = make_sleeper();
	struct kt_stack stack;

	stack_set(&kernel, last, behind(STACK_NOTHING));
	stack_set(&kernel, last + 16, behind(STACK_OUTER));
	stack_set(&kernel, last + 24, behind(STACK_OUTER) + 1); /* not behind a call */
	stack_set(&kernel, last + 32, behind(STACK_THREAD));
	stack = unwind();
	cr_assert(eq(sz, stack.n, 6));
	expect_frame(&stack, 3, behind(STACK_NOTHING), false);
	expect_frame(&stack, 4, behind(STACK_OUTER), true);
	expect_frame(&stack, 5, behind(STACK_THREAD), true);
}

/* A BPF program's code has no entries: its frame pointer leads on, but who knows. */
Test(stack, code_without_entries_has_a_frame_pointer, .init = begin, .fini = end)
{
	uint64_t at = SLEEP + STACK_FRAME_LEN, bpf = tiny_alloc(&kernel.tiny, 64) + 8;
	struct kt_stack stack;

	stack_sleep(&kernel, SLEEP, behind(STACK_SCHEDULE), kernel.stack + at + 64);
	stack_set(&kernel, at + 16, bpf);
	stack_set(&kernel, at + 72, behind(STACK_THREAD));
	stack = unwind();
	cr_assert(eq(sz, stack.n, 3));
	expect_frame(&stack, 1, bpf, false);
	expect_frame(&stack, 2, behind(STACK_THREAD), true);
}

Test(stack, a_stack_that_leads_back_ends, .init = begin, .fini = end)
{
	uint64_t at = SLEEP + STACK_FRAME_LEN;
	struct kt_stack stack;

	/* The frame of caller() is its own caller's. */
	stack_sleep(&kernel, SLEEP, behind(STACK_CALLER), kernel.stack + at);
	stack_set(&kernel, at, kernel.stack + at);
	stack_set(&kernel, at + 8, behind(STACK_CALLER));
	stack = unwind();
	cr_assert(le(sz, stack.n, 4));
	/* Interrupts in interrupts without an end. */
	(void)make_interrupt(0x10);
	stack_set(&kernel, SLEEP + STACK_FRAME_LEN + 24 + STACK_REGS_IP,
		  kernel.functions[STACK_INTERRUPT]);
	stack_set(&kernel, SLEEP + STACK_FRAME_LEN + 24 + STACK_REGS_SP,
		  kernel.stack + SLEEP + STACK_FRAME_LEN + 24);
	stack = unwind();
	cr_assert(le(sz, stack.n, KT_STACK_FRAMES));
}

Test(stack, what_leads_nowhere, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_stack stack;

	(void)make_sleeper();
	tiny_set(&kernel.tiny, kernel.task + 8, WILD, 8);
	cr_assert(eq(int, kt_stack_of_task(stacks, kernel.task, &stack, NULL), -EFAULT));
	stack_sleep(&kernel, SLEEP, 4711, 0);
	cr_assert(eq(int, kt_stack_of_task(stacks, kernel.task, &stack, &err), -EPROTO));
	cr_assert(strstr(err.text, "no return address") != NULL);
	tiny_set(&kernel.tiny, kernel.task, WILD, 8);
	cr_assert(eq(int, kt_stack_of_task(stacks, kernel.task, &stack, &err), -EFAULT));
	cr_assert(strstr(err.text, "stack") != NULL);
	/* The frame pointer leads away from the stack. */
	tiny_set(&kernel.tiny, kernel.task, kernel.stack, 8);
	stack_sleep(&kernel, SLEEP, behind(STACK_CALLER), WILD);
	stack_set(&kernel, SLEEP + 200, behind(STACK_THREAD));
	stack = unwind();
	for (size_t i = 1; i < stack.n; i++)
		cr_assert(stack.frames[i].guess);
	expect_frame(&stack, stack.n - 1, behind(STACK_THREAD), true);
}

Test(stack, frames_have_names, .init = begin, .fini = end)
{
	KT_JSON json_t *json = NULL;
	struct kt_stack stack;

	(void)make_sleeper();
	stack = unwind();
	stack.frames[1].guess = true;
	json = kt_stack_json(kernel.inspect, &stack);
	cr_assert(eq(sz, json_array_size(json), 4));
	cr_assert(eq(str, (char *)json_string_value(json_array_get(json, 0)), "schedule+0x8"));
	cr_assert(eq(str, (char *)json_string_value(json_array_get(json, 1)), "? caller+0x8"));
	cr_assert(eq(str, (char *)json_string_value(json_array_get(json, 3)), "thread+0x8"));
}

/* Without the tables, everything is a guess. */
Test(stack, without_tables)
{
	struct kt_stack stack;

	stack_kernel_init(&kernel, KT_ORC_NUMBERS_NEW);
	tiny_set(&kernel.tiny, tiny_symbol(&kernel.tiny, "__start_orc_unwind") + 4, 6, 1);
	cr_assert(zero(int, kt_stacks_open(kernel.inspect, &stacks, NULL)));
	(void)make_sleeper();
	stack = unwind();
	expect_frame(&stack, 0, behind(STACK_SCHEDULE), false);
	expect_frame(&stack, 1, behind(STACK_CALLER), true);
	expect_frame(&stack, 2, behind(STACK_OUTER), true);
	end();
}
