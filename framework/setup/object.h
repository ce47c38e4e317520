/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The BPF objects of schedulers, read before anything boots: whether they and a kernel fit
 * together.
 */

#include <ktest/scheduler.h>

#include "framework/kernel/kernel.h"
#include "framework/setup/cargo.h"

/*
 * Reads the objects of the schedulers that @tests use. Each must define a scheduler and the
 * variables that its declaration and the operations set; otherwise the test gets a fault that names
 * the declaration's file and line (kt_cargo_note_fault()). Returns 0 or -ENOMEM.
 */
int kt_schedulers_check(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
			struct kt_err *reterr);

/*
 * Returns why @kernel cannot run the schedulers of @test, to be freed, or NULL when it can. The
 * kernel lacks sched_ext, or its BTF describes wrongly a kfunc that a scheduler calls; libbpf
 * refuses such a call.
 */
char *kt_schedulers_obstacle(const struct kt_cargo *cargo, const struct kt_kernel *kernel,
			     const struct kt_test *test);

/*
 * Lists the scx_bpf_* kfuncs that the file calls, as a NULL-terminated vector for
 * kt_scheduler_kfuncs_free(). The file is a BPF object, or a program that embeds some. Returns 0,
 * -ENOMEM, or the negative errno of reading it.
 */
int kt_scheduler_kfuncs(const char *path, char ***ret_names, struct kt_err *reterr);
void kt_scheduler_kfuncs_free(char **names);
