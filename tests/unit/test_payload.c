/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ktest/payload.h>

#include "framework/declaration/payload.h"
#include "framework/declaration/registry.h"
#include "framework/setup/cargo.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(payloads);

KT_PAYLOAD(listed, .binary = "/bin/true");

static const struct kt_payload shell = {
	.name = "shell",
	.binary = "sh",
	.files = KT_ARGS("/etc/passwd"),
};
static const struct kt_payload self = { .name = "self", .binary = "/proc/self/exe" };
static const struct kt_payload missing = {
	.name = "missing",
	.binary = "ktest-no-such-program",
	.package = "nothing",
};

static const struct kt_test uses_shell = { .name = "a", .payloads = KT_PAYLOADS(&shell) };
static const struct kt_test uses_both = { .name = "b", .payloads = KT_PAYLOADS(&shell, &self) };
static const struct kt_test uses_missing = { .name = "c",
					     .payloads = KT_PAYLOADS(&self, &missing) };
static const struct kt_test uses_none = { .name = "d" };

static struct kt_image *open_image(const struct kt_cargo *cargo)
{
	const struct kt_image_options options = {
		.program = "/bin/true",
		.packages = cargo->packages,
		.n_packages = cargo->n,
	};
	struct kt_image *image = NULL;
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_image_open(&options, &image, &err)), "%s", err.text);
	return image;
}

static bool has(const json_t *manifest, const char *path)
{
	return json_object_get(manifest, path) != NULL;
}

Test(payloads, they_register_themselves)
{
	cr_assert(ne(ptr, (void *)kt_payload_registry(), NULL));
	cr_assert(eq(ptr, (void *)kt_payload_registry()->payload, (void *)KT_PAYLOAD_REF(listed)));
}

Test(payloads, a_test_gets_its_own_and_the_libraries_that_they_need)
{
	const struct kt_test *const tests[] = { &uses_shell, &uses_both, &uses_none };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	json_t *none, *a, *both;

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, KT_ARRAY_LEN(tests), NULL)));
	image = open_image(&cargo);
	none = kt_image_manifest(image, kt_cargo_packages(&cargo, &uses_none), NULL);
	a = kt_image_manifest(image, kt_cargo_packages(&cargo, &uses_shell), NULL);
	both = kt_image_manifest(image, kt_cargo_packages(&cargo, &uses_both), NULL);
	cr_assert(has(none, "/init") && !has(none, "/payloads/shell/sh"));
	cr_assert(has(a, "/payloads/shell/sh") && has(a, "/payloads/shell/passwd"));
	cr_assert(not(has(a, "/payloads/self/exe")));
	cr_assert(has(both, "/payloads/shell/sh") && has(both, "/payloads/self/exe"));
	/* This program needs jansson; /bin/true does not. */
	cr_assert(gt(sz, json_object_size(both), json_object_size(a) + 3));
	cr_assert(not(kt_image_differs(image, kt_cargo_packages(&cargo, &uses_shell), both)));
	cr_assert(kt_image_differs(image, kt_cargo_packages(&cargo, &uses_both), a));
	cr_assert(zero(u64, kt_image_bytes(image, kt_cargo_packages(&cargo, &uses_shell), a)));
	cr_assert(gt(u64, kt_image_bytes(image, kt_cargo_packages(&cargo, &uses_both), a), 10000));
	json_decref(none);
	json_decref(a);
	json_decref(both);
}

static const struct kt_scheduler program = { .name = "program", .binary = "/bin/true" };
static const struct kt_test uses_program = { .name = "uses_program", .scheduler = &program };

/* The kernel's configuration comes with every scheduler, and with nothing else. */
Test(payloads, what_schedulers_share_comes_with_each)
{
	const struct kt_image_extra config = { "/etc/hosts", "/boot/config-7.3" };
	const struct kt_test *const tests[] = { &uses_program, &uses_shell };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = { .shared = &config, .n_shared = 1 };
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	json_t *with, *without;

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, KT_ARRAY_LEN(tests), NULL)));
	image = open_image(&cargo);
	with = kt_image_manifest(image, kt_cargo_packages(&cargo, &uses_program), NULL);
	without = kt_image_manifest(image, kt_cargo_packages(&cargo, &uses_shell), NULL);
	cr_assert(has(with, "/boot/config-7.3") && has(with, "/schedulers/program/true"));
	cr_assert(not(has(without, "/boot/config-7.3")));
	json_decref(with);
	json_decref(without);
}

/* A renewed template keeps its files: a test of another selection finds them there. */
Test(payloads, a_manifest_keeps_what_the_guest_has)
{
	const struct kt_test *const tests[] = { &uses_both };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	json_t *before, *after;

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, KT_ARRAY_LEN(tests), NULL)));
	image = open_image(&cargo);
	before = json_pack("{ss ss}", "/payloads/other/other", "755:1", "/init", "755:1");
	after = kt_image_manifest(image, KT_PACKAGES_NONE, before);
	cr_assert(has(after, "/payloads/other/other"));
	cr_assert(
		not(json_equal(json_object_get(after, "/init"), json_object_get(before, "/init"))));
	cr_assert(not(kt_image_differs(image, KT_PACKAGES_NONE, after)));
	cr_assert(not(has(before, "/payloads/self/exe")));
	json_decref(before);
	json_decref(after);
}

