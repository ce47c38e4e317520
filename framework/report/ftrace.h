/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A line of the text of ftrace, as a guest sends it with --trace-sched. The guest is not trusted: a
 * name may hold anything, and a number is any number of its range.
 */

#include <stddef.h>
#include <stdint.h>

#define KT_FTRACE_CPUS 256u /* a line of a higher CPU is none */

enum kt_ftrace_kind {
	KT_FTRACE_SWITCH, /* sched_switch: @before leaves the CPU to @task */
	KT_FTRACE_WAKING, /* sched_waking: who runs on @cpu wakes @task */
	KT_FTRACE_MARK,   /* tracing_mark_write: a program wrote a line in atrace's form */
	KT_FTRACE_BEGAN,  /* ktest's own: when the test began; without a CPU */
};

/* A name borrows the line, and has no NUL behind it. */
struct kt_ftrace_name {
	const char *at;
	size_t len;
};

struct kt_ftrace_task {
	struct kt_ftrace_name name;
	int pid; /* 0: the CPU is idle */
	int prio;
};

struct kt_ftrace_event {
	enum kt_ftrace_kind kind;
	unsigned int cpu; /* below KT_FTRACE_CPUS */
	uint64_t at_ns;   /* the guest's CLOCK_MONOTONIC */
	struct kt_ftrace_task task, before;
	char state[8];              /* SWITCH: in which @before is, such as "S" or "R+" */
	char mark;                  /* MARK: 'B' begins, 'E' ends, 'I' is a moment */
	struct kt_ftrace_name text; /* MARK: what it says */
};

/* Returns 0, or -EINVAL for a line that is none of these. */
int kt_ftrace_parse(const char *line, struct kt_ftrace_event *ret_event);
