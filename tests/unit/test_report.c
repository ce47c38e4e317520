/* SPDX-License-Identifier: MIT */
/* Reports: where they are written to, and that every reader can read them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/report/file.h"
#include "framework/report/report.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(report_file);
UNIT_SUITE(report_text);
UNIT_SUITE(xml);

/* ---- the file ------------------------------------------------------------------------------- */

struct place {
	char dir[64];
};

static struct place place_new(void)
{
	struct place place = { .dir = "/tmp/ktest-report-XXXXXX" };

	cr_assert(mkdtemp(place.dir) != NULL);
	return place;
}

static char *in(const struct place *place, const char *name)
{
	return kt_format("%s/%s", place->dir, name);
}

static int write_report(const char *path, const char *text)
{
	struct kt_report_file *file;
	int r = kt_report_file_open(path, &file, NULL);

	if (r < 0)
		return r;
	r = kt_report_file_write(file, text, strlen(text), NULL);
	(void)kt_report_file_free(file);
	return r;
}

static void expect_content(const char *path, const char *text)
{
	KT_FREE char *content = NULL;

	cr_assert(zero(int, kt_file_read(path, 1000, &content, NULL)), "%s", path);
	cr_assert(eq(str, content, (char *)text));
}

Test(report_file, a_new_and_an_old_file)
{
	struct place place = place_new();
	KT_FREE char *path = in(&place, "r.xml");

	cr_assert(zero(int, write_report(path, "one")));
	expect_content(path, "one");
	cr_assert(zero(int, write_report(path, "two")));
	expect_content(path, "two");
	(void)kt_remove_all(place.dir);
}

Test(report_file, a_link_stays_and_its_target_is_replaced)
{
	struct place place = place_new();
	KT_FREE char *target = in(&place, "target"), *path = in(&place, "link");
	struct stat st;

	cr_assert(zero(int, symlink("target", path)));
	cr_assert(zero(int, write_report(path, "through nothing")));
	expect_content(target, "through nothing");
	cr_assert(zero(int, write_report(path, "again")));
	expect_content(target, "again");
	cr_assert(zero(int, lstat(path, &st)));
	cr_assert(eq(u32, st.st_mode & S_IFMT, S_IFLNK));
	(void)kt_remove_all(place.dir);
}

Test(report_file, a_device_stays_a_device)
{
	struct stat st;

	cr_assert(zero(int, write_report("/dev/null", "gone")));
	cr_assert(zero(int, stat("/dev/null", &st)));
	cr_assert(eq(u32, st.st_mode & S_IFMT, S_IFCHR));
	cr_assert(eq(int, write_report("/dev/full", "no room"), -ENOSPC));
}

Test(report_file, an_error_names_the_file)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_report_file *file;

	cr_assert(zero(int, kt_report_file_open("/dev/full", &file, &err)));
	cr_assert(eq(int, kt_report_file_write(file, "x", 1, &err), -ENOSPC));
	cr_assert(strstr(err.text, "'/dev/full': No space left") != NULL, "%s", err.text);
	(void)kt_report_file_free(file);
	cr_assert(eq(int, kt_report_file_open("", &file, &err), -EINVAL));
}

Test(report_file, a_fifo_is_written_through)
{
	struct place place = place_new();
	KT_FREE char *path = in(&place, "fifo");
	char text[8] = "";
	struct stat st;
	int reader;

	cr_assert(zero(int, mkfifo(path, 0600)));
	cr_assert(eq(int, write_report(path, "nobody"), -ENXIO));
	reader = open(path, O_RDONLY | O_NONBLOCK);
	cr_assert(zero(int, write_report(path, "piped")));
	cr_assert(eq(long, read(reader, text, sizeof(text)), 5));
	cr_assert(eq(str, text, "piped"));
	cr_assert(zero(int, lstat(path, &st)));
	cr_assert(eq(u32, st.st_mode & S_IFMT, S_IFIFO));
	(void)close(reader);
	(void)kt_remove_all(place.dir);
}

Test(report_file, what_cannot_be_written_is_told_at_once)
{
	struct kt_report_file *file;
	struct kt_err err;

	cr_assert(eq(int, kt_report_file_open("/nonexistent/r.xml", &file, &err), -ENOENT));
	cr_assert(strstr(err.text, "/nonexistent/r.xml") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_report_file_open("/tmp", &file, &err), -EISDIR));
}

