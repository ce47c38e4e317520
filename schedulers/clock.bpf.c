/* SPDX-License-Identifier: MIT */
/*
 * fifo, which also records what it reads: the clock of sched_ext when a task wakes up, and a
 * variable of its own that nothing else depends on. For tests that change both from outside.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE 0

u64 scx_bpf_now(void) __ksym;

const volatile u64 slice_us = 20000; /* microseconds */

u64 nr_direct;    /* tasks that went to an idle CPU without waiting */
u64 now_seen;     /* what scx_bpf_now() gave when a task last woke up */
u64 scratch;      /* for writes from outside */
u64 scratch_seen; /* its value when a task last woke up */
u64 scratch_kva;  /* its address in the kernel */

s32 SCX_CALLBACK(clock_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	now_seen = scx_bpf_now();
	scratch_seen = scratch;
	scratch_kva = (u64)&scratch;
	return scx_take_idle_cpu(p, prev_cpu, wake_flags, slice_us * 1000, &nr_direct);
}

void SCX_CALLBACK(clock_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, QUEUE, slice_us * 1000, enq_flags);
}

void SCX_CALLBACK(clock_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 SCX_SLEEPABLE(clock_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(clock_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(clock_ops, .select_cpu = (void *)clock_select_cpu, .enqueue = (void *)clock_enqueue,
	      .dispatch = (void *)clock_dispatch, .init = (void *)clock_init,
	      .exit = (void *)clock_exit, .name = "clock");
