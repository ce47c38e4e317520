/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Stale code: the workaround for a race in QEMU, in which a vCPU executes code that the guest has
 * already overwritten.
 *
 * The race: Linux patches its own code while it runs (static keys, ftrace, BPF trampolines; every
 * attach or detach of a scheduler does so). It first replaces the first byte of the old instruction
 * by a breakpoint (int3), and at the end the breakpoint by the first byte of the new one (Linux:
 * arch/x86/kernel/alternative.c, smp_text_poke_batch_finish()). With one thread per vCPU, TCG
 * performs that last store in three steps: it discards the translations of the code, releases its
 * lock, and stores (QEMU 10.0 and 10.2: accel/tcg/cputlb.c, notdirty_write()). Another vCPU that
 * translates the code between the second step and the third reads the breakpoint, and keeps this
 * translation after the store. When it executes the translation, the kernel meets a breakpoint that
 * it does not know, and dies with "Oops: int3": about once in two thousand tests of schedulers.
 *
 * The cure: the gdbstub stops the machine when the kernel enters die(). If the kernel dies of an
 * int3 and memory holds another byte at that address, the breakpoint was stale. The byte is written
 * again, which discards the translation for good; the instruction pointer to which the exception
 * returns is set back to the instruction; and die() is made to return at once. The vCPU then
 * executes the new code.
 *
 * The cost: a breakpoint on die() slows all vCPUs down, by a tenth at worst, so it is set only on
 * suspicion. Before it dies of an unknown int3, the kernel looks for a kprobe in its kprobe_table.
 * A watchpoint on that table costs next to nothing, as little else in the kernel lies in the same
 * pages; when it is hit, the breakpoint is set, and stays. A true kprobe raises the same suspicion.
 * If the address of kprobe_table is not known, the breakpoint is set from the beginning.
 *
 * The limits: a kernel whose own patching is wrong dies in the same way, and does so at the 17th
 * death, because at most 16 are undone. A booted machine is not guarded before HELO. A pause at the
 * moment of the first suspicion loses that suspicion.
 */

#include <stdint.h>

#include "vmm/qemu/gdb.h"

/* Zeroed, apart from the addresses, until kt_stale_begin(). */
struct kt_stale {
	uint64_t die;          /* virtual address of the kernel's die(); 0: not known, no guard */
	uint64_t kprobe_table; /* virtual address of the kernel's table; 0: not known */
	enum {
		KT_STALE_WATCHING,  /* a watchpoint is set on kprobe_table */
		KT_STALE_SUSPECTED, /* it was hit: it is still set, and a breakpoint on die() too */
		KT_STALE_GUARDING,  /* only the breakpoint on die() is set */
		KT_STALE_OVER,      /* nothing is set: the kernel died for a good reason */
	} state;
	uint64_t last_ip; /* address behind the breakpoint that was undone last */
	unsigned int n;   /* deaths that were undone */
};

/*
 * Sets the first stop. The machine must not run, and @stale->die must be known. Returns 0 or a
 * negative errno.
 */
int kt_stale_begin(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		   struct kt_err *reterr);

/* Removes all stops. The machine must not run. Returns 0 or a negative errno. */
int kt_stale_end(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		 struct kt_err *reterr);

/*
 * Handles a stop at one of the stops above, and lets the machine run. Returns 1 when the death by a
 * stale breakpoint was undone, 0 when there was nothing to undo, or a negative errno.
 */
int kt_stale_on_stop(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		     struct kt_err *reterr);
