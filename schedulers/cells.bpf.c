/* SPDX-License-Identifier: MIT */
/*
 * A queue for each cell. A cell is an LLC, for tasks that may run everywhere, or a set of CPUs, for
 * tasks that may run on those only (by a cpuset or an affinity). A CPU serves the cells that it is
 * in by turns, and other LLCs when it has nothing else to do.
 */
#include "schedulers/scx.bpf.h"

#define CELLS 64u /* a cell's index is the ID of its DSQ */
#define LLCS  16u /* the first cells are for LLCs, the others for sets of CPUs */
#define CPUS  64u /* bits of a mask; CPUs from 64 on share bits with those below */

const volatile u64 slice_us = 20000; /* microseconds */

/* Tests read the following variables. */
struct cell {
	u64 cpus;      /* a bit for each CPU of the cell; 0: the cell is free */
	u64 nr_queued; /* how often a task was queued in it */
};

struct cell cells[CELLS];
u64 nr_direct;       /* tasks that went to an idle CPU without waiting */
u64 all_cpus;        /* a bit for each CPU of the machine */
u32 nr_cells;        /* cells from this index on are free */
u32 turns[CPUS];     /* the cell with which each CPU begins its next search, modulo CELLS */
u32 llc_cells[CPUS]; /* the cell of each CPU's LLC */
int llc_ids[LLCS];   /* the kernel's ID of each LLC cell */

/* Per CPU: a number that the CPUs of one LLC share, and no others (kernel/sched/topology.c). */
extern int sd_llc_id __ksym;

static inline int llc_id(u32 cpu)
{
	int *id = bpf_per_cpu_ptr(&sd_llc_id, cpu);

	return id ? *id : 0;
}

static inline u32 llc_cell(s32 cpu)
{
	return llc_cells[(u32)cpu % CPUS];
}

/*
 * The cell for a task. A set of CPUs that has no cell yet claims a free one; two CPUs that do this
 * at the same moment are ordered by the compare-and-swap. Cells are never freed.
 */
static inline u32 cell_of(struct task_struct *p)
{
	u64 cpus = p->cpus_ptr->bits[0] & all_cpus;

	if (cpus == all_cpus || !cpus)
		return llc_cell(scx_bpf_task_cpu(p));
	for (u32 i = LLCS; i < CELLS; i++) {
		u64 there = __sync_val_compare_and_swap(&cells[i].cpus, 0, cpus);

		if (!there && i >= nr_cells)
			nr_cells = i + 1;
		if (!there || there == cpus)
			return i;
	}
	return llc_cell(scx_bpf_task_cpu(p)); /* all cells are taken by other sets */
}

s32 SCX_CALLBACK(cells_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return scx_take_idle_cpu(p, prev_cpu, wake_flags, slice_us * 1000, &nr_direct);
}

void SCX_CALLBACK(cells_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 cell = cell_of(p) % CELLS;

	count(&cells[cell].nr_queued);
	scx_bpf_dsq_insert(p, cell, slice_us * 1000, enq_flags);
}

void SCX_CALLBACK(cells_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 bit = 1ULL << ((u32)cpu % CPUS);
	u32 first = turns[(u32)cpu % CPUS]++;

	for (u32 i = 0; i < CELLS; i++) {
		u32 cell = (first + i) % CELLS;

		if (cells[cell].cpus & bit && scx_bpf_dsq_move_to_local(cell))
			return;
	}
	for (u32 i = 0; i < LLCS; i++) {
		if (cells[i].cpus && scx_bpf_dsq_move_to_local(i))
			return;
	}
}

/* Adds the CPU to the cell of its LLC. LLCs get cells in the order of their first CPUs. */
static inline void add_cpu(u32 cpu)
{
	int id = llc_id(cpu);

	all_cpus |= 1ULL << (cpu % CPUS);
	for (u32 i = 0; i < LLCS; i++) {
		if (!cells[i].cpus || llc_ids[i] == id) {
			llc_ids[i] = id;
			cells[i].cpus |= 1ULL << (cpu % CPUS);
			llc_cells[cpu % CPUS] = i;
			return;
		}
	}
}

s32 SCX_SLEEPABLE(cells_init)
{
	u32 n = scx_bpf_nr_cpu_ids();
	u32 cpu;
	s32 r;

	bpf_for (cpu, 0, n < CPUS ? n : CPUS)
		add_cpu(cpu);
	nr_cells = LLCS;
	for (u32 i = 0; i < CELLS; i++) {
		r = scx_bpf_create_dsq(i, -1);
		if (r)
			return r;
	}
	return 0;
}

void SCX_CALLBACK(cells_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(cells_ops, .select_cpu = (void *)cells_select_cpu, .enqueue = (void *)cells_enqueue,
	      .dispatch = (void *)cells_dispatch, .init = (void *)cells_init,
	      .exit = (void *)cells_exit, .name = "cells");