/* ---- texts ---------------------------------------------------------------------------------- */

static const struct kt_test test = { .name = "t", .file = "t.c", .line = 7 };

Test(report_text, the_rerun_line_is_quoted_and_complete)
{
	const struct kt_kernel kernel = { .spec = "/tmp/my kernel" };
	const struct kt_options options = {
		.append = "panic=1 it's",
		.timeout_ns = UINT64_C(1500000000),
		.timeout_given = true,
		.boot = KT_BOOT_COLD,
		.time = KT_TIME_CHOICE_VIRTUAL,
		.policy = KT_TURNS_PCT,
		.pct_depth = 5,
		.pct_length = 1000,
		.turn_insns = 77,
		.mips = 200,
	};
	const struct kt_run_info info = { .program = "./a b", .options = &options };
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	KT_FREE char *command = NULL;

	outcome.test = &test;
	outcome.kernel = &kernel;
	outcome.seed = 5;
	outcome.mips = 60;
	outcome.template_ram = 0xab;
	command = kt_report_rerun_command(&info, &outcome);
	cr_assert(eq(str, command,
		     "'./a b' --exact -t t --seed 5 --boot cold --kernel '/tmp/my kernel' "
		     "--append 'panic=1 it'\\''s' --time virtual --mips 200 --policy pct "
		     "--pct-depth 5 --pct-length 1000 --turn 77 --timeout 1500ms "
		     "--template 00000000000000ab"));
}

Test(report_text, a_template_that_any_host_would_make_is_not_named)
{
	const struct kt_options options = { .boot = KT_BOOT_FORK };
	const struct kt_run_info info = { .program = "p", .options = &options };
	struct kt_outcome outcome = { .test = &test, .mips = 60, .template_ram = 1 };
	KT_FREE char *command = NULL;

	outcome.template_is_own = true;
	command = kt_report_rerun_command(&info, &outcome);
	cr_assert(eq(str, command, "p --exact -t t --seed 0"));
}

Test(report_text, a_capsule_is_named_with_the_command_that_opens_it)
{
	const struct kt_run_info info = { .program = "./a b" };
	struct kt_outcome outcome = { .test = &test };
	KT_FREE char *none = kt_report_capsule_text(&info, &outcome), *one = NULL, *why = NULL;

	cr_assert(eq(ptr, none, NULL));
	outcome.capsule = "/c/t 1.capsule";
	outcome.capsule_bytes = 1025;
	one = kt_report_capsule_text(&info, &outcome);
	cr_assert(eq(str, one, "capsule of 2 KiB, to look into: './a b' open '/c/t 1.capsule'"));
	outcome.capsule = NULL;
	outcome.no_capsule = "the disk is full";
	why = kt_report_capsule_text(&info, &outcome);
	cr_assert(eq(str, why, "no capsule: the disk is full"));
}

Test(report_text, a_line_without_end_is_cut)
{
	static char line[KT_REPORT_LINE_MAX + 500];
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	memset(line, 'x', sizeof(line));
	/* The cut would be in the middle of these two bytes. */
	memcpy(line + KT_REPORT_LINE_MAX - 1, "\xc3\xa9", 2);
	kt_report_put_line(out, line, sizeof(line));
	kt_report_put_line(out, "short", 5);
	(void)fclose(out);
	cr_assert(strstr(text, "xxx [... 501 bytes more]\n    short\n") != NULL, "%s", text);
	cr_assert(strchr(text, '\xc3') == NULL);
}

Test(report_text, a_nul_hides_nothing)
{
	KT_CLEANUP(kt_capture_deinit) struct kt_capture capture = KT_CAPTURE_NULL;
	KT_FREE char *text = NULL;

	cr_assert(zero(int, kt_capture_init(&capture, "test", NULL)));
	cr_assert(zero(int, kt_capture_append(&capture, "before\0after\n", 13)));
	text = kt_report_capture_text(&capture);
	cr_assert(eq(str, text, "before\\0after\n"));
}

/* ---- XML ------------------------------------------------------------------------------------ */

