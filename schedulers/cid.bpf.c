/* SPDX-License-Identifier: MIT */
/*
 * A scheduler of the type for schedulers that address CPUs by their topological number (cid), which
 * kernels have since 7.2 (kernel/sched/ext.c, struct sched_ext_ops_cid). It is global.bpf.c as this
 * type. The kernel refuses one whose programs use no arena.
 */
#include "schedulers/scx.bpf.h"

#define ARENA_PAGES 1024 /* the kernel takes a part for itself */
#define ENOMEM      12   /* vmlinux.h has no macros */

void *bpf_arena_alloc_pages(void *map, void *addr, u32 page_cnt, int node_id, u64 flags) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ARENA_PAGES);
} arena SEC(".maps");

u64 nr_queued; /* tasks that were put into the queue */

void SCX_CALLBACK(cid_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_SLEEPABLE(cid_init)
{
	return bpf_arena_alloc_pages(&arena, (void *)0, 1, -1, 0) ? 0 : -ENOMEM;
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
