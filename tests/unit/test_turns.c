/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is: the plugin's policies in a machine whose vCPUs execute nothing. As in QEMU,
 * vCPUs are visited in a fixed order, and a turn that is ended lasts to the end of its block.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/qemu/plugin/api.h"
#include "vmm/qemu/plugin/conflicts.h"
#include "vmm/qemu/plugin/priorities.h"
#include "vmm/qemu/plugin/turns.h"

UNIT_SUITE(turns);
UNIT_SUITE(pct);
UNIT_SUITE(conflict);

#define BLOCK     5u      /* instructions */
#define QEMU_TURN 100000u /* instructions after which QEMU itself ends a turn */
#define N_CPUS    3u
#define MEAN      1000u
#define WORD      (UINT64_C(0xffff) << 48) /* an address of the kernel */

struct kt_qemu_cpu {
	bool idle;
	bool leaves;
	bool pauses; /* executes nothing but PAUSE */
	uint64_t insns;
};

struct qemu_plugin_insn {
	uint8_t bytes[5];
	uint8_t len; /* 0: two zero bytes */
};

/* @n times the same instruction. */
struct qemu_plugin_tb {
	struct qemu_plugin_insn insn;
	size_t n;
};

static struct {
	struct kt_qemu_cpu cpus[N_CPUS];
	unsigned int n;
	struct kt_qemu_cpu *current;
	uint64_t insns; /* of all */
	uint64_t wakes_at;
	void (*on_block)(unsigned int vcpu, void *data);
	void (*on_insn)(unsigned int vcpu, void *data);
	unsigned int n_on_insn; /* instructions that call it */
	void (*on_access)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
			  void *data);
	void (*on_pause)(unsigned int vcpu, void *data);
	bool was_flushed;
} machine;

/* ---- QEMU ------------------------------------------------------------------------------------ */

struct kt_qemu_api kt_api;

struct kt_qemu_cpu *kt_api_current_cpu(void)
{
	return machine.current;
}

static void cpu_exit(struct kt_qemu_cpu *cpu)
{
	cpu->leaves = true;
}

static void cpu_loop_exit_restore(struct kt_qemu_cpu *cpu, uintptr_t address)
{
	(void)address;
	cpu->leaves = true;
}

static struct kt_qemu_cpu *get_cpu(int index)
{
	return (unsigned int)index < machine.n ? &machine.cpus[index] : NULL;
}

static bool is_idle(struct kt_qemu_cpu *cpu)
{
	return cpu->idle;
}

static void flush(struct kt_qemu_cpu *cpu)
{
	(void)cpu;
	machine.was_flushed = true;
}

static void call(struct kt_qemu_cpu *cpu, void (*fn)(struct kt_qemu_cpu *cpu, uint64_t data),
		 uint64_t data)
{
	fn(cpu, data);
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	return tb->n;
}

struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i)
{
	(void)i;
	return (struct qemu_plugin_insn *)&tb->insn;
}

size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
	return insn->len ?: 2;
}

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len)
{
	len = KT_MIN(len, qemu_plugin_insn_size(insn));
	memcpy(dest, insn->bytes, len);
	return len;
}

void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int vcpu, void *data), int flags,
					  void *data)
{
	(void)tb, (void)flags, (void)data;
	machine.on_block = cb;
}

void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *data), int flags,
					    void *data)
{
	(void)insn, (void)flags, (void)data;
	machine.on_insn = cb;
	machine.n_on_insn++;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int vcpu, qemu_plugin_meminfo_t info,
						 uint64_t vaddr, void *data),
				      int flags, int rw, void *data)
{
	(void)insn, (void)flags, (void)rw, (void)data;
	machine.on_access = cb;
}

bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info)
{
	return info;
}

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr)
{
	(void)info, (void)vaddr;
	return NULL;
}

uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr)
{
	(void)hwaddr;
	return 0;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void begin(unsigned int n, struct kt_turns how)
{
	static struct qemu_plugin_tb pause = { { { 0xf3, 0x90 }, 2 }, 1 };
	static struct qemu_plugin_tb other = { .n = BLOCK };

	memset(&machine, 0, sizeof(machine));
	machine.n = n;
	kt_api = (struct kt_qemu_api){
		.cpu_exit = cpu_exit,
		.cpu_loop_exit_restore = cpu_loop_exit_restore,
		.qemu_get_cpu = get_cpu,
		.cpu_thread_is_idle = is_idle,
		.async_run_on_cpu = call,
		.tb_flush = flush,
	};
	kt_priorities_on_translate(&pause);
	machine.on_pause = machine.on_insn;
	machine.on_insn = NULL;
	kt_priorities_on_translate(&other);
	cr_assert(zero(ptr, (void *)machine.on_insn), "only a PAUSE is one");
	kt_turns_on_translate(&other);
	kt_conflicts_watch();
	how.mean = how.mean ?: MEAN;
	how.depth = how.depth ?: 1;
	cr_assert(zero(int, kt_turns_seed(&how)));
	kt_conflicts_on_translate(&other);
}

static void execute_block(struct kt_qemu_cpu *cpu)
{
	machine.on_block(0, (void *)(uintptr_t)BLOCK);
	if (cpu->pauses) {
		machine.on_pause(0, NULL);
		cpu->leaves = true;
	}
	cpu->insns += BLOCK;
	machine.insns += BLOCK;
	if (machine.wakes_at && machine.insns >= machine.wakes_at)
		machine.cpus[0].idle = false;
}

/* Visits each vCPU once. */
static void visit_all(void)
{
	for (unsigned int i = 0; i < machine.n; i++) {
		struct kt_qemu_cpu *cpu = &machine.cpus[i];

		machine.current = cpu;
		for (unsigned int n = 0; n < QEMU_TURN && !cpu->idle && !cpu->leaves; n += BLOCK)
			execute_block(cpu);
		cpu->leaves = false;
	}
}

static void run(uint64_t insns)
{
	insns += machine.insns;
	while (machine.insns < insns)
		visit_all();
}

static unsigned int most_of(void)
{
	unsigned int most = 0;

	for (unsigned int i = 1; i < machine.n; i++)
		if (machine.cpus[i].insns > machine.cpus[most].insns)
			most = i;
	return most;
}

/* ---- random ---------------------------------------------------------------------------------- */

static uint64_t trace(struct kt_turns how)
{
	uint64_t hash = 0;

	begin(N_CPUS, how);
	for (int i = 0; i < 30; i++) {
		visit_all();
		for (unsigned int k = 0; k < N_CPUS; k++)
			hash = hash * 31 + machine.cpus[k].insns;
	}
	return hash;
}

Test(turns, the_seed_decides)
{
	for (uint32_t policy = 0; policy < KT_N_TURNS_POLICIES; policy++) {
		struct kt_turns one = { .seed = 1, .policy = policy, .depth = 5, .length = 9999 };
		struct kt_turns two = { .seed = 2, .policy = policy, .depth = 5, .length = 9999 };

		cr_assert(eq(u64, trace(one), trace(one)), "policy %u", policy);
		cr_assert(ne(u64, trace(one), trace(two)), "policy %u", policy);
	}
}

Test(turns, the_mean_is_as_asked_for)
{
	struct kt_turns_made made;

	begin(2, (struct kt_turns){ .seed = 3, .mean = MEAN });
	run(1000 * MEAN);
	made = kt_turns_made();
	cr_assert(ge(u64, made.ended, 900));
	cr_assert(le(u64, made.ended, 1100));
	cr_assert(ge(u64, made.switches, made.ended - 2));
	cr_assert(eq(u64, made.insns, machine.insns));
}

Test(turns, what_makes_no_sense_is_refused)
{
	const struct kt_turns bad[] = {
		{ .policy = KT_N_TURNS_POLICIES, .mean = MEAN, .depth = 1 },
		{ .mean = KT_TURNS_MEAN_MIN - 1, .depth = 1 },
		{ .mean = KT_TURNS_MEAN_MAX + 1u, .depth = 1 },
		{ .mean = MEAN },
		{ .mean = MEAN, .depth = KT_TURNS_DEPTH_MAX + 1 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		cr_assert(eq(int, kt_turns_seed(&bad[i]), -ERANGE), "%zu", i);
}

/* ---- priorities ------------------------------------------------------------------------------ */

#define PCT(...) ((struct kt_turns){ .policy = KT_TURNS_PCT, __VA_ARGS__ })

Test(pct, one_runs_and_the_others_execute_a_block_a_round)
{
	begin(N_CPUS, PCT(.seed = 1, .mean = 1000000));
	run(10 * QEMU_TURN);
	for (unsigned int i = 0; i < N_CPUS; i++)
		if (i != most_of())
			cr_assert(le(u64, machine.cpus[i].insns, 12 * BLOCK), "%u", i);
}

Test(pct, every_vcpu_is_the_first_with_some_seed)
{
	unsigned int firsts[N_CPUS] = { 0 };

	for (uint64_t seed = 0; seed < 90; seed++) {
		begin(N_CPUS, PCT(.seed = seed, .mean = 1000000));
		run(QEMU_TURN);
		firsts[most_of()]++;
	}
	for (unsigned int i = 0; i < N_CPUS; i++)
		cr_assert(ge(u32, firsts[i], 15), "%u", i);
}

Test(pct, who_wakes_up_and_comes_first_interrupts)
{
	unsigned int interrupted = 0;

	for (uint64_t seed = 0; seed < 40; seed++) {
		begin(2, PCT(.seed = seed, .mean = 1000000));
		machine.cpus[0].idle = true;
		machine.wakes_at = QEMU_TURN / 2;
		visit_all();
		cr_assert(zero(u64, machine.cpus[0].insns));
		interrupted += machine.cpus[1].insns < QEMU_TURN / 2 + 100;
	}
	cr_assert(ge(u32, interrupted, 10));
	cr_assert(le(u32, interrupted, 30), "in half of the cases the other is the first");
}

Test(pct, nobody_starves)
{
	begin(N_CPUS, PCT(.seed = 4, .mean = MEAN));
	run(1000 * MEAN);
	for (unsigned int i = 0; i < N_CPUS; i++)
		cr_assert(ge(u64, machine.cpus[i].insns, 200 * MEAN), "%u", i);
}

Test(pct, who_pauses_lets_the_others_run)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		begin(2, PCT(.seed = seed, .mean = 1000000));
		machine.cpus[0].pauses = true;
		run(QEMU_TURN);
		cr_assert(le(u64, machine.cpus[0].insns, 10 * BLOCK));
	}
}

/* Where the vCPU that comes first is overtaken, or 0 if it is not within @limit instructions. */
static uint64_t overtaken_at(struct kt_turns how, uint64_t limit)
{
	unsigned int first;

	begin(2, how);
	visit_all();
	if (machine.insns > limit)
		return 0;
	first = machine.cpus[0].insns > BLOCK ? 0 : 1;
	return machine.cpus[first].insns;
}

Test(pct, priorities_change_within_the_length)
{
	uint64_t earliest = UINT64_MAX, latest = 0;

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct kt_turns how =
			PCT(.seed = seed, .mean = 1000000, .depth = 2, .length = 50000);
		uint64_t at = overtaken_at(how, QEMU_TURN + 50000 + 100);

		cr_assert(ne(u64, at, 0), "seed %llu", (unsigned long long)seed);
		earliest = KT_MIN(earliest, at);
		latest = KT_MAX(latest, at);
		how.depth = 1;
		cr_assert(ge(u64, overtaken_at(how, UINT64_MAX), QEMU_TURN), "without a change");
	}
	cr_assert(le(u64, earliest, 5000));
	cr_assert(ge(u64, latest, 40000));
}

