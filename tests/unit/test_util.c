/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/buffer.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/closest.h"
#include "util/io.h"
#include "util/loop.h"
#include "util/memory.h"
#include "util/parse.h"
#include "util/process.h"

UNIT_SUITE(parse);
UNIT_SUITE(buffer);
UNIT_SUITE(cache);
UNIT_SUITE(loop);
UNIT_SUITE(io);
UNIT_SUITE(process);
UNIT_SUITE(memory);
UNIT_SUITE(closest);

Test(parse, durations)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "500ms", 500000000 },
		{ "30s", 30000000000 },
		{ "30", 30000000000 },
		{ "2m", 120000000000 },
		{ "1h", 3600000000000 },
		{ "2d", 172800000000000 },
		{ "1.5s", 1500000000 },
		{ "0.25ms", 250000 },
		{ "7ns", 7 },
		{ "12us", 12000 },
		{ "0", 0 },
		{ "1.000000001s", 1000000001 },
	};
	static const char *const bad[] = { "",    "s",   "-1s", "+1s", " 1s", "1 s", "1x",
					   "1.s", ".5s", "1e3", "1ss", "0x1", "1s ", "1,5s" };
	uint64_t ns;

	for (size_t i = 0; i < KT_ARRAY_LEN(good); i++) {
		cr_assert(eq(int, kt_parse_duration(good[i].text, &ns), 0), "%s", good[i].text);
		cr_assert(eq(u64, ns, good[i].ns));
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		cr_assert(eq(int, kt_parse_duration(bad[i], &ns), -EINVAL), "%s", bad[i]);
	cr_assert(eq(int, kt_parse_duration("99999999999999999999s", &ns), -ERANGE));
	cr_assert(eq(int, kt_parse_duration("9999999999h", &ns), -ERANGE));
}

Test(parse, sizes)
{
	uint64_t bytes;

	cr_assert(eq(int, kt_parse_size("4G", &bytes), 0));
	cr_assert(eq(u64, bytes, 4ull << 30));
	cr_assert(eq(int, kt_parse_size("512KiB", &bytes), 0));
	cr_assert(eq(u64, bytes, 512 << 10));
	cr_assert(eq(int, kt_parse_size("7", &bytes), 0));
	cr_assert(eq(u64, bytes, 7));
	cr_assert(eq(int, kt_parse_size("1T", &bytes), -EINVAL));
	cr_assert(eq(int, kt_parse_size("-1", &bytes), -EINVAL));
	cr_assert(eq(int, kt_parse_size("99999999999G", &bytes), -ERANGE));
}

Test(parse, cpu_lists)
{
	static const struct {
		const char *text;
		const char *canonical;
		unsigned int count;
	} good[] = {
		{ "", "", 0 },           { "\n", "", 0 },
		{ "0", "0", 1 },         { "0-3,8\n", "0-3,8", 5 },
		{ "3,1,2", "1-3", 3 },   { "0-15:2/4", "0-1,4-5,8-9,12-13", 8 },
		{ "1023", "1023", 1 },   { "0-1023", "0-1023", 1024 },
		{ "62-65", "62-65", 4 },
	};
	static const struct {
		const char *text;
		int code;
	} bad[] = {
		{ "a", -EINVAL },       { "1-", -EINVAL },
		{ "-1", -EINVAL },      { "3-1", -EINVAL },
		{ "1,", -EINVAL },      { ",1", -EINVAL },
		{ "1,,2", -EINVAL },    { "1024", -ERANGE },
		{ "0-1024", -ERANGE },  { "0-7:0/2", -EINVAL },
		{ "0-7:3/2", -EINVAL }, { "0-7:1", -EINVAL },
		{ "0-7:1/0", -EINVAL }, { "99999999999999999999", -ERANGE },
	};
	struct kt_cpu_list list;

	for (size_t i = 0; i < KT_ARRAY_LEN(good); i++) {
		struct kt_cpu_list canonical;

		cr_assert(eq(int, kt_cpu_list_parse(good[i].text, &list), 0), "%s", good[i].text);
		cr_assert(eq(u32, kt_cpu_list_count(&list), good[i].count));
		cr_assert(eq(int, kt_cpu_list_parse(good[i].canonical, &canonical), 0));
		cr_assert(eq(int, memcmp(&list, &canonical, sizeof(list)), 0), "%s", good[i].text);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++)
		cr_assert(eq(int, kt_cpu_list_parse(bad[i].text, &list), bad[i].code), "%s",
			  bad[i].text);
}

