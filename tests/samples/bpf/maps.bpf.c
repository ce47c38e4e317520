/* SPDX-License-Identifier: MIT */
/*
 * A scheduler like fifo, with BPF maps of each kind that vmm/inspect/ shows. What they hold is
 * known: tests/checks/inspect_walk.py compares it with what is seen from outside.
 */
#include "schedulers/scx.bpf.h"

#define QUEUE   7
#define ENTRIES 4
#define MAGIC   0x6b746573u
#define PAGE    4096u

enum mood { MOOD_CALM, MOOD_BUSY = 5 };

struct pair {
	u32 key;
	u16 halves[2];
	enum mood mood;
	u64 square;
};

struct note {
	u32 magic;
	s32 pid;
};

const volatile u64 slice_us = 20000;
const volatile char greeting[16] = "hello";

u64 nr_queued;
struct pair last = {};

struct pair
	first SEC(".data") = { .key = 11, .halves = { 1, 2 }, .mood = MOOD_BUSY, .square = 121 };
s32 negative SEC(".data") = -3;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, u32);
	__type(value, struct pair);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct pair);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, u32);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} per_cpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct note);
} notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__ulong(map_extra, 0x100000000000ull);
} arena SEC(".maps");

void *bpf_arena_alloc_pages(void *map, void *addr, u32 pages, int node, u64 flags) __ksym __weak;

/*
 * Makes an address of the arena one that can be followed: an instruction that clang has no name for
 * before version 18 (the kernel's Documentation/bpf/standardization/instruction-set.rst: MOV with
 * offset 1). The register that holds it is 2.
 */
#define FOLLOW(pointer)                                                                            \
	asm volatile("r2 = %[in]\n"                                                                \
		     ".byte 0xbf, 0x22, 1, 0, 1, 0, 0, 0\n"                                        \
		     "%[out] = r2\n"                                                               \
		     : [out] "=r"(pointer)                                                         \
		     : [in] "r"(pointer)                                                           \
		     : "r2")

s32 SCX_CALLBACK(maps_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;

	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);
}

void SCX_CALLBACK(maps_enqueue, struct task_struct *p, u64 enq_flags)
{
	count(&nr_queued);
	scx_bpf_dsq_insert(p, QUEUE, slice_us * 1000, enq_flags);
}

void SCX_CALLBACK(maps_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 SCX_SLEEPABLE(maps_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct note *note = bpf_task_storage_get(&notes, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!note)
		return -12;
	note->magic = MAGIC;
	note->pid = p->pid;
	return 0;
}

static inline void fill_per_cpu(void)
{
	u32 cpu, key = 1;

	bpf_for (cpu, 0, scx_bpf_nr_cpu_ids()) {
		u64 *value = bpf_map_lookup_percpu_elem(&per_cpu, &key, cpu);

		if (value)
			*value = 1000 + cpu;
	}
}

static inline void fill_arena(void)
{
	u32 *page;

	if (!bpf_ksym_exists(bpf_arena_alloc_pages))
		return;
	page = bpf_arena_alloc_pages(&arena, NULL, 2, -1, 0);
	if (!page)
		return;
	FOLLOW(page);
	page[0] = MAGIC;
}

s32 SCX_SLEEPABLE(maps_init)
{
	u64 here = 55;
	u32 i;

	bpf_for (i, 0, 40) {
		struct pair pair = { .key = i, .halves = { i, i + 1 }, .square = i * i };
		u64 wide = i * 10;

		pair.mood = i & 1 ? MOOD_BUSY : MOOD_CALM;
		bpf_map_update_elem(&pairs, &i, &pair, BPF_ANY);
		bpf_map_update_elem(&recent, &wide, &i, BPF_ANY);
		if (i < ENTRIES)
			bpf_map_update_elem(&table, &i, &pair, BPF_ANY);
	}
	i = 3;
	bpf_map_update_elem(&per_cpu_hash, &i, &here, BPF_ANY);
	last.key = 99;
	last.mood = MOOD_BUSY;
	fill_per_cpu();
	fill_arena();
	return scx_bpf_create_dsq(QUEUE, -1);
}

void SCX_CALLBACK(maps_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(maps_ops, .select_cpu = (void *)maps_select_cpu, .enqueue = (void *)maps_enqueue,
	      .dispatch = (void *)maps_dispatch, .init_task = (void *)maps_init_task,
	      .init = (void *)maps_init, .exit = (void *)maps_exit, .name = "maps");