/* ---- conflicts ------------------------------------------------------------------------------- */

/* In a process of its own, as every test: nothing was translated before. */
Test(conflict, blocks_are_translated_again_when_accesses_count)
{
	begin(2, (struct kt_turns){ .seed = 1 });
	cr_assert(not(machine.was_flushed));
	cr_assert(zero(ptr, (void *)machine.on_access));
	for (uint64_t seed = 0; !machine.was_flushed && seed < 60; seed++)
		begin(2, (struct kt_turns){ .seed = seed, .policy = KT_TURNS_CONFLICT });
	cr_assert(machine.was_flushed);
	cr_assert(ne(ptr, (void *)machine.on_access, NULL));
}

/* Two vCPUs access words by turns; returns how many turns end with it. */
static unsigned int conflicts_of(uint64_t seed, bool writes, bool same_word)
{
	unsigned int n = 0;

	begin(2, (struct kt_turns){ .seed = seed, .policy = KT_TURNS_CONFLICT });
	for (unsigned int i = 0; i < 600; i++) {
		unsigned int which = i % 2, word = i / 2 % 100 * 2 + (same_word ? 0 : which);

		if (!machine.on_access)
			return 0; /* such a seed looks nowhere */
		machine.current = &machine.cpus[which];
		machine.on_access(0, writes && !which, WORD + 8 * word, NULL);
		n += machine.current->leaves;
		machine.current->leaves = false;
		machine.on_insn(0, NULL);
		machine.current->leaves = false;
	}
	return n;
}