Test(payloads, one_that_is_not_installed_is_told_and_its_test_packs_nothing)
{
	const struct kt_test *const tests[] = { &uses_missing, &uses_shell };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	KT_FREE char *text = NULL;
	struct kt_packages every;
	json_t *all;

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, KT_ARRAY_LEN(tests), NULL)));
	text = kt_cargo_missing(&cargo, &uses_missing);
	cr_assert(eq(str, text,
		     "payload missing: 'ktest-no-such-program' is not installed; install nothing"));
	cr_assert(zero(ptr, (void *)kt_cargo_missing(&cargo, &uses_shell)));
	cr_assert(zero(ptr, (void *)kt_cargo_missing(&cargo, &uses_none)));
	image = open_image(&cargo);
	memset(&every, 0xff, sizeof(every));
	all = kt_image_manifest(image, every, NULL);
	cr_assert(has(all, "/payloads/shell/sh") && !has(all, "/payloads/self/exe"));
	json_decref(all);
}

/* Two packages whose numbers differ by 64 are two packages. */
Test(payloads, a_test_may_use_more_than_64)
{
	enum { N = 70 };
	static char names[N][8];
	static struct kt_payload payloads[N];
	const struct kt_payload *list[N + 2] = { NULL };
	const struct kt_test test = { .name = "t", .payloads = list };
	const struct kt_test other = { .name = "o", .payloads = list + 2 };
	const struct kt_test *tests[2] = { &test };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	KT_FREE char *text = NULL;
	json_t *all;

	for (size_t i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "p%zu", i);
		payloads[i] = (struct kt_payload){ .name = names[i], .binary = "/bin/true" };
		list[i] = &payloads[i];
	}
	cr_assert(zero(int, kt_cargo_init(&cargo, tests, 1, NULL)));
	cr_assert(eq(sz, cargo.n, N));
	image = open_image(&cargo);
	all = kt_image_manifest(image, kt_cargo_packages(&cargo, &test), NULL);
	cr_assert(has(all, "/payloads/p0/true") && has(all, "/payloads/p69/true"));
	json_decref(all);
	list[1] = NULL;
	kt_cargo_deinit(&cargo);
	image = kt_image_free(image);
	tests[1] = &other;
	cr_assert(zero(int, kt_cargo_init(&cargo, tests, 2, NULL)));
	image = open_image(&cargo);
	all = kt_image_manifest(image, kt_cargo_packages(&cargo, &test), NULL);
	cr_assert(has(all, "/payloads/p0/true") && !has(all, "/payloads/p64/true"));
	json_decref(all);
	list[1] = &payloads[1];
	kt_cargo_deinit(&cargo);
	list[N] = &missing;
	cr_assert(zero(int, kt_cargo_init(&cargo, tests, 1, NULL)));
	text = kt_cargo_missing(&cargo, &test);
	cr_assert(eq(str, text,
		     "payload missing: 'ktest-no-such-program' is not installed; install nothing"));
}

/* ---- what cannot be packed ------------------------------------------------------------------- */

static void expect_refused(const struct kt_payload *payload, const char *why)
{
	const struct kt_test test = { .name = "t", .payloads = KT_PAYLOADS(payload) };
	const struct kt_test again = { .name = "u", .payloads = KT_PAYLOADS(payload) };
	const struct kt_test *const tests[] = { &test, &uses_shell, &again };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	const char *fault;

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, KT_ARRAY_LEN(tests), NULL)));
	fault = kt_cargo_of(&cargo, &test)->fault;
	cr_assert(fault && strstr(fault, why), "%s", fault);
	cr_assert(strstr(fault, "payload bad: ") == fault, "%s", fault);
	/* Each test that uses it has the fault, and no other test has. */
	cr_assert(eq(str, kt_cargo_of(&cargo, &again)->fault, (char *)fault));
	cr_assert(zero(ptr, kt_cargo_of(&cargo, &uses_shell)->fault));
}

Test(payloads, scripts_and_what_is_no_program_are_refused)
{
	char script[] = "/tmp/ktest-script-XXXXXX", text[] = "/tmp/ktest-text-XXXXXX";
	struct kt_payload bad = { .name = "bad", .binary = script };
	int fd = mkstemp(script);

	cr_assert(zero(int, kt_write_full(fd, "#!/usr/bin/python3 -u\nprint()\n", 30)));
	cr_assert(zero(int, fchmod(fd, 0755)));
	expect_refused(&bad, "is a script (#!/usr/bin/python3 -u), which cannot be packed");
	(void)close(fd);
	fd = mkstemp(text);
	cr_assert(zero(int, kt_write_full(fd, "hi", 2)));
	cr_assert(zero(int, fchmod(fd, 0755)));
	bad.binary = text;
	expect_refused(&bad, "is not an ELF program");
	(void)close(fd);
	bad.binary = "/bin/true";
	bad.files = KT_ARGS("/nonexistent/data");
	expect_refused(&bad, "the file '/nonexistent/data': No such file");
	bad.files = KT_ARGS("/tmp");
	expect_refused(&bad, "'/tmp' is not a regular file");
	(void)unlink(script);
	(void)unlink(text);
}

