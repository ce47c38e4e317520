/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/priorities.h"

#include <string.h>

#include "vmm/qemu/plugin/random.h"

/*
 * Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010), for vCPUs instead of threads.
 * The seed gives each vCPU a priority, and always the runnable one with the highest runs. At
 * depth - 1 instructions that the seed chooses among those of the run, the vCPU that runs falls
 * behind all others. A bug that needs d events in a certain order is found by one run with a
 * probability of at least 1 in n * k^(d-1), for n vCPUs and k instructions.
 *
 * QEMU visits vCPUs in a fixed order. One that is visited out of turn executes one block of
 * instructions, at whose beginning its turn is ended, so priorities hold up to a block.
 *
 * Whoever waits for another vCPU by spinning would wait for ever. So a vCPU also falls behind all
 * others with a PAUSE, by which kernels and libraries tell that they spin, and when it has run for
 * long while another was runnable.
 *
 * How long a run will be is not known when it begins. Unless it is told, the seed guesses.
 */

#define VCPUS_MAX     256u
#define STRETCH       50  /* instructions until a vCPU that has become runnable is seen */
#define PATIENCE      4   /* mean turns for which a runnable vCPU waits, in the mean */
#define LENGTH_SHIFT  16u /* of the shortest run that the seed guesses, as a power of 2 */
#define LENGTH_SHIFTS 10u /* number of lengths, each twice the one before */
#define PAUSE_LEN     2u  /* bytes: f3 90 */

struct vcpu {
	struct kt_qemu_cpu *cpu;
	int64_t priority; /* the highest runs */
};

static struct {
	bool on;
	struct kt_random random;
	struct vcpu vcpus[VCPUS_MAX];
	unsigned int n;
	int64_t lowest; /* of all priorities */
	uint64_t changes[KT_TURNS_DEPTH_MAX];
	unsigned int n_changes; /* that are still to come */
	uint64_t mean_patience;
	uint64_t patience;        /* instructions for which others wait this time */
	const struct vcpu *first; /* the one that was let run last */
	uint64_t first_insns;     /* when it began to keep others waiting */
} priorities;

/* Fisher-Yates: vCPUs in any order are as likely. */
static void draw_priorities(void)
{
	struct vcpu *vcpus = priorities.vcpus;

	for (priorities.n = 0; priorities.n < VCPUS_MAX; priorities.n++) {
		unsigned int n = priorities.n, k;
		struct kt_qemu_cpu *cpu = kt_api.qemu_get_cpu((int)n);

		if (!cpu)
			break;
		k = (unsigned int)(kt_random_draw(&priorities.random) % (n + 1));
		vcpus[n] = (struct vcpu){ .cpu = cpu, .priority = vcpus[k].priority };
		vcpus[k].priority = n + 1;
	}
}

/* Later changes come first in the array. */
static void draw_changes(uint64_t length, unsigned int n)
{
	priorities.n_changes = n;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t change = kt_random_draw(&priorities.random) % length;
		unsigned int at = i;

		for (; at && priorities.changes[at - 1] < change; at--)
			priorities.changes[at] = priorities.changes[at - 1];
		priorities.changes[at] = change;
	}
}

static void draw_patience(void)
{
	uint64_t mean = priorities.mean_patience;

	priorities.patience = mean / 2 + kt_random_draw(&priorities.random) % mean;
}

void kt_priorities_seed(const struct kt_turns *how)
{
	uint64_t guess;

	memset(&priorities, 0, sizeof(priorities));
	if (how->policy != KT_TURNS_PCT)
		return;
	priorities.on = true;
	kt_random_seed(&priorities.random, how->seed ^ 0x7072696f72697479u);
	draw_priorities();
	guess = UINT64_C(1) << (LENGTH_SHIFT + kt_random_draw(&priorities.random) % LENGTH_SHIFTS);
	draw_changes(how->length ?: guess, how->depth - 1);
	priorities.mean_patience = (uint64_t)how->mean * PATIENCE;
	draw_patience();
}

bool kt_priorities_decide(void)
{
	return priorities.on;
}

static struct vcpu *find(const struct kt_qemu_cpu *cpu)
{
	for (unsigned int i = 0; i < priorities.n; i++)
		if (priorities.vcpus[i].cpu == cpu)
			return &priorities.vcpus[i];
	return NULL;
}

static void fall_behind(struct kt_qemu_cpu *cpu)
{
	struct vcpu *vcpu = find(cpu);

	if (vcpu)
		vcpu->priority = --priorities.lowest;
}

/* The runnable vCPU with the highest priority, and the number of all that are runnable. */
static const struct vcpu *look(unsigned int *ret_runnable)
{
	const struct vcpu *best = NULL;

	*ret_runnable = 0;
	for (unsigned int i = 0; i < priorities.n; i++) {
		const struct vcpu *vcpu = &priorities.vcpus[i];

		if (kt_api.cpu_thread_is_idle(vcpu->cpu))
			continue;
		++*ret_runnable;
		if (!best || vcpu->priority > best->priority)
			best = vcpu;
	}
	return best;
}

bool kt_priorities_end_turn(struct kt_qemu_cpu *cpu, uint64_t insns, int64_t *ret_stretch)
{
	unsigned int runnable;
	const struct vcpu *best;

	*ret_stretch = STRETCH;
	while (priorities.n_changes && insns >= priorities.changes[priorities.n_changes - 1]) {
		priorities.n_changes--;
		fall_behind(cpu);
	}
	best = look(&runnable);
	if (best != priorities.first || runnable < 2)
		priorities.first_insns = insns;
	priorities.first = best;
	if (best && insns - priorities.first_insns > priorities.patience) {
		fall_behind(best->cpu);
		draw_patience();
		best = look(&runnable);
	}
	return best && best->cpu != cpu;
}

/* QEMU itself ends the turn at a PAUSE. */
static void on_pause(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (priorities.on)
		fall_behind(kt_api_current_cpu());
}

void kt_priorities_on_translate(struct qemu_plugin_tb *tb)
{
	static const uint8_t pause[PAUSE_LEN] = { 0xf3, 0x90 };

	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[PAUSE_LEN];

		if (qemu_plugin_insn_size(insn) == PAUSE_LEN &&
		    qemu_plugin_insn_data(insn, bytes, PAUSE_LEN) == PAUSE_LEN &&
		    !memcmp(bytes, pause, PAUSE_LEN))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_pause, KT_CB_NO_REGS, NULL);
	}
}
