/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The BPF objects of schedulers, read on the host before a machine boots: whether they are
 * schedulers, which variables they have, and which kernels can load them.
 */

#include <ktest/scheduler.h>

#include "framework/kernel/kernel.h"
#include "framework/setup/cargo.h"

/*
 * Checks the objects of the schedulers that @tests use: each must be a scheduler and have the
 * variables that the declarations and the operations set. A missing object is skipped. Returns 0,
 * or -EINVAL with an error that names file and line of the declaration.
 */
int kt_schedulers_check(const struct kt_cargo *cargo, const struct kt_test *const *tests,
			size_t n_tests, struct kt_err *reterr);

/*
 * Why a scheduler of the test cannot run on the kernel, to be freed: the kernel has no sched_ext,
 * or its BTF describes kfuncs wrongly that the scheduler calls, which libbpf refuses. NULL when
 * there is no obstacle.
 */
char *kt_schedulers_obstacle(const struct kt_cargo *cargo, const struct kt_kernel *kernel,
			     const struct kt_test *test);

/*
 * The scx_bpf_* kfuncs that the file @path calls: a BPF object, or a program that embeds BPF
 * objects. Gives a NULL-terminated vector without duplicates, to be freed with
 * kt_scheduler_kfuncs_free(). Returns 0, or a negative errno when the file cannot be read or
 * memory is short.
 */
int kt_scheduler_kfuncs(const char *path, char ***ret_names, struct kt_err *reterr);
void kt_scheduler_kfuncs_free(char **names);
