/* SPDX-License-Identifier: MIT */
/*
 * A FIFO scheduler that lets others attach below it (child.bpf.c): a sub-scheduler has the tasks of
 * a cgroup. It may use all CPUs at any time, and each CPU serves it and the tasks of the parent by
 * turns.
 *
 * Kernels allow this to schedulers of the type sched_ext_ops_cid (kernel/sched/ext/sub.c). A child
 * dispatches only when its parent's dispatch callback calls it, and only on CPUs that the parent
 * has granted it, as a mask in the arena.
 */
#include "schedulers/arena.bpf.h"

#define QUEUE    0
#define CHILDREN 8u
#define CPUS     64u
#define ENOSPC   28

bool scx_bpf_sub_dispatch(u64 cgroup_id) __ksym;
s32 scx_bpf_sub_grant(u64 cgroup_id, u64 caps, const struct scx_cmask *cmask,
		      struct scx_cmask *denied) __ksym;
u32 scx_bpf_nr_cids(void) __ksym;

u64 children[CHILDREN]; /* cgroups with a scheduler of their own, by their IDs; 0: none */
u64 nr_queued;          /* how often a task was queued */
u64 nr_given;           /* how often a child had the CPU for its tasks */
u32 turns[CPUS];        /* a counter for each CPU: at an odd number its children come first */

static struct scx_cmask *all_cpus; /* as kfuncs take it */

/*
 * A pointer into the arena by which a program can write. This is the instruction that clang has for
 * address spaces since version 19: r1 = addr_space_cast(r1, 0, 1).
 */
static inline void *arena_cast(void *address)
{
	void *pointer;

	asm volatile("r1 = %[address]\n"
		     ".byte 0xbf, 0x11, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00\n"
		     "%[pointer] = r1"
		     : [pointer] "=r"(pointer)
		     : [address] "r"(address)
		     : "r1");
	return pointer;
}

void SCX_CALLBACK(parent_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);
}

static inline bool serve_children(void)
{
	for (u32 i = 0; i < CHILDREN; i++) {
		if (children[i] && scx_bpf_sub_dispatch(children[i])) {
			count(&nr_given);
			return true;
		}
	}
	return false;
}

void SCX_CALLBACK(parent_dispatch, s32 cid, struct task_struct *prev)
{
	if (turns[(u32)cid % CPUS]++ % 2) {
		if (!serve_children())
			scx_bpf_dsq_move_to_local(QUEUE);
	} else if (!scx_bpf_dsq_move_to_local(QUEUE)) {
		serve_children();
	}
}

s32 SCX_CALLBACK(parent_sub_attach, struct scx_sub_attach_args *args)
{
	u64 cgroup = args->ops->sub_cgroup_id;

	arena_refer();
	for (u32 i = 0; i < CHILDREN; i++) {
		if (children[i])
			continue;
		children[i] = cgroup;
		return scx_bpf_sub_grant(cgroup, __SCX_CAP_ALL, all_cpus, NULL);
	}
	return -ENOSPC;
}

void SCX_CALLBACK(parent_sub_detach, struct scx_sub_detach_args *args)
{
	u64 cgroup = args->ops->sub_cgroup_id;

	for (u32 i = 0; i < CHILDREN; i++) {
		if (children[i] == cgroup)
			children[i] = 0;
	}
}

s32 SCX_SLEEPABLE(parent_init)
{
	struct scx_cmask *mask;
	u32 n = scx_bpf_nr_cids();

	all_cpus = arena_page();
	if (!all_cpus)
		return -ENOMEM;
	mask = arena_cast(all_cpus);
	mask->nr_cids = n < CPUS ? n : CPUS;
	mask->alloc_words = 2;
	mask->bits[0] = n < CPUS ? (1ULL << n) - 1 : ~0ULL;
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(parent_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SEC(".struct_ops.link")
struct sched_ext_ops_cid parent_ops = { .enqueue = (void *)parent_enqueue,
					.dispatch = (void *)parent_dispatch,
					.sub_attach = (void *)parent_sub_attach,
					.sub_detach = (void *)parent_sub_detach,
					.init = (void *)parent_init,
					.exit = (void *)parent_exit,
					.name = "parent" };
