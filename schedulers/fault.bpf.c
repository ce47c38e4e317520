/* SPDX-License-Identifier: MIT */
/*
 * A FIFO scheduler that misbehaves on demand. Read-only variables are set when it is loaded, the
 * others also while it runs, from tests. All that is 0 does nothing.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE        0
#define NEVER_SERVED 1 /* tasks in it wait until the watchdog finds them */
#define STARVED      2 /* one task of it is served every starve_ms */
#define UNKNOWN      4711 /* a queue that does not exist */

const volatile u64 slice_us = 20000; /* microseconds */
const volatile s32 init_error;       /* what init returns, such as -22 */
const volatile u32 slow_init_ms;     /* how long init takes, milliseconds */
const volatile u64 starve_ms = 500;  /* milliseconds */

u32 stall;         /* no task is dispatched any more */
u32 error;         /* calls scx_bpf_error() with this number in the message */
s64 exit_code;     /* calls scx_bpf_exit() with this code */
u64 starve_cgroup; /* tasks of this cgroup go to STARVED; its ID is the inode of its directory */
u32 pile_up;       /* each task that may use CPU 0 is woken up there */
u32 wrong_cpu;     /* dispatches tasks to a CPU that they may not use, which is an error */
u32 unknown_queue; /* dispatches tasks to a queue that does not exist, which is an error */
u32 twice;         /* dispatches each task two times, which is an error */
u32 bounce;        /* moves each task to another CPU each time it is queued */

/* How often a task was queued normally, or in one of the faulty ways. */
u64 nr_queued, nr_bounced, nr_piled, nr_starved, nr_withheld, nr_unallowed;
u64 served_ns; /* when STARVED was served last */

/* The scheduler does not use what follows: tests of kt_bpf_read() and kt_bpf_write() do. */
u8 scratch[4096];
struct scratch_record {
	u8 byte;
	u16 half;
	u32 word;
	u64 quad;
	s32 negative;
	u32 low : 3;
	u32 high : 5;
	char text[16];
	struct {
		u64 inner[4];
	} nested;
} scratch_record;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct scratch_record);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, struct scratch_record);
} table SEC(".maps");

/* Only the cgroup itself counts, not the cgroups below it. */
static inline bool is_starved(struct task_struct *p)
{
	return starve_cgroup && BPF_CORE_READ(p, cgroups, dfl_cgrp, kn, id) == starve_cgroup;
}

static inline bool may_use(struct task_struct *p, u32 cpu)
{
	return p->cpus_ptr->bits[0] >> (cpu & 63) & 1;
}

/*
 * Ends the scheduler if a test asks for it. All callbacks that run often call this, because some of
 * them stop running when a test also withholds all tasks.
 */
static inline void misbehave(void)
{
	static char error_format[] = "the fault scheduler was told to fail with %llu";
	static char exit_format[] = "the fault scheduler was told to leave with %lld";
	unsigned long long number;

	if (error) {
		number = error;
		scx_bpf_error_bstr(error_format, &number, sizeof(number));
	}
	if (exit_code) {
		number = exit_code;
		scx_bpf_exit_bstr(exit_code, exit_format, &number, sizeof(number));
	}
}

/* The next CPU after the task's present one that the task may use, in a circle. */
static inline s32 next_cpu(struct task_struct *p)
{
	u32 n = scx_bpf_nr_cpu_ids(), cpu = (u32)scx_bpf_task_cpu(p);

	for (u32 i = 0; i < 64 && n; i++) {
		cpu = (cpu + 1) % n;
		if (may_use(p, cpu))
			break;
	}
	return (s32)cpu;
}

/* The first CPU that the task may not use; -1 when it may use all. */
static inline s32 unallowed_cpu(struct task_struct *p)
{
	u32 n = scx_bpf_nr_cpu_ids();

	for (u32 cpu = 0; cpu < 64 && cpu < n; cpu++) {
		if (!may_use(p, cpu))
			return (s32)cpu;
	}
	return -1;
}

s32 SCX_CALLBACK(fault_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;

	misbehave();
	if (pile_up && may_use(p, 0)) {
		count(&nr_piled);
		return 0;
	}
	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);
}

void SCX_CALLBACK(fault_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice = slice_us * 1000;
	s32 cpu;

	misbehave();
	if (twice)
		scx_bpf_dsq_insert(p, QUEUE, slice, enq_flags);
	if (unknown_queue) {
		scx_bpf_dsq_insert(p, UNKNOWN, slice, enq_flags);
	} else if (stall) {
		count(&nr_withheld);
		scx_bpf_dsq_insert(p, NEVER_SERVED, slice, enq_flags);
	} else if (is_starved(p)) {
		count(&nr_starved);
		scx_bpf_dsq_insert(p, STARVED, slice, enq_flags);
	} else if (wrong_cpu && (cpu = unallowed_cpu(p)) >= 0) {
		count(&nr_unallowed);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice, enq_flags);
	} else if (pile_up && may_use(p, 0)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | 0, slice, enq_flags);
	} else if (bounce && p->nr_cpus_allowed > 1) {
		count(&nr_bounced);
		cpu = next_cpu(p);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice, enq_flags);
		scx_bpf_kick_cpu(cpu, 0);
	} else {
		count(&nr_queued);
		scx_bpf_dsq_insert(p, QUEUE, slice, enq_flags);
	}
}

void SCX_CALLBACK(fault_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = bpf_ktime_get_ns();

	misbehave();
	if (stall)
		return;
	if (now - served_ns > starve_ms * 1000000 && scx_bpf_dsq_move_to_local(STARVED)) {
		served_ns = now;
		return;
	}
	scx_bpf_dsq_move_to_local(QUEUE);
}

void SCX_CALLBACK(fault_tick, struct task_struct *p)
{
	misbehave();
}

/*
 * A BPF program cannot sleep for a given time: it reads the clock in a loop. Returns 1 to end it.
 */
static int wait_a_little(u32 i, u64 *end_ns)
{
	return bpf_ktime_get_ns() >= *end_ns;
}

s32 SCX_SLEEPABLE(fault_init)
{
	u64 end_ns = bpf_ktime_get_ns() + (u64)slow_init_ms * 1000000;

	if (slow_init_ms)
		bpf_loop(1 << 23, wait_a_little, &end_ns, 0);
	return init_error ?: scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(NEVER_SERVED, -1)
			  ?: scx_bpf_create_dsq(STARVED, -1);
}

void SCX_CALLBACK(fault_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(fault_ops, .select_cpu = (void *)fault_select_cpu, .enqueue = (void *)fault_enqueue,
	      .dispatch = (void *)fault_dispatch, .tick = (void *)fault_tick,
	      .init = (void *)fault_init, .exit = (void *)fault_exit, .name = "fault");
