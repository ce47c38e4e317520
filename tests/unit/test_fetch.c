/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/kernel/fetch.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(fetch);

/* Programs of apt that say what a test wants stand first in PATH; the cache's name is a pattern. */
static char dir[] = "/tmp/ktest-fetch-XXXXXX";

static void write_program(const char *name, const char *script)
{
	KT_FREE char *path = kt_format("%s/%s", dir, name);
	KT_FREE char *text = kt_format("#!/bin/sh\n%s\n", script);

	cr_assert(zero(int, kt_file_publish(path, text, strlen(text), NULL)));
	cr_assert(zero(int, chmod(path, 0700)));
}

static void set_up(void)
{
	KT_FREE char *path = NULL, *cache = NULL;

	if (access("/usr/share/keyrings/debian-archive-keyring.gpg", R_OK) < 0)
		cr_skip_test("debian-archive-keyring is not installed");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	path = kt_format("%s:%s", dir, getenv("PATH"));
	cache = kt_format("%s/ca[c]he*", dir);
	(void)setenv("PATH", path, 1);
	(void)setenv("XDG_CACHE_HOME", cache, 1);
	write_program("apt-get", "exit 0");
	write_program("dpkg-deb", "echo unpacks >&2; exit 3");
	write_program("apt-cache",
		      "case \"$*\" in\n"
		      "*pkgnames*) echo 'W: linux-image-99 is not well'; echo linux-image-amd64\n"
		      "  echo linux-image-7.0-cloud-amd64; echo linux-image-7.2-cloud-amd64-dbg\n"
		      "  echo 'linux-image-9 was seen at -cloud-amd64'\n"
		      "  echo linux-images9.9-cloud-amd64;;\n"
		      "*show*) echo Filename: x;;\nesac");
}

static void tear_down(void)
{
	(void)kt_remove_all(dir);
}

static int fetch(const char *version, struct kt_err *err)
{
	struct kt_kernel_fetch_options options = {
		.version = version,
		.mirror = "http://archive.invalid/debian",
		.stall_ns = 300 * KT_NSEC_PER_MSEC,
	};
	KT_FREE char *release = NULL;

	return kt_kernel_fetch(&options, &release, err);
}

#define FETCH_TEST(name) Test(fetch, name, .init = set_up, .fini = tear_down, .timeout = 30)

FETCH_TEST(what_is_no_kernels_name_is_not_taken_for_one)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, fetch("1.2.3", &err), -ENOENT), "%s", err.text);
	cr_assert(eq(str, err.text,
		     "the archive has no kernel 1.2.3; its newest is 7.0-cloud-amd64"));
}

FETCH_TEST(a_download_that_stalls_is_ended_and_named)
{
	struct kt_err err = KT_ERR_NULL;

	/* Output that repeats the last status, as apt prints while it waits, is not progress. */
	write_program(
		"apt-get",
		"for a; do case $a in *Status-Fd=*) fd=${a##*=};; download) d=1;; esac; done\n"
		"test \"$d\" || exit 0\n"
		"while echo dlstatus:1:37:Retrieving > /proc/self/fd/$fd; do "
		"sleep 0.05; done");
	cr_assert(eq(int, fetch("7.0", &err), -ETIMEDOUT), "%s", err.text);
	cr_assert(eq(str, err.text,
		     "downloading 7.0-cloud-amd64: no progress within 0.3 s, at 37%; the mirror is "
		     "'http://archive.invalid/debian'"));
}

FETCH_TEST(packages_are_found_whatever_the_caches_name_is)
{
	struct kt_err err = KT_ERR_NULL;

	write_program("apt-get", "for a; do case $a in download) echo > some.deb;; esac; done");
	cr_assert(eq(int, fetch("7.0", &err), -EREMOTEIO), "%s", err.text);
	cr_assert(strstr(err.text, "unpacking some.deb") != NULL, "%s", err.text);
	cr_assert(strstr(err.text, "unpacks") != NULL, "%s", err.text);
}

/* A kernel that cannot be moved is not told as a package without one. */
FETCH_TEST(a_file_that_cannot_be_moved_is_told_with_the_reason)
{
	struct kt_err err = KT_ERR_NULL;

	write_program("apt-get", "for a; do case $a in download) echo > some.deb;; esac; done");
	write_program("dpkg-deb", "for a; do last=$a; done; mkdir -p $last; echo > $last/boot");
	cr_assert(eq(int, fetch("7.0", &err), -ENOTDIR), "%s", err.text);
	cr_assert(strstr(err.text, "vmlinuz': Not a directory") != NULL, "%s", err.text);
}
