/* SPDX-License-Identifier: MIT */
/*
 * The smallest possible scheduler: one callback, one kfunc, and the kernel's built-in global DSQ.
 * Kernels that lack other kfuncs still load it.
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
