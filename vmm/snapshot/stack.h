/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Backtraces of the kernel's stacks, of a guest that stands still: by the kernel's tables (orc.h),
 * and where they do not lead on, by a search for return addresses.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/registers.h"

#define KT_STACK_FRAMES 48u /* of one backtrace */

struct kt_stack_frame {
	uint64_t ip;
	bool exact; /* @ip is what was to be executed; false: it is behind a call */
	bool guess; /* it was found by the search: the kernel may have left it there */
};

struct kt_stack {
	size_t n; /* frames, innermost first */
	struct kt_stack_frame frames[KT_STACK_FRAMES];
	bool cut; /* there are more */
};

struct kt_stacks;

int kt_stacks_open(struct kt_inspect *inspect, struct kt_stacks **ret_stacks,
		   struct kt_err *reterr);

/* Returns NULL. NULL is allowed. */
struct kt_stacks *kt_stacks_close(struct kt_stacks *stacks);

/*
 * Where the task at @kva sleeps, or waits for a CPU. Meaningless for one that runs: its stack
 * changes without a trace in memory. -EFAULT when its stack cannot be read.
 */
int kt_stack_of_task(struct kt_stacks *stacks, uint64_t kva, struct kt_stack *ret_stack,
		     struct kt_err *reterr);

/*
 * Where a vCPU is, whose current task is at @kva; 0: unknown. No frames while it executes user
 * space.
 */
int kt_stack_of_cpu(struct kt_stacks *stacks, const struct kt_registers *registers, uint64_t kva,
		    struct kt_stack *ret_stack, struct kt_err *reterr);

/* An array of texts, innermost first; a guess begins with "? ". NULL: out of memory. */
json_t *kt_stack_json(struct kt_inspect *inspect, const struct kt_stack *stack);
