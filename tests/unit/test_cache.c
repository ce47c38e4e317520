/* SPDX-License-Identifier: MIT */
/* The cache on disk: locks, stages, publishing. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/temp_cache.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(cache);

static void note_wait(void *data)
{
	*(bool *)data = true;
}

/* The second process waits until the first one is killed, and the kernel releases its lock. */
Test(cache, a_lock_ends_with_its_holder)
{
	char dir[64];
	int ends[2], fd;
	bool waited = false;
	uint64_t began;
	pid_t pid;

	use_temp_cache(dir);
	cr_assert(zero(int, pipe(ends)));
	pid = fork();
	if (pid == 0) {
		if (kt_cache_lock("x", NULL, NULL, &fd, NULL) < 0)
			_exit(1);
		(void)kt_write_full(ends[1], "x", 1);
		(void)poll(NULL, 0, 200);
		(void)kill(getpid(), SIGKILL);
	}
	cr_assert(zero(int, kt_read_full(ends[0], &(char){ 0 }, 1)));
	began = kt_now_ns();
	cr_assert(zero(int, kt_cache_lock("x", note_wait, &waited, &fd, NULL)));
	cr_assert(waited);
	cr_assert(gt(u64, kt_now_ns() - began, 100000000));
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
	(void)kt_remove_all(dir);
}

Test(cache, a_killed_builder_leaves_nothing_that_looks_finished)
{
	char dir[64];
	KT_FREE char *root = NULL, *path = NULL, *stage = NULL, *second = NULL, *file = NULL;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &root, NULL)));
	path = kt_format("%s/thing", root);
	cr_assert(zero(int, kt_cache_stage(path, &stage, NULL)));
	/* The builder dies here. */
	cr_assert(eq(int, access(path, F_OK), -1));
	cr_assert(zero(int, kt_cache_stage(path, &second, NULL)));
	cr_assert(eq(int, access(stage, F_OK), -1), "what the dead one left is still there");
	file = kt_format("%s/contents", second);
	cr_assert(zero(int, kt_file_publish(file, "1", 1, NULL)));
	cr_assert(zero(int, kt_cache_publish(second, path, NULL)));
	cr_assert(zero(int, access(path, F_OK)));
	(void)kt_remove_all(dir);
}

Test(cache, stages_of_killed_builders_are_swept_and_others_stay)
{
	KT_FREE char *sub = NULL, *dead = NULL, *live = NULL, *stage = NULL, *other = NULL;
	uint64_t bytes = 0;
	char dir[64];
	int lock;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &sub, NULL)));
	dead = kt_format("%s/dead", sub);
	live = kt_format("%s/live", sub);
	cr_assert(zero(int, kt_cache_stage(dead, &stage, NULL)));
	cr_assert(zero(int, kt_cache_stage(live, &other, NULL)));
	cr_assert(zero(int, kt_cache_lock("thing-live", NULL, NULL, &lock, NULL)));
	cr_assert(eq(u32, kt_cache_sweep("things", "thing-", true, &bytes), 1));
	cr_assert(eq(int, access(stage, F_OK), -1), "that of the killed builder");
	cr_assert(zero(int, access(other, F_OK)), "that of the living one");
	(void)close(lock);
	cr_assert(eq(u32, kt_cache_sweep("things", "thing-", true, &bytes), 1));
	cr_assert(eq(int, access(other, F_OK), -1));
	(void)kt_remove_all(dir);
}

Test(cache, what_is_in_use_is_not_removed)
{
	KT_FREE char *path = NULL;
	char dir[64];
	int use;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("entry", &path, NULL)));
	kt_cache_use(path, &use);
	cr_assert(ge(int, use, 0));
	cr_assert(eq(int, kt_cache_remove(path), -EBUSY));
	cr_assert(zero(int, access(path, F_OK)));
	(void)close(use);
	cr_assert(zero(int, kt_cache_remove(path)));
	cr_assert(eq(int, access(path, F_OK), -1));
	(void)kt_remove_all(dir);
}

Test(cache, publishing_replaces_a_directory_that_is_not_empty)
{
	char dir[64];
	KT_FREE char *root = NULL, *path = NULL;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &root, NULL)));
	path = kt_format("%s/thing", root);
	for (int i = 0; i < 2; i++) {
		KT_FREE char *stage = NULL, *file = NULL;

		cr_assert(zero(int, kt_cache_stage(path, &stage, NULL)));
		file = kt_format("%s/file%d", stage, i);
		cr_assert(zero(int, kt_file_publish(file, "x", 1, NULL)));
		cr_assert(zero(int, kt_cache_publish(stage, path, NULL)));
	}
	{
		KT_FREE char *old = kt_format("%s/file0", path), *new = kt_format("%s/file1", path);

		cr_assert(eq(int, access(old, F_OK), -1));
		cr_assert(zero(int, access(new, F_OK)));
	}
	(void)kt_remove_all(dir);
}
