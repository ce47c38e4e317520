/* SPDX-License-Identifier: MIT */
/* What helps when a host has too little of something. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "framework/outcome/advice.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(advice);

/* The text after kt_advise() and kt_advise_cache(); valid until the next call. */
static const char *advised(int code)
{
	static struct kt_err err;

	(void)kt_err_set(&err, code, "no: %m");
	cr_assert(eq(int, kt_advise(&err, code), code));
	cr_assert(eq(int, kt_advise_cache(&err, code), code));
	return err.text;
}

static void expect_advice(int code, const char *limit, const char *option)
{
	const char *text = advised(code);

	cr_expect(ne(ptr, strstr(text, limit), NULL), "'%s' lacks '%s'", text, limit);
	cr_expect(ne(ptr, strstr(text, option), NULL), "'%s' lacks '%s'", text, option);
}

Test(advice, each_limit_is_named_with_what_stays_below_it)
{
	KT_FREE char *all = NULL, *text = NULL;
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 99;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NPROC, &limit);
	limit.rlim_cur = 98;
	(void)setrlimit(RLIMIT_NPROC, &limit);
	cr_assert(zero(int, kt_file_read("/proc/sys/fs/file-max", 64, &text, NULL)));
	text[strcspn(text, "\n")] = '\0';
	all = kt_format("(fs.file-max) is %s:", text);
	expect_advice(-EMFILE, "(RLIMIT_NOFILE) is 99: run fewer virtual CPUs at once (-j N)",
		      "ulimit -n");
	expect_advice(-ENFILE, all, "-j N");
	expect_advice(-EAGAIN, "(RLIMIT_NPROC) is 98,", "ulimit -u");
	expect_advice(-EAGAIN, "pids.max", "-j N");
	expect_advice(-ENOMEM, " MiB of memory available", "--memory-budget SIZE");
	expect_advice(-ENOSPC, "ktests cache prune", "--template-cache-size");
	expect_advice(-EDQUOT, "ktests cache prune", "--template-cache-size");
}

Test(advice, other_errors_are_left_alone)
{
	cr_expect(eq(str, (char *)advised(-EPERM), "no: Operation not permitted"));
	cr_expect(zero(int, kt_advise(NULL, 0)));
	cr_expect(eq(int, kt_advise(NULL, -EMFILE), -EMFILE));
}