/* The JUnit report of @n equal outcomes. */
static char *junit_of(unsigned int n, const char *out, size_t len, enum kt_verdict verdict)
{
	struct place place = place_new();
	KT_FREE char *path = in(&place, "j.xml");
	const struct kt_options options = { .stress_count = 1 };
	const struct kt_host host = { .accel_text = "tcg" };
	const struct kt_run_info info = {
		.program = "p", .options = &options, .host = &host, .kernels_text = "k"
	};
	const struct kt_counts counts = { .total = n };
	struct kt_reporter *reporter = NULL;
	struct kt_outcome outcome;
	char *text = NULL;

	cr_assert(zero(int, kt_outcome_init(&outcome, &test, NULL)));
	outcome.name = "t";
	outcome.result.verdict = verdict;
	cr_assert(zero(int, kt_capture_append(&outcome.out, out, len)));
	cr_assert(zero(int, kt_report_junit_new(path, &reporter)));
	cr_assert(zero(int, kt_reporters_begin(reporter, &info, NULL)));
	for (unsigned int i = 0; i < n; i++)
		cr_assert(zero(int, kt_reporters_outcome(reporter, &outcome)));
	cr_assert(zero(int, kt_reporters_end(reporter, &counts, NULL)));
	kt_reporters_free(reporter);
	kt_outcome_deinit(&outcome);
	cr_assert(zero(int, kt_file_read(path, 100 << 20, &text, NULL)));
	(void)kt_remove_all(place.dir);
	return text;
}

static char *junit(const char *out, size_t len, enum kt_verdict verdict)
{
	return junit_of(1, out, len, verdict);
}

Test(xml, text_of_any_bytes_is_valid)
{
	/* Valid UTF-8, a broken byte, a surrogate, U+FFFE, U+FFFF, controls, markup. */
	static const char bytes[] = "gr\xc3\xb6\xc3\x9f \xff \xed\xa0\x80 \xef\xbf\xbe\xef\xbf\xbf "
				    "\x01\x0b<&>\"";
	KT_FREE char *text = junit(bytes, sizeof(bytes) - 1, KT_VERDICT_FAIL);

	cr_assert(strstr(text, "gr\xc3\xb6\xc3\x9f \xef\xbf\xbd ") != NULL, "%s", text);
	cr_assert(strstr(text, "&lt;&amp;&gt;&quot;") != NULL, "%s", text);
	cr_assert(zero(ptr, strstr(text, "\xef\xbf\xbe")));
	cr_assert(zero(ptr, strstr(text, "\xed\xa0\x80")));
	cr_assert(zero(ptr, strchr(text, 1)));
}

Test(xml, long_output_keeps_head_and_tail)
{
	size_t len = 5000000;
	char *bytes = malloc(len);
	KT_FREE char *text = NULL;

	memset(bytes, 'm', len);
	memcpy(bytes, "head", 4);
	memcpy(bytes + len - 4, "tail", 4);
	text = junit(bytes, len, KT_VERDICT_FAIL);
	free(bytes);
	cr_assert(lt(sz, strlen(text), 100000));
	cr_assert(strstr(text, "<system-out>head") != NULL);
	cr_assert(strstr(text, "tail</system-out>") != NULL);
	cr_assert(strstr(text, " bytes left out]") != NULL);
}

Test(xml, the_output_of_a_pass_is_left_out)
{
	KT_FREE char *text = junit("hello", 5, KT_VERDICT_PASS);

	cr_assert(zero(ptr, strstr(text, "hello")));
}

/* A run without end (--stress-duration) repeats its failures, and the report is kept in memory. */
Test(xml, all_outputs_together_are_bounded)
{
	size_t len = 60000;
	unsigned int n = 1000, n_cases = 0;
	char *bytes = malloc(len);
	KT_FREE char *text = NULL;

	memset(bytes, 'm', len);
	text = junit_of(n, bytes, len, KT_VERDICT_FAIL);
	free(bytes);
	cr_assert(gt(sz, strlen(text), 30 << 20), "the first outputs are kept");
	cr_assert(lt(sz, strlen(text), 34 << 20));
	cr_assert(strstr(text, "[60000 bytes left out: the report holds 32 MiB of output]") !=
		  NULL);
	for (const char *at = text; (at = strstr(at, "<testcase")); at++)
		n_cases++;
	cr_assert(eq(u32, n_cases, n), "every test case is there");
}