Test(buffer, lines_come_out_whole)
{
	struct kt_buffer buffer = KT_BUFFER_NULL;
	size_t used;

	cr_assert(zero(sz, kt_buffer_line(&buffer)));
	cr_assert(eq(int, kt_buffer_append(&buffer, "one\ntw", 6), 0));
	used = kt_buffer_line(&buffer);
	cr_assert(eq(str, buffer.data, "one"));
	kt_buffer_consume(&buffer, used);
	cr_assert(zero(sz, kt_buffer_line(&buffer)));
	cr_assert(eq(int, kt_buffer_append(&buffer, "o\n", 2), 0));
	used = kt_buffer_line(&buffer);
	cr_assert(eq(str, buffer.data, "two"));
	kt_buffer_consume(&buffer, used);
	cr_assert(zero(sz, buffer.len));
	kt_buffer_deinit(&buffer);
}

/* 64 MiB in pieces of 4 KiB: moving the rest at each piece would copy 512 GiB. */
Test(buffer, a_long_queue_is_consumed_without_moving_it, .timeout = 20)
{
	const size_t len = 64u << 20, piece = 4096;
	KT_FREE char *bytes = calloc(1, len);
	struct kt_buffer buffer = KT_BUFFER_NULL;

	cr_assert(eq(int, kt_buffer_append(&buffer, bytes, len), 0));
	for (size_t at = 0; at < len; at += piece)
		kt_buffer_consume(&buffer, piece);
	cr_assert(zero(sz, buffer.len));
	kt_buffer_deinit(&buffer);
}

/* Appends and consumes pieces of changing lengths; the bytes are a counter. */
Test(buffer, bytes_come_out_in_order)
{
	struct kt_buffer buffer = KT_BUFFER_NULL;
	unsigned char in = 0, out = 0;

	for (unsigned int round = 0; round < 3000; round++) {
		size_t more = round * 37 % 101, less;

		for (size_t i = 0; i < more; i++, in++)
			cr_assert(eq(int, kt_buffer_append(&buffer, &in, 1), 0));
		less = round * 53 % 103;
		less = round % 200 > 100 ? less / 4 : less;
		less = KT_MIN(less, buffer.len);
		for (size_t i = 0; i < less; i++, out++)
			cr_assert(eq(int, (unsigned char)buffer.data[i], out));
		kt_buffer_consume(&buffer, less);
		cr_assert(le(sz, buffer.before + buffer.len, buffer.room));
	}
	kt_buffer_deinit(&buffer);
}

/* A loop whose callbacks record what they did. */
struct record {
	struct kt_loop *loop;
	struct kt_source source;
	struct kt_timer timer, other;
	char text[32];
};

static void on_timer(void *data)
{
	struct record *record = data;

	(void)strcat(record->text, "t");
}

static void on_other(void *data)
{
	struct record *record = data;

	(void)strcat(record->text, "o");
	kt_loop_stop(record->loop, 7);
}

static void on_readable(void *data, uint32_t events)
{
	struct record *record = data;

	(void)events;
	(void)strcat(record->text, "r");
	kt_loop_remove(record->loop, &record->source); /* allowed inside the callback */
}

Test(loop, timers_in_order_and_sources)
{
	struct record record = { .text = "" };
	int ends[2];

	cr_assert(eq(int, kt_loop_new(&record.loop), 0));
	cr_assert(eq(int, pipe(ends), 0));
	record.source = (struct kt_source){
		.fd = ends[0],
		.events = EPOLLIN,
		.fn = on_readable,
		.data = &record,
	};
	record.timer = (struct kt_timer){ .fn = on_timer, .data = &record };
	record.other = (struct kt_timer){ .fn = on_other, .data = &record };
	cr_assert(eq(int, kt_loop_add(record.loop, &record.source), 0));
	cr_assert(eq(sz, (size_t)write(ends[1], "x", 1), 1));
	kt_timer_arm(record.loop, &record.other, kt_now_ns() + 40000000);
	kt_timer_arm(record.loop, &record.timer, kt_now_ns() + 20000000);
	cr_assert(eq(int, kt_loop_run(record.loop), 7));
	cr_assert(eq(str, record.text, "rto"));
	record.loop = kt_loop_free(record.loop);
}

Test(loop, a_disarmed_timer_stays_silent)
{
	struct record record = { .text = "" };

	cr_assert(eq(int, kt_loop_new(&record.loop), 0));
	record.timer = (struct kt_timer){ .fn = on_timer, .data = &record };
	kt_timer_arm(record.loop, &record.timer, kt_now_ns());
	kt_timer_disarm(record.loop, &record.timer);
	cr_assert(eq(int, kt_loop_step(record.loop, kt_now_ns() + 5000000), -ETIMEDOUT));
	kt_timer_arm(record.loop, &record.timer, kt_now_ns() + 1000000);
	kt_timer_arm(record.loop, &record.timer, KT_NSEC_NEVER);
	cr_assert(eq(int, kt_loop_step(record.loop, kt_now_ns() + 5000000), -ETIMEDOUT));
	cr_assert(eq(str, record.text, ""));
	record.loop = kt_loop_free(record.loop);
}

