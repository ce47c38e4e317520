/* SPDX-License-Identifier: MIT */
/*
 * What is known of schedulers before a machine starts, and the texts of the kernel and its
 * verifier.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/report/verifier_log.h"
#include "framework/setup/object.h"
#include "guest/scheduler/exit.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(scheduler);
UNIT_SUITE(verifier_log);

/* ---- ends, in the kernel's words ------------------------------------------------------------- */

Test(scheduler, an_end_is_read_from_the_log)
{
	static const char log[] =
		" [    1.000000] sched_ext: BPF scheduler \"old\" disabled (unregistered from user "
		"space)\n"
		"#[    2.000000] sched_ext: BPF scheduler \"liar\" disabled (scx_bpf_error)\n"
		" [    3.000000] sched_ext: BPF scheduler \"fault\" disabled (runnable task "
		"stall)\n"
		" [    3.000001] sched_ext: fault: a[12] failed to run for 1.504s\n"
		" [    3.000002]    scx_exit+0x50/0x70\n"
		" [    3.000003]    scx_tick+0x9d/0xa0\n"
		" [    3.000004] something else\n";
	struct kt_scx_exit_info info;

	cr_assert(zero(int, kt_scx_exit_parse(log, &info)));
	cr_assert(eq(int, (int)info.kind, (int)KT_SCX_EXIT_ERROR_STALL));
	cr_assert(eq(str, info.reason, "runnable task stall"));
	cr_assert(eq(str, info.message, "a[12] failed to run for 1.504s"));
	cr_assert(eq(str, info.backtrace, "scx_exit+0x50/0x70\nscx_tick+0x9d/0xa0\n"));
	kt_scx_exit_deinit(&info);
}

Test(scheduler, an_end_without_message_and_one_in_new_words)
{
	static const char log[] =
		" [    3.000000] sched_ext: BPF scheduler \"x\" disabled (too warm)\n";
	struct kt_scx_exit_info info;

	cr_assert(zero(int, kt_scx_exit_parse(log, &info)));
	cr_assert(eq(int, (int)info.kind, (int)KT_SCX_EXIT_OTHER));
	cr_assert(eq(str, info.reason, "too warm"));
	cr_assert(eq(str, info.message, ""));
	kt_scx_exit_deinit(&info);
}

Test(scheduler, hostile_logs_are_no_ends)
{
	static const char *const logs[] = {
		"",
		"\n",
		" [    1.000000] sched_ext: BPF scheduler \"",
		" [    1.000000] sched_ext: BPF scheduler \"x\" enabled\n",
		" [    1.000000] sched_ext: BPF scheduler \"x\n\" disabled (scx_bpf_error)\n",
		"sched_ext: BPF scheduler \"x\" disabled (scx_bpf_error)\n",
	};
	struct kt_scx_exit_info info;

	for (size_t i = 0; i < KT_ARRAY_LEN(logs); i++)
		cr_assert(eq(int, kt_scx_exit_parse(logs[i], &info), -ENODATA), "%s", logs[i]);
}

/* ---- the verifier's log ---------------------------------------------------------------------- */

Test(verifier_log, a_loop_is_told_once)
{
	static const char log[] = "0: (b7) r1 = 0 ; R1=0\n"
				  "1: (07) r1 += 1 ; R1=1\n"
				  "2: (a5) if r1 < 0x64 goto pc-2 ; R1=1\n"
				  "1: (07) r1 += 1 ; R1=2\n"
				  "2: (a5) if r1 < 0x64 goto pc-2 ; R1=2\n"
				  "1: (07) r1 += 1 ; R1=3\n"
				  "2: (a5) if r1 < 0x64 goto pc-2 ; R1=3\n"
				  "3: (95) exit\n";
	KT_FREE char *text = kt_verifier_log_collapse(log);

	cr_assert(eq(str, text,
		     "0: (b7) r1 = 0 ; R1=0\n"
		     "1: (07) r1 += 1 ; R1=1\n"
		     "2: (a5) if r1 < 0x64 goto pc-2 ; R1=1\n"
		     "... the 2 lines above 3 times in all ...\n"
		     "3: (95) exit\n"));
}

Test(verifier_log, what_is_no_loop_stays)
{
	static const char log[] = "a\nb\na\nb\nc\n";
	KT_FREE char *text = kt_verifier_log_collapse(log), *none = kt_verifier_log_collapse("");

	cr_assert(eq(str, text, (char *)log));
	cr_assert(eq(str, none, ""));
}

