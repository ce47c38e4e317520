/* SPDX-License-Identifier: MIT */
/* A scheduler that the verifier refuses, because it reads past the end of an array. */
#include "schedulers/scx.bpf.h"

u32 numbers[4];
u32 which;
u64 sum;

void SCX_CALLBACK(refused_enqueue, struct task_struct *p, u64 enq_flags)
{
	sum += numbers[which];
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_SCHEDULER(refused_ops, .enqueue = (void *)refused_enqueue, .name = "refused");