static char *temp_dir(void)
{
	static char path[64];

	(void)strcpy(path, "/tmp/ktest-unit-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(path), NULL));
	return path;
}

Test(io, publish_replaces_and_leaves_nothing)
{
	char *dir = temp_dir();
	KT_FREE char *path = kt_format("%s/file", dir), *text = NULL;

	cr_assert(eq(int, kt_file_publish(path, "one", 3, NULL), 0));
	cr_assert(eq(int, kt_file_publish(path, "three", 5, NULL), 0));
	cr_assert(eq(int, kt_file_read(path, 100, &text, NULL), 0));
	cr_assert(eq(str, text, "three"));
	cr_assert(eq(int, unlink(path), 0));
	cr_assert(eq(int, rmdir(dir), 0), "a temporary file was left");
}

Test(io, publish_into_nowhere_says_where)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_file_publish("/nonexistent/file", "x", 1, &err), -ENOENT));
	cr_assert(strstr(err.text, "/nonexistent/file") != NULL);
}

/* An exchange is tried only where a rename is refused for what the target holds. */
Test(cache, an_error_of_publishing_is_told_as_it_is)
{
	char *dir = temp_dir();
	KT_FREE char *stage = kt_format("%s/stage", dir), *inside = kt_format("%s/x", stage);
	KT_FREE char *target = kt_format("%s/target", dir), *old = kt_format("%s/old", target);
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_mkdir_all(stage, NULL), 0));
	cr_assert(eq(int, kt_cache_publish(stage, inside, &err), -EINVAL), "%s", err.text);
	cr_assert(strstr(err.text, "Invalid argument") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_mkdir_all(old, NULL), 0));
	cr_assert(eq(int, kt_cache_publish(stage, target, &err), 0), "%s", err.text);
	cr_assert(eq(int, access(old, F_OK), -1), "the old entry is still there");
	cr_assert(eq(int, access(stage, F_OK), -1), "the stage is still there");
	cr_assert(eq(int, kt_remove_all(dir), 0));
}

Test(io, a_file_larger_than_allowed_is_refused)
{
	char *dir = temp_dir();
	KT_FREE char *path = kt_format("%s/file", dir), *text = NULL;
	static char large[10000];

	cr_assert(eq(int, kt_file_publish(path, large, sizeof(large), NULL), 0));
	cr_assert(eq(int, kt_file_read(path, sizeof(large) - 1, &text, NULL), -EFBIG));
	cr_assert(eq(int, kt_file_read(path, sizeof(large), &text, NULL), 0));
	cr_assert(eq(int, kt_remove_all(dir), 0));
}

Test(io, trees_come_and_go)
{
	char *dir = temp_dir();
	KT_FREE char *deep = kt_format("%s/a/b/c", dir), *file = kt_format("%s/a/b/file", dir);
	KT_FREE char *link = kt_format("%s/a/link", dir);
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_mkdir_all(deep, NULL), 0));
	cr_assert(eq(int, kt_mkdir_all(deep, NULL), 0));
	cr_assert(eq(int, kt_file_publish(file, "x", 1, NULL), 0));
	cr_assert(eq(int, symlink("/etc", link), 0));
	cr_assert(lt(int, kt_mkdir_all(file, &err), 0));
	cr_assert(eq(int, kt_remove_all(dir), 0));
	cr_assert(eq(int, access(dir, F_OK), -1));
	cr_assert(eq(int, access("/etc/passwd", F_OK), 0), "a link was followed");
	cr_assert(eq(int, kt_remove_all(dir), 0));
}

Test(process, output_and_status)
{
	const char *const good[] = { "/bin/sh", "-c", "echo out; echo err >&2", NULL };
	const char *const bad[] = { "/bin/sh", "-c", "echo why >&2; exit 3", NULL };
	const char *const none[] = { "/nonexistent/program", NULL };
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;
	uint64_t deadline = kt_now_ns() + 10 * KT_NSEC_PER_SEC;

	cr_assert(eq(int, kt_process_output(good, deadline, &text, &err), 0));
	cr_assert(eq(str, text, "out\nerr\n"));
	cr_assert(eq(int, kt_process_output(bad, deadline, &text, &err), -EREMOTEIO));
	cr_assert(strstr(err.text, "status 3: why") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_process_output(none, deadline, &text, &err), -ENOENT));
}

