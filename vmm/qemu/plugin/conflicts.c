/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/conflicts.h"

#include <string.h>

#include "vmm/qemu/plugin/random.h"
#include "vmm/qemu/plugin/turns.h"

/*
 * Two vCPUs can only influence each other through memory. A race shows itself if one of them is
 * stopped between two of its accesses to a word that the other accesses too; any other moment is
 * as good as its neighbours. So turns end at conflicts, right behind the access: the next
 * instruction is executed in the vCPU's next turn.
 *
 * A table remembers for each word which vCPU was there last, whether any has written, and whether
 * that makes the word a contended one. It is direct mapped: a word that loses its place is
 * forgotten, which costs conflicts but no correctness.
 * Words of user space are told by their physical address, because processes share pages under
 * different addresses and use the same address for different pages.
 *
 * There are many more conflicts than are worth a switch: the kernel's locks and counters make most
 * of them. The seed therefore chooses what it looks at, user space or the kernel or both, and a
 * share of the words: few at which it always switches, or many at which it sometimes does.
 */

#define TABLE_BITS    16
#define USER_END      (UINT64_C(1) << 56) /* with five levels of page tables */
#define WORD_SHIFT    3
#define SWITCH_ONE_IN 3 /* conflicts at a word that was chosen */

struct entry {
	uint64_t word;
	const struct kt_qemu_cpu *cpu; /* the last one there */
	bool wrote;                    /* any of them */
	bool contended;
};

static struct {
	bool watched;
	bool on;
	bool user, kernel;   /* what this seed looks at */
	uint64_t share_mask; /* one in share_mask + 1 words is looked at */
	uint64_t salt;
	struct kt_random random;
	bool leave; /* the turn ends before the next instruction */
	struct entry table[1 << TABLE_BITS];
} conflicts;

void kt_conflicts_watch(void)
{
	conflicts.watched = true;
}

bool kt_conflicts_are_watched(void)
{
	return conflicts.watched;
}

void kt_conflicts_seed(uint64_t seed, bool on)
{
	static const uint64_t masks[] = { 0, 7, 63, 255 };

	kt_random_seed(&conflicts.random, seed ^ 0x636f6e666c696374u);
	conflicts.user = kt_random_draw(&conflicts.random) % 3 != 0;
	conflicts.kernel = !conflicts.user || kt_random_draw(&conflicts.random) % 3 == 0;
	conflicts.share_mask = masks[kt_random_draw(&conflicts.random) % 4];
	conflicts.salt = kt_random_draw(&conflicts.random);
	conflicts.leave = false;
	conflicts.on = on;
	memset(conflicts.table, 0, sizeof(conflicts.table));
}

/* The identity of the word that was accessed; 0 for one that this seed does not look at. */
static uint64_t word_of(qemu_plugin_meminfo_t info, uint64_t vaddr)
{
	struct qemu_plugin_hwaddr *hwaddr;

	if (vaddr >= USER_END)
		return conflicts.kernel ? vaddr >> WORD_SHIFT : 0;
	if (!conflicts.user)
		return 0;
	hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	return hwaddr ? qemu_plugin_hwaddr_phys_addr(hwaddr) >> WORD_SHIFT : 0;
}

static bool is_chosen(uint64_t word)
{
	return !(kt_random_mix(word ^ conflicts.salt) & conflicts.share_mask) &&
	       kt_random_draw(&conflicts.random) % SWITCH_ONE_IN == 0;
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	struct kt_qemu_cpu *cpu = kt_api_current_cpu();
	bool writes = qemu_plugin_mem_is_store(info);
	struct entry *entry;
	uint64_t word;

	(void)vcpu;
	(void)data;
	if (!conflicts.on || !cpu)
		return;
	word = word_of(info, vaddr);
	if (!word)
		return;
	entry = &conflicts.table[kt_random_mix(word) >> (64 - TABLE_BITS)];
	if (entry->word != word)
		*entry = (struct entry){ .word = word, .cpu = cpu };
	entry->wrote |= writes;
	entry->contended |= entry->cpu != cpu && entry->wrote;
	entry->cpu = cpu;
	if (entry->contended && is_chosen(word)) {
		conflicts.leave = true;
		kt_turns_end(cpu);
	}
}

/*
 * Leaves the block before the instruction, which QEMU finds by the address from which generated
 * code has called. The flag kt_conflicts_on_translate() registers this with makes that code store
 * the guest's registers before.
 */
static void on_insn(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	if (!conflicts.leave)
		return;
	conflicts.leave = false;
	kt_api.cpu_loop_exit_restore(kt_api_current_cpu(), (uintptr_t)__builtin_return_address(0));
}

void kt_conflicts_on_translate(struct qemu_plugin_tb *tb)
{
	size_t n = conflicts.watched ? qemu_plugin_tb_n_insns(tb) : 0;

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, KT_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, KT_CB_NO_REGS, KT_MEM_RW_RW,
						 NULL);
	}
}
