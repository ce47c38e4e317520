/* SPDX-License-Identifier: MIT */
/* A guest whose user space never reports: it hangs in a constructor, before PID 1 takes over. */
#include <ktest.h>

#include <unistd.h>

__attribute__((constructor(101))) static void hang(void)
{
	while (getpid() == 1)
		(void)pause();
}

static int never_called(struct kt_ctx *ctx)
{
	KT_FAIL(ctx, "unreachable");
}
KTEST(boot_hangs, .summary = "a boot that never ends", .topology = { .llcs = 1, .cores = 1 },
      .run = never_called);
