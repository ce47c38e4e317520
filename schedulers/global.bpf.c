/* SPDX-License-Identifier: MIT */
/*
 * As little as a scheduler can be: one callback, and the kernel's own global queue. It calls one
 * kfunc only.
 */
#include "schedulers/scx.bpf.h"

u64 nr_queued; /* tasks that were put into the queue */

void SCX_CALLBACK(global_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void SCX_CALLBACK(global_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(global_ops, .enqueue = (void *)global_enqueue, .exit = (void *)global_exit,
	      .name = "global");
