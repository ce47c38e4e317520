/* SPDX-License-Identifier: MIT */
/*
 * The guest's kernel, read and written from outside: each kind of target against what the guest
 * itself knows, writes that change what the kernel does, and refusals.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ktest.h>

/* ---- Reading ---- */

/* The number behind @key in /proc/FILE. */
static uint64_t proc_number(const char *path, const char *key)
{
	char line[256];
	uint64_t number = 0;
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)))
			number = strtoull(line + strlen(key), NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return number;
}

static int kernel_paths_run(struct kt_ctx *ctx)
{
	char comm[64], path[64];
	uint64_t value = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "nr_cpu_ids", &value));
	KT_ASSERT_EQ(ctx, value, (uint64_t)sysconf(_SC_NPROCESSORS_CONF));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "init_task.pid", &value));
	KT_ASSERT_EQ(ctx, value, 0);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).real_parent->pid", &value));
	KT_ASSERT_EQ(ctx, value, 0);
	(void)snprintf(path, sizeof(path), "task(%d).comm", (int)getpid());
	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, path, comm, sizeof(comm)));
	KT_ASSERT(ctx, strstr(comm, "ktest-init"));
	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, "init_uts_ns.name.nodename", comm, sizeof(comm)));
	KT_ASSERT(ctx, strstr(comm, "ktest"));
	return 0;
}

KTEST(kernel_paths, .summary = "typed paths read what the guest knows of itself",
      .run = kernel_paths_run);

/* Every target kind, one batch; the results are compared with each other and with /proc. */
static int kernel_targets_run(struct kt_ctx *ctx)
{
	uint64_t jiffies = 0, jiffies_path = 1, jiffies_kva = 2, jiffies_direct = 3, kva = 0;
	uint64_t page_offset = 0, phys_base = 0, cpu0 = 0, cpu1 = 1, utime = 0;
	struct kt_worker_identity self;
	const char *comm;
	size_t len;

	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, getpid(), &self));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "&jiffies_64", &kva));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "page_offset_base", &page_offset));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "phys_base", &phys_base));
	KT_ASSERT_OK(
		ctx,
		kt_apply(ctx, KT_READ_KERNEL_COLD(
				      KT_GET("symbol", KT_KERNEL_SYMBOL("jiffies_64"), KT_AS_U64),
				      KT_GET("path", KT_KERNEL_PATH("jiffies_64"), KT_AS_NUMBER),
				      KT_GET("kva", KT_KERNEL_KVA(kva), KT_AS_U64),
				      KT_GET("direct",
					     KT_KERNEL_DIRECT(kva - UINT64_C(0xffffffff80000000) +
							      phys_base + page_offset),
					     KT_AS_U64),
				      KT_GET("cpu0", KT_KERNEL_PER_CPU_FIELD("runqueues", "cpu", 0),
					     KT_AS_U32),
				      KT_GET("cpu1", KT_KERNEL_PER_CPU_FIELD("runqueues", "cpu", 1),
					     KT_AS_NUMBER),
				      KT_GET("comm", KT_KERNEL_TASK_FIELD(self, "comm"),
					     KT_AS_BYTES(16)),
				      KT_GET("class", KT_KERNEL_TASK_FIELD(self, "policy"),
					     KT_AS_TEXT))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "symbol", &jiffies));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "path", &jiffies_path));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "kva", &jiffies_kva));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "direct", &jiffies_direct));
	/* One moment: the same variable, four times. */
	KT_ASSERT_GT(ctx, jiffies, 0);
	KT_ASSERT_EQ(ctx, jiffies_path, jiffies);
	KT_ASSERT_EQ(ctx, jiffies_kva, jiffies);
	KT_ASSERT_EQ(ctx, jiffies_direct, jiffies);
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpu0", &cpu0));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpu1", &cpu1));
	KT_ASSERT_EQ(ctx, cpu0, 0);
	KT_ASSERT_EQ(ctx, cpu1, 1);
	comm = kt_kernel_captured_bytes(ctx, "comm", &len);
	KT_ASSERT_EQ(ctx, len, 16);
	KT_ASSERT_STREQ(ctx, comm, "ktest-init");
	comm = kt_kernel_captured_bytes(ctx, "class", &len);
	KT_ASSERT_STREQ(ctx, comm, "0");
	/* Against the guest's own view of the same task. */
	utime = proc_number("/proc/self/status", "voluntary_ctxt_switches:");
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_READ_KERNEL_HOT(KT_GET(
						"switches", KT_KERNEL_TASK_FIELD(self, "nvcsw"),
						KT_AS_NUMBER))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "switches", &jiffies));
	KT_ASSERT_GE(ctx, jiffies, utime);
	KT_ASSERT_LE(ctx, jiffies, utime + 20);
	return 0;
}

