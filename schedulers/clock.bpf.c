/* SPDX-License-Identifier: MIT */
/*
 * Leaves tasks to the kernel's own global queue, and records what it reads: the clock of sched_ext
 * when a task wakes up, and a variable of its own that nothing else depends on. For tests that
 * change both from outside. It calls one kfunc only, so that it also runs on kernels whose BTF
 * describes others wrongly (docs/kernels.md).
 */
#include "schedulers/scx.bpf.h"

u64 scx_bpf_now(void) __ksym;

u64 now_seen;     /* what scx_bpf_now() gave when a task last woke up */
u64 scratch;      /* for writes from outside */
u64 scratch_seen; /* its value when a task last woke up */
u64 scratch_kva;  /* its address in the kernel */

s32 SCX_CALLBACK(clock_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	now_seen = scx_bpf_now();
	scratch_seen = scratch;
	scratch_kva = (u64)&scratch;
	return prev_cpu;
}

void SCX_CALLBACK(clock_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(clock_ops, .select_cpu = (void *)clock_select_cpu, .exit = (void *)clock_exit,
	      .name = "clock");