Test(conflict, turns_end_where_a_word_is_shared_and_written)
{
	unsigned int seeds = 0;

	for (uint64_t seed = 0; seed < 60; seed++) {
		seeds += conflicts_of(seed, true, true) > 20;
		cr_assert(zero(u32, conflicts_of(seed, false, true)), "nobody writes");
		cr_assert(zero(u32, conflicts_of(seed, true, false)), "nothing is shared");
	}
	cr_assert(ge(u32, seeds, 10), "%u", seeds);
	cr_assert(le(u32, seeds, 50), "some seeds look elsewhere");
}

Test(conflict, the_turn_ends_behind_the_access)
{
	for (uint64_t seed = 0; seed < 60; seed++)
		if (conflicts_of(seed, true, true)) {
			machine.on_insn(0, NULL);
			cr_assert(not(machine.current->leaves), "only once");
			return;
		}
	cr_assert(false, "no seed has found a conflict");
}

Test(conflict, a_new_block_knows_nothing_of_the_last_access)
{
	for (uint64_t seed = 0; seed < 60; seed++)
		if (conflicts_of(seed, true, true)) {
			for (unsigned int i = 0; i < 600; i++) {
				machine.current = &machine.cpus[i % 2];
				machine.on_access(0, true, WORD, NULL);
				machine.current = &machine.cpus[1 - i % 2];
				machine.on_block(0, (void *)(uintptr_t)1);
				machine.current->leaves = false;
				machine.on_insn(0, NULL);
				cr_assert(not(machine.current->leaves), "access %u", i);
			}
			return;
		}
	cr_assert(false, "no seed has found a conflict");
}

/* How many of BLOCK such instructions, which follow each other, can be left before. */
static unsigned int n_left(struct qemu_plugin_insn insn)
{
	struct qemu_plugin_tb block = { insn, BLOCK };

	for (uint64_t seed = 0; !machine.on_access && seed < 60; seed++)
		begin(2, (struct kt_turns){ .seed = seed, .policy = KT_TURNS_CONFLICT });
	machine.n_on_insn = 0;
	kt_conflicts_on_translate(&block);
	return machine.n_on_insn;
}

Test(conflict, a_block_is_left_where_its_registers_are_known)
{
	cr_assert(eq(u32, n_left((struct qemu_plugin_insn){ { 0x89, 0x07 }, 2 }), BLOCK - 1),
		  "not before the first one");
	cr_assert(zero(u32, n_left((struct qemu_plugin_insn){ { 0xf3, 0x48, 0xab }, 3 })),
		  "rep stosq");
	cr_assert(zero(u32, n_left((struct qemu_plugin_insn){ { 0x66, 0xf3, 0xa5 }, 3 })),
		  "rep movsw");
	cr_assert(zero(u32, n_left((struct qemu_plugin_insn){ { 0xf2, 0xae }, 2 })), "repne scasb");
	cr_assert(zero(u32, n_left((struct qemu_plugin_insn){ { 0xf3, 0x67, 0x6e }, 3 })),
		  "rep outsb");
	cr_assert(eq(u32, n_left((struct qemu_plugin_insn){ { 0xa4 }, 1 }), BLOCK - 1), "movsb");
	cr_assert(eq(u32, n_left((struct qemu_plugin_insn){ { 0xf3, 0x0f, 0xb8, 0xc0 }, 4 }),
		     BLOCK - 1),
		  "popcnt");
	cr_assert(eq(u32, n_left((struct qemu_plugin_insn){ { 0xf3, 0xf3, 0xf3 }, 3 }), BLOCK - 1),
		  "prefixes only");
}
