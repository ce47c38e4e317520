/* SPDX-License-Identifier: MIT */
/*
 * A scheduler of the type for schedulers that address CPUs by their topological number (cid), which
 * kernels have since 7.2 (kernel/sched/ext.c, struct sched_ext_ops_cid). It is global.bpf.c as this
 * type.
 */
#include "schedulers/arena.bpf.h"

u64 nr_queued; /* tasks that were put into the queue */

void SCX_CALLBACK(cid_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_SLEEPABLE(cid_init)
{
	return arena_page() ? 0 : -ENOMEM;
}

void SCX_CALLBACK(cid_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops_cid cid_ops = { .enqueue = (void *)cid_enqueue,
				     .init = (void *)cid_init,
				     .exit = (void *)cid_exit,
				     .name = "cid" };
