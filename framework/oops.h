/* SPDX-License-Identifier: MIT */
#pragma once
/* What the kernel prints when it dies, for people; and whether it died of its machine. */

#include <stdbool.h>
#include <stddef.h>

/* ": Kernel panic - not syncing: ..." of @console in one line, for the end of a sentence; "" when there is none. */
void kt_oops_panic(const char *console, char *text, size_t room);

/*
 * Whether a CPU has died of a breakpoint that is in memory no more. QEMU's TCG invalidates its translation of an
 * instruction before the instruction is written, and another vCPU that translates it in between has the old one for
 * good (accel/tcg/cputlb.c, notdirty_write(), QEMU 10.0 and 10.2). The kernel puts a breakpoint where it is patching
 * its own code, so what stays behind is always one: "Oops: int3", and in its "Code:" line the byte before the next
 * instruction is another. A kernel whose patching is wrong can look the same. @where: "sched_tick+0xd6".
 */
bool kt_oops_is_stale_code(const char *console, char *where, size_t room);
