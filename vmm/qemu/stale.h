/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Code that QEMU runs although the guest has overwritten it.
 *
 * Linux patches itself while it runs (static keys, ftrace, BPF trampolines: every scheduler that
 * comes or goes) with a breakpoint that stands in the way of other CPUs meanwhile (arch/x86/kernel/
 * alternative.c, smp_text_poke_batch_finish()). TCG with a thread per vCPU discards the translation
 * of what is being stored to, lets go of its lock, and stores (10.0 and 10.2: accel/tcg/cputlb.c,
 * notdirty_write()): a vCPU that translates in between has read the old byte, and nothing tells it
 * of the new one. If that is the breakpoint's removal, the vCPU runs into a breakpoint that nobody
 * knows: "Oops: int3", once in some two thousand tests of schedulers.
 *
 * The cure, from outside: when the kernel looks up in its kprobe_table what a breakpoint that it
 * has met may be, as it does with those that are not its patching's, a breakpoint of ours is set on
 * its die(). If memory has another byte there by then, the byte is written again, which discards
 * the translation for good, die() returns without having done a thing, and the instruction is run
 * that is there. The watchpoint costs next to nothing, as little in the kernel shares a page with
 * kprobe_table; the breakpoint slows every vCPU down, by a tenth at worst, from the first suspicion
 * on (which a true kprobe is too). Without a kprobe_table it is set at once.
 *
 * A kernel whose own patching is wrong can die of the same thing; it does, from the 17th time on.
 * Not covered is what comes before HELO, of a machine that is booted; and a pause in the very
 * moment of the first suspicion loses it.
 */

#include <stdint.h>

#include "vmm/qemu/gdb.h"

struct kt_stale {
	uint64_t die; /* addresses of the kernel's; 0: not known */
	uint64_t kprobe_table;
	enum {
		KT_STALE_WATCHING,  /* kprobe_table */
		KT_STALE_SUSPECTED, /* kprobe_table still, and die() */
		KT_STALE_GUARDING,  /* die() */
		KT_STALE_OVER,      /* nothing: a death was for good reason */
	} state;
	uint64_t last_ip; /* behind the breakpoint that was undone last */
	unsigned int n;   /* how many were */
};

/* Begins; the machine stands, and its kernel's die() is known. */
int kt_stale_begin(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		   struct kt_err *reterr);

/* Ends, so that the machine does not stop any more; it stands. */
int kt_stale_end(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		 struct kt_err *reterr);

/*
 * The machine has stopped on account of that, and is let go again. 1 when the death of a breakpoint
 * that is in memory no more was undone.
 */
int kt_stale_on_stop(struct kt_stale *stale, struct kt_gdb *gdb, uint64_t deadline_ns,
		     struct kt_err *reterr);