KTEST(kernel_targets, .summary = "all kinds of targets lead to the same memory",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .run = kernel_targets_run);

/* ---- Writing ---- */

static uint64_t uptime_ticks(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int kernel_jiffies_run(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0, began = uptime_ticks();

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "jiffies_64", &before));
	KT_ASSERT_OK(ctx,
		     kt_apply(ctx, KT_WRITE_KERNEL_HOT(KT_PUT(KT_KERNEL_SYMBOL("jiffies_64"),
							      KT_KERNEL_U64(before + 100000)))));
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 50));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "jiffies_64", &after));
	/* It went on counting from there; the clock is another one, and did not jump. */
	KT_ASSERT_GE(ctx, after, before + 100000 + 5);
	KT_ASSERT_LT(ctx, after, before + 100000 + 10000);
	KT_ASSERT_LT(ctx, uptime_ticks() - began, 10000);
	return 0;
}

KTEST(kernel_jiffies, .summary = "jiffies_64 goes on from where it was set",
      .run = kernel_jiffies_run);

/* A sysctl's variable: the guest reads back what the host has written, and its width is BTF's. */
static int kernel_write_run(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "init_uts_ns.name.nodename[0]", &before));
	KT_ASSERT_EQ(ctx, before, 'k');
	KT_ASSERT_OK(ctx, kt_kernel_write(ctx, "init_uts_ns.name.nodename[0]", 'K'));
	{
		char name[65];

		KT_ASSERT_OK(ctx, gethostname(name, sizeof(name)));
		KT_ASSERT_STREQ(ctx, name, "Ktest");
	}
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_PATH("init_uts_ns.name.nodename"),
						       KT_KERNEL_BYTES("remote", 7)))));
	{
		char name[65];

		KT_ASSERT_OK(ctx, gethostname(name, sizeof(name)));
		KT_ASSERT_STREQ(ctx, name, "remote");
	}
	/* Bits are added, and nothing else changes. */
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(KT_PUT(KT_KERNEL_PATH("task(1).flags"),
								    KT_KERNEL_OR_U32(0)))));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &before));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_PATH("task(1).personality"),
						       KT_KERNEL_OR_U32(0x0040000)))));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &after));
	KT_ASSERT_EQ(ctx, after, before | 0x0040000);
	return 0;
}

KTEST(kernel_write, .summary = "the guest sees what the host has written", .run = kernel_write_run);

/* ---- .post_vm ---- */

static int kernel_post_vm_run(struct kt_ctx *ctx)
{
	return kt_kernel_write(ctx, "init_uts_ns.name.nodename[0]", 'Z');
}

static int kernel_post_vm_post(struct kt_ctx *ctx)
{
	char name[80];
	uint64_t value = 0;

	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, "init_uts_ns.name.nodename", name, sizeof(name)));
	KT_ASSERT(ctx, strstr(name, "Ztest"));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).pid", &value));
	KT_ASSERT_EQ(ctx, value, 1);
	return 0;
}

KTEST(kernel_post_vm, .summary = ".post_vm sees the last state of the guest's kernel",
      .run = kernel_post_vm_run, .post_vm = kernel_post_vm_post);

/* ---- As data ---- */

static int kernel_steps_check(struct kt_ctx *ctx)
{
	uint64_t cpus = 0, first = 1, second = 0;

	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpus", &cpus));
	KT_ASSERT_EQ(ctx, cpus, 2);
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "first", &first));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "second", &second));
	/* The two operations are made as one: no time passes between them. */
	KT_ASSERT_EQ(ctx, first, second);
	KT_ASSERT(ctx, !kt_kernel_captured(ctx, "third", &first));
	return 0;
}

KTEST(kernel_steps, .summary = "cold reads that follow each other are of one moment",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .duration_ms = 100,
      .steps = KT_STEPS(
	      { KT_OPS(KT_READ_KERNEL_COLD(KT_GET("cpus", KT_KERNEL_PATH("nr_cpu_ids"),
						  KT_AS_NUMBER)),
		       KT_READ_KERNEL_COLD(KT_GET("first",
						  KT_KERNEL_PATH("task(1).se.sum_exec_runtime"),
						  KT_AS_NUMBER)),
		       KT_READ_KERNEL_COLD(KT_GET("second",
						  KT_KERNEL_PATH("task(1).se.sum_exec_runtime"),
						  KT_AS_NUMBER))),
		.hold = KT_HOLD_MS(50) }),
      .check = kernel_steps_check);
