/* SPDX-License-Identifier: MIT */
/* The kernel's log: which lines are complaints. */
#include <stdlib.h>

#include "guest/test/kmsg.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(kmsg);

Test(kmsg, complaints_of_the_kernel)
{
	static const struct {
		const char *line;
		bool complaint;
	} cases[] = {
		{ " [    1.0] WARNING: mm/page_alloc.c:5234 at f+0x1/0x2", true },
		{ " [    1.0] BUG: kernel NULL pointer dereference, address: 0", true },
		{ " [    1.0] Oops: general protection fault, probably", true },
		{ " [    1.0] INFO: task kworker:1 blocked for more than 1 seconds.", true },
		{ " [    1.0] WARNING: possible circular locking dependency detected", true },
		{ " [    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU", true },
		{ " [    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", true },
		{ "#[    1.0] WARNING: said by a process, not by the kernel", false },
		{ " [    1.0] process 'x' launched 'y' with NULL argv: warning", false },
		{ " [    1.0] sched_ext: BPF scheduler \"fifo\" enabled", false },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *text =
			kt_format(" [    0.5] before\n%s\n [    1.5] after\n", cases[i].line);
		KT_FREE char *found = kt_kmsg_complaint(text);

		cr_assert(eq(int, !!found, cases[i].complaint), "%s", cases[i].line);
		if (found)
			cr_assert(eq(str, found, (char *)cases[i].line + 1));
	}
}
