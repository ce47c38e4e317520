/* SPDX-License-Identifier: MIT */
/* The files that payloads bring along: theirs are found, and those of other tests are not there. */
#include <ktest.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define LIBRARY "libktsuite.so"

KT_PAYLOAD(links, .binary = "./payload-links", .output = KT_OUTPUT_EXIT_CODE);
KT_PAYLOAD(opens, .binary = "./payload-opens", .args = KT_ARGS(LIBRARY));
KT_PAYLOAD(opens_own, .binary = "./payload-opens", .args = KT_ARGS(LIBRARY),
	   .files = KT_ARGS("./" LIBRARY), .output = KT_OUTPUT_EXIT_CODE);
KT_PAYLOAD(cancels, .binary = "./payload-cancels", .output = KT_OUTPUT_EXIT_CODE);

static int run_only(struct kt_ctx *ctx, const struct kt_payload *payload)
{
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, payload, NULL, NULL, 5000, NULL));
	return 0;
}

static int links_run(struct kt_ctx *ctx)
{
	KT_EXPECT_EQ(ctx, access("/payloads/links/" LIBRARY, R_OK), 0);
	return run_only(ctx, KT_PAYLOAD_REF(links));
}

KTEST(payload_links, .summary = "a payload has the library that its run path leads to", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(links)), .run = links_run);

static int opens_run(struct kt_ctx *ctx)
{
	return run_only(ctx, KT_PAYLOAD_REF(opens_own));
}

KTEST(payload_opens_its_files, .summary = "dlopen() by name finds a library among .files", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(opens_own)), .run = opens_run);

/* The first regular file below @dir, "" if there is none. The directories of others may stay. */
static void find_file(const char *dir, const char *except, char *found, size_t room)
{
	DIR *entries = opendir(dir);

	*found = '\0';
	for (struct dirent *ent; entries && !*found && (ent = readdir(entries));) {
		char path[512];

		if (ent->d_name[0] == '.' || !strcmp(ent->d_name, except))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, ent->d_name);
		if (ent->d_type == DT_DIR)
			find_file(path, "", found, room);
		else
			(void)snprintf(found, room, "%s", path);
	}
	if (entries)
		(void)closedir(entries);
}

/*
 * Beside libc lie the libraries of PID 1, which has loaded them, and the unwinder. This test's
 * payload needs no others.
 */
static void expect_no_libraries(struct kt_ctx *ctx)
{
	char maps[1 << 16] = "", *libc, *dir;
	FILE *file = fopen("/proc/self/maps", "re");
	DIR *libraries;

	if (file)
		(void)!fread(maps, 1, sizeof(maps) - 1, file);
	libc = strstr(maps, "/libc.so.6");
	if (!file || !libc) {
		KT_EXPECT(ctx, !"PID 1 has a libc");
		return;
	}
	(void)fclose(file);
	for (dir = libc; dir[-1] != ' '; dir--)
		;
	dir = strndup(dir, (size_t)(libc - dir));
	libraries = opendir(dir);
	for (struct dirent *ent; libraries && (ent = readdir(libraries));) {
		if (ent->d_type == DT_REG && strcmp(ent->d_name, "libgcc_s.so.1"))
			KT_EXPECT_CONTAINS(ctx, maps, ent->d_name);
	}
	KT_EXPECT(ctx, libraries);
	if (libraries)
		(void)closedir(libraries);
	free(dir);
}

/*
 * The template that this test is forked from has the files of many others: theirs must be gone, and
 * their libraries too.
 */
static int own_files_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	char found[512];

	find_file("/payloads", "opens", found, sizeof(found));
	KT_EXPECT_STREQ(ctx, found, "");
	find_file("/payloads/opens", "payload-opens", found, sizeof(found));
	KT_EXPECT_STREQ(ctx, found, "");
	find_file("/schedulers", "", found, sizeof(found));
	KT_EXPECT_STREQ(ctx, found, "");
	expect_no_libraries(ctx);
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(opens), NULL, NULL, 5000, &result));
	KT_EXPECT_EQ(ctx, WEXITSTATUS(result.status), 1);
	KT_EXPECT_CONTAINS(ctx, result.err, LIBRARY ": cannot open shared object file");
	return 0;
}

KTEST(payload_sees_its_own_files, .summary = "files of other tests are not there", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(opens)), .run = own_files_run);

static int cancels_run(struct kt_ctx *ctx)
{
	return run_only(ctx, KT_PAYLOAD_REF(cancels));
}

KTEST(payload_cancels_a_thread, .summary = "a payload can cancel a thread", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(cancels)), .run = cancels_run);

static void *wait_for_ever(void *data)
{
	for (;;)
		(void)pause();
	return data;
}

static int cancel_run(struct kt_ctx *ctx)
{
	void *result = NULL;
	pthread_t thread;

	KT_ASSERT_EQ(ctx, pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
	KT_ASSERT_EQ(ctx, pthread_cancel(thread), 0);
	KT_ASSERT_EQ(ctx, pthread_join(thread, &result), 0);
	KT_EXPECT(ctx, result == PTHREAD_CANCELED);
	return 0;
}

KTEST(guest_cancels_a_thread, .summary = "a test can cancel a thread", ONE_CPU, .run = cancel_run);
