/* SPDX-License-Identifier: MIT */
/* Tests whose machines are kept in capsules; tests/checks/capsule.py looks into them. */
#include <ktest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_LEN ((size_t)16 << 20)

/* What the host will find in the kernel: a name that follows from the seed. */
static int name_guest(struct kt_ctx *ctx)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "kept-%llu", (unsigned long long)kt_seed(ctx));
	KT_ASSERT_OK(ctx, sethostname(name, strlen(name)));
	printf("the guest is called %s\n", name);
	return 0;
}

static int fail_run(struct kt_ctx *ctx)
{
	int r = name_guest(ctx);

	KT_ASSERT_EQ(ctx, 1, 2);
	return r;
}

KTEST(kept_fails, .summary = "it fails after it has changed the kernel", .run = fail_run);
KTEST(kept_fails_in_real_time, .summary = "likewise, in real time", .time = KT_REAL_TIME,
      .run = fail_run);
KTEST(kept_passes, .summary = "it passes", .run = name_guest);

static int hang_run(struct kt_ctx *ctx)
{
	int r = name_guest(ctx);

	while (r == 0)
		(void)pause();
	return r;
}

KTEST(kept_hangs, .summary = "it does not end", .timeout_ms = 500, .run = hang_run);

static int panic_run(struct kt_ctx *ctx)
{
	int r = name_guest(ctx), fd = open("/proc/sysrq-trigger", O_WRONLY);

	(void)!write(fd, "c", 1);
	return r;
}

KTEST(kept_panics, .summary = "the kernel panics", .run = panic_run);

static int post_fail(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, 1, 3);
	return 0;
}

KTEST(kept_fails_afterwards, .summary = "it fails in .post_vm", .run = name_guest,
      .post_vm = post_fail);

/* Memory that does not compress, so that writing takes long enough to be killed at. */
static int large_run(struct kt_ctx *ctx)
{
	uint64_t *words =
		mmap(NULL, LARGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t state = 1;

	KT_ASSERT(ctx, words != MAP_FAILED);
	for (size_t i = 0; i < LARGE_LEN / sizeof(*words); i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		words[i] = state ^ state >> 29;
	}
	return fail_run(ctx);
}

KTEST(kept_large, .summary = "it fails with much memory in use", .timeout_ms = 60000,
      .run = large_run);

/* A step fails while workers run. */
KTEST(kept_in_the_middle, .summary = "its second step fails", .duration_ms = 200,
      .backdrop = { KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 2) }) },
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(50) },
			{ KT_OPS(KT_WATCH("no_such_symbol", .name = "nowhere")),
			  .hold = KT_HOLD_MS(50) }));
