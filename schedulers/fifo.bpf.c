/* SPDX-License-Identifier: MIT */
/*
 * The simplest fair scheduler: one DSQ for all CPUs, in which the task that has waited longest runs
 * next. A task that wakes up while a CPU is idle runs there at once.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE 0

const volatile u64 slice_us = 20000; /* microseconds */

u64 nr_direct; /* tasks that went to an idle CPU without waiting */
u64 nr_queued; /* tasks that were put into the queue */

s32 SCX_CALLBACK(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return scx_take_idle_cpu(p, prev_cpu, wake_flags, slice_us * 1000, &nr_direct);
}

void SCX_CALLBACK(fifo_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, QUEUE, slice_us * 1000, enq_flags);
}

void SCX_CALLBACK(fifo_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 SCX_SLEEPABLE(fifo_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(fifo_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(fifo_ops, .select_cpu = (void *)fifo_select_cpu, .enqueue = (void *)fifo_enqueue,
	      .dispatch = (void *)fifo_dispatch, .init = (void *)fifo_init,
	      .exit = (void *)fifo_exit, .name = "fifo");
