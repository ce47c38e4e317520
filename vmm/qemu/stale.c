/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/stale.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INT3             0xcc
#define PT_REGS_IP       (16 * sizeof(uint64_t)) /* Linux: arch/x86/include/uapi/asm/ptrace-abi.h */
#define KPROBE_TABLE_LEN (64 * sizeof(uint64_t)) /* Linux: kernel/kprobes.c, KPROBE_TABLE_SIZE */
#define UNDONE_MAX       16u                     /* more often, the kernel itself is wrong */
#define DIE_OF_INT3      "int3"                  /* Linux: arch/x86/kernel/traps.c, exc_int3() */

/*
 * stale.h explains the race and the cure. Every function here runs while the machine stands, as the
 * gdbstub requires, and works on the vCPU that stopped last. What is read from the guest decides
 * only whether a death is undone: a guest that lies is left to die.
 */

/* A vCPU that has just entered die(const char *str, struct pt_regs *regs, long err). */
struct death {
	struct kt_gdb_regs regs;
	char str[sizeof(DIE_OF_INT3)];
	uint64_t ip; /* of the interrupted code: behind the breakpoint */
	uint64_t return_address;
	uint8_t byte; /* in memory now, at the address of the breakpoint */
};

/* Reads the arguments of die() and what they point to. -EREMOTEIO: an address is not mapped. */
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
 * Returns true when the vCPU executed a breakpoint that is not, or may not be, the one in memory. A
 * breakpoint that is in memory may be a newer one, written after this vCPU met the stale one.
 * Executing it once more does no harm: if it is not stale, the vCPU dies at the same address again,
 * and is not helped a second time.
 */
static bool is_stale(const struct kt_stale *stale, const struct death *death)
{
	return (death->regs.cs & 3) == 0 && !memcmp(death->str, DIE_OF_INT3, sizeof(death->str)) &&
	       stale->n < UNDONE_MAX && (death->byte != INT3 || death->ip != stale->last_ip);
}

/* Makes die() return at once, to an exception handler that returns to the instruction itself. */
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

/* Returns 1 when the death was undone, 0 when nothing had to be or could be done. */
static int at_die(struct kt_stale *stale, struct death *death, struct kt_gdb *gdb,
		  uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = look(death, gdb, deadline_ns, reterr);

	/* The kernel dies for a reason of its own, or its arguments cannot be read: let it die. */
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
 * The watchpoint is removed one stop after the stop that hit it. QEMU 10.0 keeps a pointer to it
 * until the stop is reported to the client, which happens after the client's next "continue"; the
 * watchpoint must exist until then. When two vCPUs hit it at the same moment, one of them keeps its
 * pointer even longer; it reads through the pointer once more, and the value has no effect.
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
	 * Anywhere else the vCPU has read the table, or a stop that is already handled reached it
	 * late.
	 */
	if (r == 0 && stale->state == KT_STALE_GUARDING && death.regs.at[KT_GDB_RIP] == stale->die)
		r = undone = at_die(stale, &death, gdb, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = kt_gdb_continue(gdb, reterr);
	return r < 0 ? r : undone;
}