Test(process, a_deadline_ends_it)
{
	const char *const argv[] = { "/bin/sleep", "100", NULL };
	uint64_t began = kt_now_ns();
	KT_FREE char *text = NULL;

	cr_assert(eq(int, kt_process_output(argv, began + 100000000, &text, NULL), -ETIMEDOUT));
	cr_assert(lt(u64, kt_now_ns() - began, 5 * KT_NSEC_PER_SEC));
}

/* The child of a process that is killed ends, too. */
Test(process, dies_with_its_parent)
{
	const char *const argv[] = { "/bin/sleep", "100", NULL };
	struct kt_process_spec spec = { .argv = argv, .in = -1, .out = -1, .err = -1 };
	struct pollfd waiting;
	int ends[2], pidfd;
	pid_t pid, child;

	cr_assert(eq(int, pipe(ends), 0));
	pid = fork();
	if (pid == 0) {
		if (kt_process_spawn(&spec, &child, &pidfd, NULL) < 0)
			_exit(1);
		(void)kt_write_full(ends[1], &child, sizeof(child));
		(void)pause();
	}
	cr_assert(eq(int, kt_read_full(ends[0], &child, sizeof(child)), 0));
	pidfd = (int)syscall(434 /* pidfd_open */, child, 0);
	cr_assert(ge(int, pidfd, 0));
	cr_assert(eq(int, kill(pid, SIGKILL), 0));
	waiting = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	cr_assert(eq(int, kt_poll(&waiting, 1, kt_now_ns() + 5 * KT_NSEC_PER_SEC), 1));
}

Test(parse, ends)
{
	cr_assert(kt_ends_with("a.json", ".json"));
	cr_assert(kt_ends_with(".json", ".json"));
	cr_assert(kt_ends_with("a", ""));
	cr_assert_not(kt_ends_with("json", ".json"));
	cr_assert_not(kt_ends_with("a.json5", ".json"));
}

static void write_limit(const char *root, const char *cgroup, const char *text)
{
	KT_FREE char *dir = kt_format("%s%s", root, cgroup);
	KT_FREE char *path = kt_format("%s/memory.max", dir);

	cr_assert_eq(kt_mkdir_all(dir, NULL), 0);
	cr_assert_eq(kt_file_publish(path, text, strlen(text), NULL), 0);
}

Test(memory, the_least_limit_of_all_cgroups_above_counts)
{
	char root[] = "/tmp/ktest-cgroup-XXXXXX";

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(kt_cgroup_least(root, "/a/b", "memory.max"), UINT64_MAX, "there is no file");
	write_limit(root, "/a/b", "max\n");
	cr_assert_eq(kt_cgroup_least(root, "/a/b", "memory.max"), UINT64_MAX);
	write_limit(root, "/a", "5000\n");
	cr_assert_eq(kt_cgroup_least(root, "/a/b", "memory.max"), 5000);
	write_limit(root, "/a/b", "7000\n");
	cr_assert_eq(kt_cgroup_least(root, "/a/b", "memory.max"), 5000);
	write_limit(root, "", "300\n"); /* the root of a container's name space has one */
	cr_assert_eq(kt_cgroup_least(root, "/a/b", "memory.max"), 300);
	cr_assert_eq(kt_cgroup_least(root, "/", "memory.max"), 300);
	cr_assert_eq(kt_remove_all(root), 0);
}

Test(memory, no_process_has_more_than_the_host)
{
	uint64_t host = kt_meminfo_mib("MemTotal:");

	cr_assert_gt(host, 0);
	cr_assert_gt(kt_memory_mib(), 0);
	cr_assert_leq(kt_memory_mib(), host);
	cr_assert_eq(kt_meminfo_mib("NoSuchKey:"), 0);
}

static const char *closest_to(const char *wanted)
{
	static const char *const names[] = { "retries", "seed", "shard",       "skip",
					     "timeout", "time", "stress-count" };
	struct kt_closest closest;

	kt_closest_init(&closest, wanted);
	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++)
		kt_closest_try(&closest, names[i]);
	return closest.name ?: "none";
}

Test(closest, is_within_a_third_of_the_letters)
{
	static const char *const cases[][2] = {
		{ "retires", "retries" }, { "sede", "seed" },
		{ "shrad", "shard" },     { "tiem", "time" },
		{ "timeuot", "timeout" }, { "stress-cnt", "stress-count" },
		{ "skp", "skip" },        { "s", "none" },
		{ "", "none" },           { "frobnicate", "none" },
		{ "skip", "skip" },       { "sxxd", "none" },
	};
	char many[200];

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(str, (char *)closest_to(cases[i][0]), (char *)cases[i][1]), "%s",
			  cases[i][0]);
	memset(many, 's', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	cr_assert(eq(str, (char *)closest_to(many), "none"));
}
