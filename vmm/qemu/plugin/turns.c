/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/turns.h"

#include "vmm/qemu/plugin/idle.h"
#include "vmm/qemu/plugin/random.h"

/*
 * Under icount QEMU executes the vCPUs in one thread and in turns, and lets a turn last until the
 * next timer is due. Among the timers are some of the host's, so two restores of one state do not
 * take turns at the same instructions. Here each turn ends after a number of instructions that a
 * seed decides, which is sooner than QEMU would end it: the order in which vCPUs run is then a
 * function of the seed.
 */
static struct {
	struct kt_random random;
	uint64_t mean;
	int64_t left; /* instructions of this turn */
	uint64_t ended;
} turns = { .random = { 1 }, .mean = 10000, .left = 10000 };

static void begin_turn(void)
{
	turns.left = (int64_t)(turns.mean / 2 + kt_random_draw(&turns.random) % turns.mean);
}

void kt_turns_seed(uint64_t seed, uint64_t mean)
{
	kt_random_seed(&turns.random, seed);
	turns.mean = mean;
	turns.ended = 0;
	begin_turn();
}

uint64_t kt_turns_ended(void)
{
	return turns.ended;
}

static void on_block(unsigned int vcpu, void *n_insns)
{
	struct kt_qemu_cpu *cpu;

	(void)vcpu;
	kt_idle_on_block();
	turns.left -= (int64_t)(uintptr_t)n_insns;
	if (turns.left > 0)
		return;
	begin_turn();
	turns.ended++;
	cpu = kt_api_current_cpu();
	if (cpu)
		kt_api.cpu_exit(cpu);
}

void kt_turns_on_translate(struct qemu_plugin_tb *tb)
{
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, KT_CB_NO_REGS,
					     (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}
