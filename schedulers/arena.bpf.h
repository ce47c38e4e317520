/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The arena that each struct sched_ext_ops_cid needs: the kernel refuses one whose programs use
 * none, and takes a part of it for itself.
 */

#include "schedulers/scx.bpf.h"

#define ARENA_PAGES 1024
#define ENOMEM      12 /* vmlinux.h has no macros */

void *bpf_arena_alloc_pages(void *map, void *addr, u32 page_cnt, int node_id, u64 flags) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ARENA_PAGES);
} arena SEC(".maps");

/* A page of zeroes, by the address that kfuncs take; NULL: there is none. */
static inline void *arena_page(void)
{
	return bpf_arena_alloc_pages(&arena, (void *)0, 1, -1, 0);
}

/*
 * The arena of a program is the one that it refers to. A program that only passes on an address
 * says so by this.
 */
static inline void arena_refer(void)
{
	asm volatile("" ::"r"(&arena));
}
