/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sets the watchdog timeout of a scheduler that comes with a program of its own, such as one of the
 * scx project.
 *
 * The program passes its struct sched_ext_ops to the kernel by bpf(BPF_MAP_UPDATE_ELEM). seccomp
 * stops these calls until a thread of PID 1 has examined them (seccomp_unotify(2)). The thread sets
 * .timeout_ms in the program's memory, and the call continues. The program does not notice.
 */

#include "util/err.h"

/*
 * Installs the seccomp filter in the calling process: the child, before its exec. Returns the
 * descriptor that the parent has to serve, or a negative errno.
 */
int kt_ops_hook_install(void);

struct kt_ops_hook;

/*
 * Starts the thread in the parent. It serves the descriptor @fd of the child @pidfd and writes
 * @timeout_ms. @fd is taken over, also on failure; @pidfd must stay open until the hook is freed.
 * Returns 0 or a negative errno.
 */
int kt_ops_hook_start(int pidfd, int fd, unsigned int timeout_ms, struct kt_ops_hook **ret_hook,
		      struct kt_err *reterr);

/*
 * Ends the thread. To be called when the process has ended: without the thread its map updates fail
 * with ENOSYS. @hook may be NULL. Returns NULL.
 */
struct kt_ops_hook *kt_ops_hook_free(struct kt_ops_hook *hook);

/* How often timeout_ms was set; 0 means that the program has not passed a sched_ext_ops so far. */
unsigned int kt_ops_hook_count(const struct kt_ops_hook *hook);