Test(payloads, one_without_the_x_bit_is_not_called_missing)
{
	char path[] = "/tmp/ktest-plain-XXXXXX";
	const struct kt_payload plain = { .name = "plain", .binary = path };
	const struct kt_payload folder = { .name = "folder", .binary = "/tmp" };
	const struct kt_test test = { .name = "t", .payloads = KT_PAYLOADS(&plain) };
	const struct kt_test other = { .name = "u", .payloads = KT_PAYLOADS(&folder) };
	const struct kt_test *const tests[] = { &test, &other };
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	KT_CLOSE int fd = mkstemp(path);
	KT_FREE char *text = NULL, *kind = NULL;

	cr_assert(zero(int, fchmod(fd, 0644)));
	cr_assert(zero(int, kt_cargo_init(&cargo, tests, 2, NULL)));
	text = kt_cargo_missing(&cargo, &test);
	kind = kt_cargo_missing(&cargo, &other);
	(void)unlink(path);
	cr_assert(text && strstr(text, "is not executable: its mode is 0644, without an x bit"),
		  "%s", text);
	cr_assert(kind && strstr(kind, "'/tmp' is not a regular file"), "%s", kind);
}

Test(payloads, two_files_of_one_name_are_refused)
{
	const struct kt_image_extra extras[] = {
		{ "/etc/passwd", "/payloads/twice/x" },
		{ "/etc/group", "/payloads/twice/x" },
	};
	const struct kt_image_package package = {
		.name = "payload twice",
		.extras = extras,
		.n_extras = 2,
	};
	const struct kt_image_options options = {
		.program = "/bin/true",
		.packages = &package,
		.n_packages = 1,
	};
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;

	/* The run goes on; only the tests that use the package do not. */
	cr_assert(zero(int, kt_image_open(&options, &image, NULL)));
	cr_assert(eq(str, (char *)kt_image_package_fault(image, 0),
		     "payload twice: '/etc/group' and another file would both be "
		     "'/payloads/twice/x' in the guest"));
}

/* ---- declarations ---------------------------------------------------------------------------- */

static unsigned int validate(const struct kt_payload *payload, char *text, size_t room)
{
	static const struct kt_payload first = {
		.name = "first",
		.file = "f.c",
		.line = 1,
		.binary = "true",
	};
	struct kt_payload_node second = { payload, NULL };
	const struct kt_payload_node node = { &first, &second };
	FILE *out = fmemopen(text, room, "w");
	unsigned int n = kt_payloads_validate(&node, out);

	(void)fclose(out);
	return n;
}

Test(payloads, faults_of_declarations_are_told)
{
	const struct {
		struct kt_payload payload;
		const char *why; /* NULL: none */
	} cases[] = {
		{ { .name = "p", .binary = "x" }, NULL },
		{ { .name = "p",
		    .binary = "x",
		    .output = KT_OUTPUT_JSON,
		    .checks = KT_PAYLOAD_CHECKS(KT_METRIC_RANGE("a", 1, 1), KT_EXIT_CODE(255)) },
		  NULL },
		{ { .name = "first", .binary = "x" }, "the name is taken by f.c:1" },
		{ { .name = "p" }, ".binary names no program" },
		{ { .name = "p", .binary = "/bin/" }, ".binary names no program" },
		{ { .name = "p", .binary = "x", .checks = KT_PAYLOAD_CHECKS({ .min = 1 }) },
		  "check 0: use the macros" },
		{ { .name = "p",
		    .binary = "x",
		    .checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("a", 1)) },
		  "KT_OUTPUT_JSON" },
		{ { .name = "p",
		    .binary = "x",
		    .output = KT_OUTPUT_JSON,
		    .checks = KT_PAYLOAD_CHECKS(KT_METRIC_EXISTS(NULL)) },
		  "it names no metric" },
		{ { .name = "p",
		    .binary = "x",
		    .output = KT_OUTPUT_JSON,
		    .checks = KT_PAYLOAD_CHECKS(KT_METRIC_RANGE("a", 2, 1)) },
		  "no number is within 2..1" },
		{ { .name = "p", .binary = "x", .checks = KT_PAYLOAD_CHECKS(KT_EXIT_CODE(256)) },
		  "within 0..255, not 256" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_payload payload = cases[i].payload;
		char text[1024] = "";

		payload.file = "p.c";
		payload.line = 7;
		cr_assert(eq(u32, validate(&payload, text, sizeof(text)), cases[i].why ? 1 : 0),
			  "case %zu: %s", i, text);
		if (cases[i].why)
			cr_assert(strstr(text, cases[i].why) != NULL, "case %zu: %s", i, text);
	}
}
