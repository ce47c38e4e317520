/* SPDX-License-Identifier: MIT */
/*
 * Weighted fairness: one queue for all CPUs in the order of virtual time. The virtual time of a
 * task advances more slowly if the task has a greater weight. The weight is that of the task's nice
 * value; cpu.weight of its cgroup has no effect.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE          0
#define DEFAULT_WEIGHT 100

const volatile u64 slice_us = 20000; /* microseconds */

u64 nr_direct, nr_queued; /* tasks that went to an idle CPU, and those that had to wait */
u64 vtime_now;            /* the highest virtual time of a task that has run */

/* Compares virtual times, which may wrap around. */
static inline bool is_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

s32 SCX_CALLBACK(vtime_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return scx_take_idle_cpu(p, prev_cpu, wake_flags, slice_us * 1000, &nr_direct);
}

void SCX_CALLBACK(vtime_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 vtime = p->scx.dsq_vtime;

	/* A task that has slept for long gets an advantage of one slice at most. */
	if (is_before(vtime, vtime_now - slice_us * 1000))
		vtime = vtime_now - slice_us * 1000;
	count(&nr_queued);
	scx_bpf_dsq_insert_vtime(p, QUEUE, slice_us * 1000, vtime, enq_flags);
}

/* The virtual time of the task after another @ran_ns on a CPU. */
static inline u64 vtime_of(struct task_struct *p, u64 ran_ns)
{
	return p->scx.dsq_vtime + ran_ns * DEFAULT_WEIGHT / p->scx.weight;
}

/* Whether a task waits whose virtual time is before @vtime. */
static inline bool is_earlier_task_waiting(u64 vtime)
{
	struct task_struct *p;
	bool waits = false;

	bpf_for_each(scx_dsq, p, QUEUE, 0)
	{
		waits = is_before(p->scx.dsq_vtime, vtime);
		break; /* the first has the least */
	}
	return waits;
}

/*
 * The task that has used up its slice is in no queue yet. Unless it is asked first, two tasks on
 * one CPU take turns whatever their weights are.
 */
void SCX_CALLBACK(vtime_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 vtime;

	if (prev && prev->scx.flags & SCX_TASK_QUEUED && !prev->scx.slice) {
		vtime = vtime_of(prev, slice_us * 1000);
		if (!is_earlier_task_waiting(vtime)) {
			prev->scx.dsq_vtime = vtime;
			prev->scx.slice = slice_us * 1000;
			return;
		}
	}
	scx_bpf_dsq_move_to_local(QUEUE);
}

void SCX_CALLBACK(vtime_running, struct task_struct *p)
{
	if (is_before(vtime_now, p->scx.dsq_vtime))
		vtime_now = p->scx.dsq_vtime;
}

void SCX_CALLBACK(vtime_stopping, struct task_struct *p, bool runnable)
{
	u64 used = slice_us * 1000 - p->scx.slice;

	/* The kernel may have refilled the slice to its own default. */
	if (p->scx.slice > slice_us * 1000)
		used = 0;
	p->scx.dsq_vtime = vtime_of(p, used);
}

void SCX_CALLBACK(vtime_enable, struct task_struct *p)
{
	p->scx.dsq_vtime = vtime_now;
}

s32 SCX_SLEEPABLE(vtime_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(vtime_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(vtime_ops, .select_cpu = (void *)vtime_select_cpu, .enqueue = (void *)vtime_enqueue,
	      .dispatch = (void *)vtime_dispatch, .running = (void *)vtime_running,
	      .stopping = (void *)vtime_stopping, .enable = (void *)vtime_enable,
	      .init = (void *)vtime_init, .exit = (void *)vtime_exit, .name = "vtime");
