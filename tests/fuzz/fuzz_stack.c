/* SPDX-License-Identifier: MIT */
/*
 * Backtraces by the kernel's own tables (ORC), where the guest has changed the stack, the tables
 * and the registers. The input is changes of ten bytes, {where, a number}: the uppermost bits of
 * where say whether it is the stack, the tables of the image, or a register. 1 to 0x40 in the
 * uppermost byte of a number makes it an address on the stack, 0x80 or more one of a function.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/stack_kernel.h"
#include "vmm/snapshot/stack.h"

#define CHANGES_MAX 64u
#define CHANGE_LEN  10u
#define AREA        0x3000u /* of the stack, from where the registers lie on */
#define AREA_LEN    0x400u

static struct stack_kernel kernel;
static struct kt_stacks *stacks;
static uint8_t *clean; /* the RAM as it was */

static void begin(void)
{
	stack_kernel_init(&kernel, KT_ORC_NUMBERS_NEW);
	clean = malloc(TINY_RAM_LEN);
	KT_FUZZ_ASSERT(clean);
	memcpy(clean, kernel.tiny.bytes, TINY_RAM_LEN);
}

static uint64_t value_of(uint64_t value)
{
	if (value >> 63)
		return kernel.functions[value % STACK_FUNCTIONS] + value / 8 % 64;
	if (value >> 56 && value >> 56 <= 0x40)
		return kernel.stack + AREA + value % AREA_LEN;
	return value;
}

static void apply(const uint8_t *data, struct kt_registers *registers)
{
	uint64_t tables = tiny_symbol(&kernel.tiny, "__start_orc_unwind_ip");
	uint64_t len = tiny_symbol(&kernel.tiny, "orc_lookup_end") - tables, value;
	uint16_t where;

	memcpy(&where, data, 2);
	memcpy(&value, data + 2, 8);
	if (where >> 14 == 3)
		memcpy((uint8_t *)registers + where % 17u * 8, &(uint64_t){ value_of(value) }, 8);
	else if (where >> 14 == 2)
		tiny_set(&kernel.tiny, tables + where % (len / 2) * 2, value & 0xffff, 2);
	else
		stack_set(&kernel, AREA + where % (AREA_LEN / 8) * 8u, value_of(value));
}

static void check(const struct kt_stack *stack)
{
	json_t *json = kt_stack_json(kernel.inspect, stack);

	KT_FUZZ_ASSERT(stack->n <= KT_STACK_FRAMES);
	KT_FUZZ_ASSERT(json_array_size(json) == stack->n + stack->cut);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_registers registers = { .cr0 = KT_CR0_PE, .cs = 0x10 };
	struct kt_stack stack;

	if (!clean)
		begin();
	registers.rip = kernel.functions[STACK_SCHEDULE] + 4;
	registers.rsp = kernel.stack + AREA;
	stack_sleep(&kernel, AREA, kernel.functions[STACK_CALLER] + 8, kernel.stack + AREA + 64);
	for (size_t i = 0; i < CHANGES_MAX && (i + 1) * CHANGE_LEN <= size; i++)
		apply(data + i * CHANGE_LEN, &registers);
	kt_inspect_refresh(kernel.inspect);
	/* Tables that no kernel would have are refused, or everything is a guess. */
	if (kt_stacks_open(kernel.inspect, &stacks, NULL) == 0) {
		if (kt_stack_of_task(stacks, kernel.task, &stack, NULL) == 0)
			check(&stack);
		if (kt_stack_of_cpu(stacks, &registers, kernel.task, &stack, NULL) == 0)
			check(&stack);
	}
	stacks = kt_stacks_close(stacks);
	memcpy(kernel.tiny.bytes, clean, TINY_RAM_LEN);
	return 0;
}
