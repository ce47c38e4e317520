/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/stale.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INT3             0xcc
#define PT_REGS_IP       (16 * sizeof(uint64_t)) /* Linux: arch/x86/include/uapi/asm/ptrace-abi.h */
#define KPROBE_TABLE_LEN (64 * sizeof(uint64_t)) /* Linux: kernel/kprobes.c, KPROBE_TABLE_SIZE */
#define UNDONE_MAX       16u                     /* more often, it is the kernel that is wrong */
#define DIE_OF_INT3      "int3"                  /* Linux: arch/x86/kernel/traps.c, exc_int3() */

/* A vCPU in die(const char *str, struct pt_regs *regs, long err). */
struct death {
	struct kt_gdb_regs regs;
	char str[sizeof(DIE_OF_INT3)];
	uint64_t ip; /* behind the breakpoint */
	uint64_t return_address;
	uint8_t byte; /* that is in memory where the breakpoint was */
};

static int look(struct death *death, struct kt_gdb *gdb, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	const uint64_t *regs = death->regs.at;

	return kt_gdb_read(gdb, regs[KT_GDB_RDI], death->str, sizeof(death->str), deadline_ns,
			   reterr) ?:
	       kt_gdb_read(gdb, regs[KT_GDB_RSI] + PT_REGS_IP, &death->ip, sizeof(death->ip),
			   deadline_ns, reterr) ?:
	       kt_gdb_read(gdb, death->ip - 1, &death->byte, 1, deadline_ns, reterr) ?:
	       kt_gdb_read(gdb, regs[KT_GDB_RSP], &death->return_address,
			   sizeof(death->return_address), deadline_ns, reterr);
}

/*
 * A breakpoint in memory may be a new one, put there after this CPU has met the old: to run it once
 * more does no harm, and a true one is back at once.
 */
static bool is_stale(const struct kt_stale *stale, const struct death *death)
{
	return (death->regs.cs & 3) == 0 && !memcmp(death->str, DIE_OF_INT3, sizeof(death->str)) &&
	       stale->n < UNDONE_MAX && (death->byte != INT3 || death->ip != stale->last_ip);
}

/* As if die() had returned, to an instruction that is to be run again. */
static int undo(struct death *death, struct kt_gdb *gdb, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	uint64_t *regs = death->regs.at, at = death->ip - 1;
	int r;

	r = kt_gdb_write(gdb, at, &death->byte, 1, deadline_ns, reterr)
		    ?: kt_gdb_write(gdb, regs[KT_GDB_RSI] + PT_REGS_IP, &at, sizeof(at),
				    deadline_ns, reterr);
	if (r < 0)
		return r;
	regs[KT_GDB_RIP] = death->return_address;
	regs[KT_GDB_RSP] += sizeof(death->return_address);
	return kt_gdb_set_regs(gdb, &death->regs, deadline_ns, reterr);
}

static int watch(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	return kt_gdb_set(gdb, KT_GDB_ON_READ, stale->kprobe_table, KPROBE_TABLE_LEN, deadline_ns,
			  reterr);
}

static int unwatch(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	return kt_gdb_unset(gdb, KT_GDB_ON_READ, stale->kprobe_table, KPROBE_TABLE_LEN, deadline_ns,
			    reterr);
}

static int guard(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	return kt_gdb_set(gdb, KT_GDB_AT_CODE, stale->die, 1, deadline_ns, reterr);
}

static int unguard(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	return kt_gdb_unset(gdb, KT_GDB_AT_CODE, stale->die, 1, deadline_ns, reterr);
}

static int at_die(struct kt_stale *stale, struct death *death, struct kt_gdb *gdb,
		  uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = look(death, gdb, deadline_ns, reterr);

	/* A kernel that hands over nonsense can be as broken as it likes. */
	if (r == -EREMOTEIO || (r == 0 && !is_stale(stale, death))) {
		stale->state = KT_STALE_OVER;
		return unguard(stale, gdb, deadline_ns, reterr);
	}
	if (r == 0)
		r = undo(death, gdb, deadline_ns, reterr);
	if (r < 0)
		return r;
	stale->last_ip = death->ip;
	stale->n++;
	return death->byte != INT3;
}

int kt_stale_begin(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	if (stale->kprobe_table)
		return watch(stale, gdb, deadline_ns, reterr);
	stale->state = KT_STALE_GUARDING;
	return guard(stale, gdb, deadline_ns, reterr);
}

int kt_stale_end(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	switch (stale->state) {
	case KT_STALE_WATCHING:
		return unwatch(stale, gdb, deadline_ns, reterr);
	case KT_STALE_SUSPECTED:
		return unwatch(stale, gdb, deadline_ns, reterr)
			       ?: unguard(stale, gdb, deadline_ns, reterr);
	case KT_STALE_GUARDING:
		return unguard(stale, gdb, deadline_ns, reterr);
	case KT_STALE_OVER:
		break;
	}
	return 0;
}

/*
 * QEMU (10.0) points to a watchpoint that was hit until it has told its client of the stop, as it
 * does after a "continue" of the client's: it should not go before that. Where two vCPUs have hit
 * it at once, one keeps a pointer that it reads once more, and does nothing by.
 */
static int change_state(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	switch (stale->state) {
	case KT_STALE_WATCHING:
		stale->state = KT_STALE_SUSPECTED;
		return guard(stale, gdb, deadline_ns, reterr);
	case KT_STALE_SUSPECTED:
		stale->state = KT_STALE_GUARDING;
		return unwatch(stale, gdb, deadline_ns, reterr);
	case KT_STALE_GUARDING:
	case KT_STALE_OVER:
		break;
	}
	return 0;
}

int kt_stale_on_stop(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	struct death death = { 0 };
	int undone = 0, r;

	r = change_state(stale, gdb, deadline_ns, reterr)
		    ?: kt_gdb_get_regs(gdb, &death.regs, deadline_ns, reterr);
	/*
	 * Another place is where it has read, or where a stop caught up with it that is done with.
	 */
	if (r == 0 && stale->state == KT_STALE_GUARDING && death.regs.at[KT_GDB_RIP] == stale->die)
		r = undone = at_die(stale, &death, gdb, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = kt_gdb_continue(gdb, reterr);
	return r < 0 ? r : undone;
}
