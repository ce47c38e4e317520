/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The BPF objects of schedulers, read on the host before anything boots: what they are, which
 * variables they have, and which kernels can load them.
 */

#include <ktest/scheduler.h>

#include "framework/kernel/kernel.h"
#include "framework/setup/cargo.h"

/*
 * Looks into the objects of the schedulers that @tests use: that they are schedulers, and have the variables
 * that the declarations and the operations set. An error names file and line.
 */
int kt_schedulers_check(const struct kt_cargo *cargo, const struct kt_test *const *tests,
			size_t n_tests, struct kt_err *reterr);

/*
 * Why the test's schedulers cannot run on the kernel, to be freed; NULL when they can: it has no sched_ext, or
 * they call kfuncs that its BTF describes wrongly, which libbpf refuses.
 */
char *kt_schedulers_obstacle(const struct kt_cargo *cargo, const struct kt_kernel *kernel,
			     const struct kt_test *test);

/*
 * The scx_bpf_* kfuncs that a BPF object calls, or those that are in a program, which holds its objects as
 * bytes: a NULL-terminated vector.
 */
int kt_scheduler_kfuncs(const char *path, char ***ret_names, struct kt_err *reterr);
void kt_scheduler_kfuncs_free(char **names);