/* ---- kernels --------------------------------------------------------------------------------- */

#ifdef KT_TEST_OBJECTS

static const struct kt_scheduler fifo = {
	.name = "fifo", .file = "here.c", .line = 7, .object = KT_TEST_OBJECTS "/fifo.bpf.o"
};
static const struct kt_test uses_fifo = { .name = "a", .scheduler = &fifo };

static char *obstacle_of(const struct kt_test *test, struct kt_kernel_facts facts)
{
	KT_CLEANUP(kt_cargo_deinit) struct kt_cargo cargo = KT_CARGO_NULL;
	const struct kt_kernel kernel = { .facts = facts };
	const struct kt_test *tests[] = { test };

	cr_assert(zero(int, kt_cargo_init(&cargo, tests, 1, NULL)));
	return kt_schedulers_obstacle(&cargo, &kernel, test);
}

static char *obstacle(struct kt_kernel_facts facts)
{
	return obstacle_of(&uses_fifo, facts);
}

Test(scheduler, a_kernel_without_sched_ext_is_an_obstacle)
{
	KT_FREE char *text = obstacle((struct kt_kernel_facts){ .release = "6.1.0" });

	cr_assert(ne(ptr, text, NULL));
	cr_assert(ne(ptr, strstr(text, "kernel 6.1.0 has no sched_ext"), NULL));
}

/* The object exists where it was built against a kernel that has the type. */
Test(scheduler, a_kernel_without_its_type_is_an_obstacle)
{
	const struct kt_scheduler cid = { .name = "cid", .object = KT_TEST_OBJECTS "/cid.bpf.o" };
	const struct kt_test uses_cid = { .name = "b", .scheduler = &cid };
	struct kt_kernel_facts facts = { .release = "6.16.12", .sched_ext = true };

	if (access(cid.object, R_OK) == 0) {
		KT_FREE char *text = obstacle_of(&uses_cid, facts);

		cr_assert(ne(ptr, text, NULL));
		cr_assert(ne(ptr, strstr(text, "kernel 6.16.12 has no such type"), NULL));
		facts.sched_ext_cid = true;
		cr_assert(zero(ptr, obstacle_of(&uses_cid, facts)));
	}
	facts.sched_ext_cid = false;
	cr_assert(zero(ptr, obstacle(facts)));
}

Test(scheduler, only_kfuncs_that_it_calls_are_an_obstacle)
{
	char *broken[] = { "scx_bpf_create_dsq", "scx_bpf_kick_cpu", NULL };
	char *others[] = { "scx_bpf_kick_cpu", "scx_bpf_now", NULL };
	KT_FREE char *text = obstacle((struct kt_kernel_facts){ .release = "7.1.13",
								.sched_ext = true,
								.broken_kfuncs = broken,
								.n_broken_kfuncs = 2 });
	KT_FREE char *none = obstacle((struct kt_kernel_facts){ .release = "7.1.13",
								.sched_ext = true,
								.broken_kfuncs = others,
								.n_broken_kfuncs = 2 });

	cr_assert(ne(ptr, text, NULL));
	cr_assert(ne(ptr, strstr(text, "calls scx_bpf_create_dsq, which"), NULL), "%s", text);
	cr_assert(zero(ptr, none));
}

/* A program contains its objects as bytes, at any place. The unit test itself is such a program. */
Test(scheduler, kfuncs_are_found_inside_of_programs)
{
	static const char noise[] = "\177ELF is no header, this is";
	char path[] = "/tmp/ktest-unit-XXXXXX";
	KT_CLOSE int fd = mkstemp(path);
	KT_FREE char *object = NULL;
	char **names = NULL;
	size_t len, n = 0;

	cr_assert(zero(int, kt_file_read(KT_TEST_OBJECTS "/fifo.bpf.o", 1 << 24, &object, &len)));
	cr_assert(zero(int, kt_write_full(fd, noise, sizeof(noise))));
	cr_assert(zero(int, kt_write_full(fd, object, len)));
	cr_assert(zero(int, kt_write_full(fd, "and more", 8)));
	cr_assert(zero(int, kt_scheduler_kfuncs(path, &names, NULL)));
	(void)unlink(path);
	for (char **at = names; *at; at++)
		n += !strcmp(*at, "scx_bpf_create_dsq") || !strcmp(*at, "scx_bpf_dsq_insert");
	cr_assert(eq(sz, n, 2));
	kt_scheduler_kfuncs_free(names);
}

#endif
