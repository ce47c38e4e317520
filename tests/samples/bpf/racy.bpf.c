/* SPDX-License-Identifier: MIT */
/*
 * A scheduler with two faults that show themselves only if two CPUs meet: it counts without atomic
 * instructions, and it loses a task if two CPUs find its slot empty at the same time.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE    0
#define SLICE_NS 5000000

struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

const volatile bool use_slot;

volatile u64 nr_plain; /* tasks that were put into the queue */
u64 nr_atomic;         /* the same */
volatile s32 slot;     /* a task that waits beside the queue; 0: none */

void SCX_CALLBACK(racy_enqueue, struct task_struct *p, u64 enq_flags)
{
	nr_plain = nr_plain + 1;
	__sync_fetch_and_add(&nr_atomic, 1);
	if (use_slot && p->nr_cpus_allowed > 1 && !slot)
		slot = p->pid;
	else
		scx_bpf_dsq_insert(p, QUEUE, SLICE_NS, enq_flags);
}

static bool take_slot(void)
{
	s32 pid = slot;
	struct task_struct *p;

	if (!pid)
		return false;
	slot = 0;
	p = bpf_task_from_pid(pid);
	if (!p)
		return false;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SLICE_NS, 0);
	bpf_task_release(p);
	return true;
}

void SCX_CALLBACK(racy_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!take_slot())
		scx_bpf_dsq_move_to_local(QUEUE);
}

s32 SCX_SLEEPABLE(racy_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(racy_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(racy_ops, .enqueue = (void *)racy_enqueue, .dispatch = (void *)racy_dispatch,
	      .init = (void *)racy_init, .exit = (void *)racy_exit, .name = "racy");
