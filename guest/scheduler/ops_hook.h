/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Has the last word in what a scheduler's own program tells the kernel of its struct sched_ext_ops: the
 * program's bpf(BPF_MAP_UPDATE_ELEM) calls are held up by seccomp until a thread of PID 1 has looked at them
 * (seccomp_unotify(2)), and has set .timeout_ms if it is that map. The program knows nothing of it.
 */

#include "util/err.h"

/* In the child, before it becomes the program: a descriptor for the parent, or a negative errno. */
int kt_ops_hook_install(void);

struct kt_ops_hook;

/* In the parent: serves the child's descriptor @fd, which is taken over, until the hook is freed. */
int kt_ops_hook_start(int pidfd, int fd, unsigned int timeout_ms, struct kt_ops_hook **ret_hook,
		      struct kt_err *reterr);

/* After the process has ended; before that its calls would fail. */
struct kt_ops_hook *kt_ops_hook_free(struct kt_ops_hook *hook);

/* How often the number was set. */
unsigned int kt_ops_hook_count(const struct kt_ops_hook *hook);
