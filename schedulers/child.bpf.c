/* SPDX-License-Identifier: MIT */
/*
 * A FIFO scheduler for the tasks of one cgroup, below parent.bpf.c, that misbehaves on demand. The
 * loader is told the cgroup: ops.sub_cgroup_id=INODE, of its directory.
 */
#include "schedulers/arena.bpf.h"

#define QUEUE        0
#define NEVER_SERVED 1 /* tasks in it wait until the watchdog finds them */

/* Faults, 0 at first; tests set them. */
u32 stall; /* not 0: tasks that are queued now are never dispatched */
u32 error; /* calls scx_bpf_error() with this number in the message */

u64 nr_queued; /* how often a task was queued normally */

static inline void misbehave(void)
{
	static char format[] = "the child was told to fail with %llu";
	unsigned long long number = error;

	if (number)
		scx_bpf_error_bstr(format, &number, sizeof(number));
}

void SCX_CALLBACK(child_enqueue, struct task_struct *p, u64 enq_flags)
{
	misbehave();
	if (!stall)
		count(&nr_queued);
	scx_bpf_dsq_insert(p, stall ? NEVER_SERVED : QUEUE, SCX_SLICE_DFL, enq_flags);
}

void SCX_CALLBACK(child_dispatch, s32 cid, struct task_struct *prev)
{
	misbehave();
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 SCX_SLEEPABLE(child_init)
{
	if (!arena_page())
		return -ENOMEM;
	return scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(NEVER_SERVED, -1);
}

void SCX_CALLBACK(child_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops_cid child_ops = { .enqueue = (void *)child_enqueue,
				       .dispatch = (void *)child_dispatch,
				       .init = (void *)child_init,
				       .exit = (void *)child_exit,
				       .name = "child" };
