/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Stacks and the tables to unwind them (ORC), on top of tiny_kernel.h: six functions, a task that
 * sleeps, and the frames that its stack holds.
 */

#include <stdint.h>

#include "tests/tiny_kernel.h"
#include "vmm/snapshot/orc.h"

#define STACK_LEN (16u << 10)

/* Functions of 64 bytes each, one behind the other. Bodies begin behind 4 bytes. */
enum {
	STACK_SCHEDULE,  /* its body has the caller's frame 24 bytes above SP */
	STACK_CALLER,    /* its body has a frame pointer */
	STACK_INTERRUPT, /* struct pt_regs lies at SP */
	STACK_OUTER,     /* its body has the caller's frame 16 bytes above SP */
	STACK_THREAD,    /* the outermost */
	STACK_NOTHING,   /* no frame is known in it */
	STACK_FUNCTIONS,
};

struct stack_kernel {
	struct tiny_kernel tiny;
	struct kt_inspect *inspect;
	uint64_t functions[STACK_FUNCTIONS];
	uint64_t task, stack; /* struct task_struct, and where its stack begins */
};

/* Makes it, with an empty stack; a failure ends the process. */
void stack_kernel_init(struct stack_kernel *kernel, enum kt_orc_numbers numbers);
void stack_kernel_deinit(struct stack_kernel *kernel);

/* Writes a word to the stack, @at bytes from where it begins. */
void stack_set(struct stack_kernel *kernel, uint64_t at, uint64_t value);

/* The task sleeps: its registers lie at @at on its stack, and it goes on at @ip, with @bp. */
void stack_sleep(struct stack_kernel *kernel, uint64_t at, uint64_t ip, uint64_t bp);

/* Offsets of struct pt_regs. */
#define STACK_REGS_BP  0u
#define STACK_REGS_R10 8u
#define STACK_REGS_IP  48u
#define STACK_REGS_CS  56u
#define STACK_REGS_SP  72u

#define STACK_FRAME_LEN 24u /* of struct inactive_task_frame */
