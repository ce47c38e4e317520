/* SPDX-License-Identifier: MIT */
#include "framework/cli/new.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* The files of docs/examples/new, embedded by util/embed.sh. */
extern const uint8_t kt_new_tests_begin[], kt_new_tests_end[];
extern const uint8_t kt_new_meson_begin[], kt_new_meson_end[];
extern const uint8_t kt_new_makefile_begin[], kt_new_makefile_end[];

static const struct {
	const char *name;
	const uint8_t *begin, *end;
} files[] = {
	{ "tests.c", kt_new_tests_begin, kt_new_tests_end },
	{ "meson.build", kt_new_meson_begin, kt_new_meson_end },
	{ "Makefile", kt_new_makefile_begin, kt_new_makefile_end },
};

static const char next_steps[] =
	"Build and run the tests, with Meson or with make:\n"
	"  cd '%1$s' && meson setup build && meson test -C build\n"
	"  cd '%1$s' && make test\n"
	"Both find ktest by pkg-config. Where it is not installed, its build directory serves:\n"
	"  export PKG_CONFIG_PATH=KTEST/build/meson-uninstalled\n";

/* All are looked for before the first is written: a refusal leaves the directory as it was. */
static int check_absent(int dir_fd, const char *dir, struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(files); i++)
		if (faccessat(dir_fd, files[i].name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return kt_err_set(reterr, -EEXIST,
					  "new: '%s/%s' is there already; name a directory without "
					  "one",
					  dir, files[i].name);
	return 0;
}

/* Creates the file; one that cannot be written whole is removed. */
static int write_file(int dir_fd, size_t i)
{
	KT_CLOSE int fd =
		openat(dir_fd, files[i].name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int r;

	if (fd < 0)
		return -errno;
	r = kt_write_full(fd, files[i].begin, (size_t)(files[i].end - files[i].begin));
	if (r < 0)
		(void)unlinkat(dir_fd, files[i].name, 0);
	return r;
}

/* All or none: after a failure, the files before it are removed. */
static int write_files(int dir_fd, const char *dir, struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(files); i++) {
		int r = write_file(dir_fd, i);

		if (r == 0)
			continue;
		(void)kt_err_set(reterr, r, "new: cannot write '%s/%s': %s", dir, files[i].name,
				 strerror(-r));
		while (i--)
			(void)unlinkat(dir_fd, files[i].name, 0);
		return r;
	}
	return 0;
}

static int write_project(const char *dir, struct kt_err *reterr)
{
	KT_CLOSE int dir_fd = -1;
	int r = kt_mkdir_all(dir, reterr);

	if (r < 0)
		return r;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return kt_err_set(reterr, -errno, "new: '%s': %m", dir);
	return check_absent(dir_fd, dir, reterr) ?: write_files(dir_fd, dir, reterr);
}

enum kt_exit_status kt_new_command(const char *dir)
{
	struct kt_err err = KT_ERR_NULL;
	int r = write_project(dir, &err);

	if (r < 0) {
		(void)fprintf(stderr, "ktests: %s\n", err.text);
		return r == -EEXIST ? KT_EXIT_STATUS_USAGE : KT_EXIT_STATUS_HARNESS;
	}
	(void)printf(next_steps, dir);
	return KT_EXIT_STATUS_OK;
}
