/* SPDX-License-Identifier: MIT */
/*
 * A guest that is looked at from outside: it says what it sees of itself, and then stands still for
 * long enough. tests/checks/inspect_walk.py compares.
 */
#include <ktest.h>

#include <dirent.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOLD_MS 600000
#define LINE    512
#define POLICY  41 /* field of /proc/PID/stat */

KT_SCHEDULER(maps, .object = "maps.bpf.o");

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static bool read_line(const char *path, char line[LINE])
{
	FILE *file = fopen(path, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, LINE, file);
	(void)fclose(file);
	return ok;
}

/* A field of the text behind the name; the state is field 3: proc_pid_stat(5). */
static unsigned long field(const char *at, int number)
{
	for (int i = 3; at && i < number; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoul(at, NULL, 10) : 0;
}

/* "task TGID PID POLICY STATE COMM" */
static void say_thread(const char *tgid, const char *pid)
{
	char path[256], line[LINE], *comm, *end;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/task/%.16s/stat", tgid, pid);
	if (!read_line(path, line))
		return; /* it has ended */
	comm = strchr(line, '(');
	end = strrchr(line, ')');
	if (!comm || !end)
		return;
	*end = 0;
	printf("see task %s %s %lu %c %s\n", tgid, pid, field(end + 2, POLICY), end[2], comm + 1);
}

static void each_number(const char *directory, void (*fn)(const char *context, const char *name),
			const char *context)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
			fn(context, entry->d_name);
	}
	if (dir)
		(void)closedir(dir);
}

static void say_process(const char *unused, const char *tgid)
{
	char path[256];

	(void)unused;
	(void)snprintf(path, sizeof(path), "/proc/%.16s/task", tgid);
	each_number(path, say_thread, tgid);
}

/* "map ID TYPE KEY_SIZE VALUE_SIZE MAX_ENTRIES NAME" */
static void say_maps(void)
{
	union bpf_attr attr = { 0 };

	while (bpf(BPF_MAP_GET_NEXT_ID, &attr) == 0) {
		uint32_t id = attr.next_id;
		union bpf_attr open = { .map_id = id }, get = { 0 };
		struct bpf_map_info info = { 0 };
		int fd = (int)bpf(BPF_MAP_GET_FD_BY_ID, &open);

		get.info.bpf_fd = (uint32_t)fd;
		get.info.info_len = sizeof(info);
		get.info.info = (uintptr_t)&info;
		if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &get) == 0)
			printf("see map %u %u %u %u %u %s\n", id, info.type, info.key_size,
			       info.value_size, info.max_entries, info.name);
		(void)close(fd);
		attr.start_id = id;
	}
}

/* "prog ID TYPE RUNS NAME" */
static void say_programs(void)
{
	union bpf_attr attr = { 0 };

	while (bpf(BPF_PROG_GET_NEXT_ID, &attr) == 0) {
		uint32_t id = attr.next_id;
		union bpf_attr open = { .prog_id = id }, get = { 0 };
		struct bpf_prog_info info = { 0 };
		int fd = (int)bpf(BPF_PROG_GET_FD_BY_ID, &open);

		get.info.bpf_fd = (uint32_t)fd;
		get.info.info_len = sizeof(info);
		get.info.info = (uintptr_t)&info;
		if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &get) == 0)
			printf("see prog %u %u %llu %s\n", id, info.type,
			       (unsigned long long)info.run_cnt, info.name);
		(void)close(fd);
		attr.start_id = id;
	}
}

/* The kernel counts runs of programs only if it is told to. */
static int count_runs(struct kt_ctx *ctx)
{
	FILE *file = fopen("/proc/sys/kernel/bpf_stats_enabled", "we");

	KT_ASSERT(ctx, file);
	(void)fputs("1", file);
	KT_ASSERT_EQ(ctx, fclose(file), 0);
	return 0;
}

static int inspected_run(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, count_runs(ctx), 0);
	KT_ASSERT_EQ(
		ctx,
		kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 6))),
		0);
	KT_ASSERT_EQ(
		ctx,
		kt_apply(ctx, KT_ADD_CGROUP_DEF("i", .work = KT_WORK(KT_IDLE_CHURN, .workers = 2))),
		0);
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 500), 0);
	each_number("/proc", say_process, NULL);
	say_maps();
	say_programs();
	printf("see end\n");
	(void)fflush(stdout);
	return kt_hold_ms(ctx, HOLD_MS);
}

KTEST(inspected, .summary = "a scheduler with many maps and tasks that wait",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .timeout_ms = 2 * HOLD_MS,
      .scheduler = KT_SCHEDULER_REF(maps), .run = inspected_run);

/* Many sleeping tasks, for the time that a walk over all of them takes. */
static int crowded_run(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF(
					   "c", .work = KT_WORK(KT_IDLE_CHURN, .workers = 130))),
		     0);
	printf("see end\n");
	(void)fflush(stdout);
	return kt_hold_ms(ctx, HOLD_MS);
}

KTEST(crowded, .summary = "many tasks", .topology = { .llcs = 1, .cores = 2, .threads = 1 },
      .timeout_ms = 2 * HOLD_MS, .scheduler = KT_SCHEDULER_REF(maps), .run = crowded_run);
