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
 * forgotten, which costs conflicts but no correctness. Words are chosen before that, so that a
 * share of the words has the table for itself.
 * Words of user space are told by their physical address, because processes share pages under
 * different addresses and use the same address for different pages.
 *
 * A vCPU leaves a block at an instruction only where QEMU can restore the guest's registers from
 * what it knows about that instruction:
 *
 *  - Not at the first one, which the end of a turn reaches anyway. QEMU executes single
 *    instructions as blocks of their own, as after the hit of a watch, and takes for granted that
 *    they are executed.
 *  - Not at a string instruction with a REP prefix. QEMU notes for it that the kind of the flags'
 *    last result is in memory, and lets the instruction itself store it there. Before that, the
 *    guest's flags would be taken for those of the block's beginning: the direction flag was set
 *    behind a subtraction, for example. With icount a block ends behind this instruction, so that
 *    the turn ends there.
 *
 * Blocks that watch accesses take twice as long. Those that were translated before a seed asks for
 * conflicts do not watch, and are translated again then.
 *
 * There are many more conflicts than are worth a switch: the kernel's locks and counters make most
 * of them. The seed therefore chooses what it looks at, user space or the kernel or both, and which
 * share of the words there. The kernel has thousands of contended words, a test itself a few.
 * Switches at conflicts make other orders rare, so some seeds leave it at random ones.
 */

#define TABLE_BITS    16
#define USER_END      (UINT64_C(1) << 56) /* with five levels of page tables */
#define WORD_SHIFT    3
#define SWITCH_ONE_IN 3          /* conflicts at a word that was chosen */
#define INSN_LEN_MAX  15         /* of x86 */
#define NOTHING       UINT64_MAX /* the share mask of what is not looked at */

/* Of so many seeds, the first look at user space, later ones at the kernel, the last nowhere. */
#define LOOKS_AT_USER   4
#define LOOKS_AT_KERNEL 3
#define LOOKS_NOWHERE   6
#define LOOKS           8

struct entry {
	uint64_t word;
	uint32_t cpu; /* the last one there: a part of its address, which is its own */
	bool wrote;   /* any of them */
	bool contended;
};

static struct {
	bool watched;
	bool on;
	bool translated;                 /* blocks are translated so that accesses are seen */
	uint64_t user_mask, kernel_mask; /* one in mask + 1 words is looked at */
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

/* Outside guest code, where no block is in use. */
static void flush(struct kt_qemu_cpu *cpu, uint64_t data)
{
	(void)data;
	kt_api.tb_flush(cpu);
}

void kt_conflicts_seed(uint64_t seed, bool on)
{
	static const uint64_t user_masks[] = { 0, 0, 1, 7 }, kernel_masks[] = { 0, 7, 63, 255 };
	uint64_t where, share;

	kt_random_seed(&conflicts.random, seed ^ 0x636f6e666c696374u);
	where = kt_random_draw(&conflicts.random) % LOOKS;
	share = kt_random_draw(&conflicts.random) % 4;
	conflicts.user_mask = where < LOOKS_AT_USER ? user_masks[share] : NOTHING;
	conflicts.kernel_mask =
		where >= LOOKS_AT_KERNEL && where < LOOKS_NOWHERE ? kernel_masks[share] : NOTHING;
	conflicts.salt = kt_random_draw(&conflicts.random);
	conflicts.leave = false;
	conflicts.on = on && where < LOOKS_NOWHERE;
	memset(conflicts.table, 0, sizeof(conflicts.table));
	if (conflicts.on && !conflicts.translated) {
		conflicts.translated = true;
		kt_api.async_run_on_cpu(kt_api_current_cpu(), flush, 0);
	}
}

/* The identity of the word that was accessed; 0 for one that has none. */
static uint64_t word_of(qemu_plugin_meminfo_t info, uint64_t vaddr)
{
	struct qemu_plugin_hwaddr *hwaddr;

	if (vaddr >= USER_END)
		return vaddr >> WORD_SHIFT;
	hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	return hwaddr ? qemu_plugin_hwaddr_phys_addr(hwaddr) >> WORD_SHIFT : 0;
}

/* Whether the access makes the word a contended one, or finds it so. */
static bool note(struct entry *entry, uint64_t word, const struct kt_qemu_cpu *cpu, bool writes)
{
	uint32_t who = (uint32_t)((uintptr_t)cpu >> 4);

	if (entry->word != word)
		*entry = (struct entry){ .word = word, .cpu = who };
	entry->wrote |= writes;
	entry->contended |= entry->cpu != who && entry->wrote;
	entry->cpu = who;
	return entry->contended;
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	uint64_t mask = vaddr < USER_END ? conflicts.user_mask : conflicts.kernel_mask, word, hash;
	struct kt_qemu_cpu *cpu;

	(void)vcpu;
	(void)data;
	if (!conflicts.on || mask == NOTHING)
		return;
	word = word_of(info, vaddr);
	hash = kt_random_mix(word ^ conflicts.salt);
	cpu = kt_api_current_cpu();
	if (!word || hash & mask || !cpu)
		return;
	if (note(&conflicts.table[hash >> (64 - TABLE_BITS)], word, cpu,
		 qemu_plugin_mem_is_store(info)) &&
	    kt_random_draw(&conflicts.random) % SWITCH_ONE_IN == 0) {
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

void kt_conflicts_on_block(void)
{
	conflicts.leave = false;
}

static bool is_prefix(uint8_t byte)
{
	static const uint8_t legacy[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0 };

	return memchr(legacy, byte, sizeof(legacy)) || (byte & 0xf0) == 0x40;
}

/* INS, OUTS, MOVS, CMPS, STOS, LODS and SCAS (Intel SDM, volume 2, appendix A). */
static bool is_string(uint8_t opcode)
{
	return (opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) ||
	       (opcode >= 0xaa && opcode <= 0xaf);
}

static bool is_repeated(const struct qemu_plugin_insn *insn)
{
	uint8_t bytes[INSN_LEN_MAX];
	size_t n = qemu_plugin_insn_data(insn, bytes, sizeof(bytes)), i = 0;
	bool rep = false;

	for (; i < n && (is_prefix(bytes[i]) || bytes[i] == 0xf2 || bytes[i] == 0xf3); i++)
		rep |= !is_prefix(bytes[i]);
	return rep && i < n && is_string(bytes[i]);
}

void kt_conflicts_on_translate(struct qemu_plugin_tb *tb)
{
	size_t n = conflicts.translated ? qemu_plugin_tb_n_insns(tb) : 0;

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (i && !is_repeated(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, KT_CB_R_REGS, NULL);
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, KT_CB_NO_REGS, KT_MEM_RW_RW,
						 NULL);
	}
}
