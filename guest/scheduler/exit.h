/* SPDX-License-Identifier: MIT */
#pragma once
/* Why the kernel has disabled a scheduler, as the kernel log says it. */

#include <ktest/scheduler.h>

/* The texts are owned; kt_scx_exit_parse() leaves none of them NULL. */
struct kt_scx_exit_info {
	enum kt_scx_exit kind; /* KT_SCX_EXIT_OTHER: a reason that ktest does not know */
	char *reason;
	char *message;   /* "": the kernel gave none */
	char *backtrace; /* functions from the innermost, one per line; "": the kernel gave none */
};

/* Frees the texts, and leaves @info empty. */
void kt_scx_exit_deinit(struct kt_scx_exit_info *info);

/*
 * Finds the last report of a disabled scheduler in @log, which is text of kt_kmsg_read(). The
 * caller owns *@ret_info. Returns 0, -ENODATA when the log has no report, or -ENOMEM.
 */
int kt_scx_exit_parse(const char *log, struct kt_scx_exit_info *ret_info);
