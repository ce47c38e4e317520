/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/turns.h"

#include <errno.h>

#include "vmm/qemu/plugin/conflicts.h"
#include "vmm/qemu/plugin/idle.h"
#include "vmm/qemu/plugin/limit.h"
#include "vmm/qemu/plugin/priorities.h"
#include "vmm/qemu/plugin/random.h"

/*
 * Under icount QEMU executes the vCPUs in one thread and in turns, and lets a turn last until the
 * next timer is due. Among the timers are some of the host's, so two restores of one state do not
 * take turns at the same instructions. Here each turn ends after a number of instructions that a
 * seed decides, which is sooner than QEMU would end it: the order in which vCPUs run is then a
 * function of the seed. Two more policies end turns at other instructions too (conflicts.c), or
 * instead (priorities.c).
 */
static struct {
	struct kt_random random;
	uint64_t mean;
	int64_t left;            /* instructions of this turn, or until priorities decide again */
	struct kt_qemu_cpu *cpu; /* that executes; NULL: not known yet */
	struct kt_turns_made made;
} turns = { .random = { 1 }, .mean = 10000, .left = 10000 };

static int64_t random_length(void)
{
	return (int64_t)(turns.mean / 2 + kt_random_draw(&turns.random) % turns.mean);
}

static bool is_valid(const struct kt_turns *how)
{
	return how->policy < KT_N_TURNS_POLICIES && how->mean >= KT_TURNS_MEAN_MIN &&
	       how->mean <= KT_TURNS_MEAN_MAX && how->depth && how->depth <= KT_TURNS_DEPTH_MAX;
}

int kt_turns_seed(const struct kt_turns *how)
{
	if (!is_valid(how))
		return -ERANGE;
	if (how->policy == KT_TURNS_CONFLICT && !kt_conflicts_are_watched())
		return -ENOTSUP;
	kt_random_seed(&turns.random, how->seed);
	turns.mean = how->mean;
	turns.cpu = NULL;
	turns.made = (struct kt_turns_made){ 0 };
	kt_conflicts_seed(how->seed, how->policy == KT_TURNS_CONFLICT);
	kt_priorities_seed(how);
	turns.left = kt_priorities_decide() ? 0 : random_length();
	return 0;
}

struct kt_turns_made kt_turns_made(void)
{
	return turns.made;
}

struct kt_qemu_cpu *kt_turns_last(void)
{
	return turns.cpu;
}

void kt_turns_end(struct kt_qemu_cpu *cpu)
{
	turns.made.ended++;
	kt_api.cpu_exit(cpu);
}

/* With priorities, the first block of a turn asks whether the vCPU may have it. */
static void begin_turn(struct kt_qemu_cpu *cpu)
{
	turns.made.switches += turns.cpu != NULL;
	turns.cpu = cpu;
	if (kt_priorities_decide())
		turns.left = 0;
}

static void on_block(unsigned int vcpu, void *n_insns)
{
	struct kt_qemu_cpu *cpu = kt_api_current_cpu();
	bool ends = true;

	(void)vcpu;
	kt_idle_on_block();
	kt_limit_on_block();
	kt_conflicts_on_block();
	turns.made.insns += (uintptr_t)n_insns;
	turns.left -= (int64_t)(uintptr_t)n_insns;
	if (cpu != turns.cpu)
		begin_turn(cpu);
	if (turns.left > 0 || !cpu)
		return;
	if (kt_priorities_decide())
		ends = kt_priorities_end_turn(cpu, turns.made.insns, &turns.left);
	else
		turns.left = random_length();
	if (ends)
		kt_turns_end(cpu);
}

void kt_turns_on_translate(struct qemu_plugin_tb *tb)
{
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, KT_CB_NO_REGS,
					     (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}
