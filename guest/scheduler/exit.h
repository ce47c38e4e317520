/* SPDX-License-Identifier: MIT */
#pragma once
/* Why the kernel has disabled a scheduler, as the kernel log says it. */

#include <stdbool.h>

#include <ktest/scheduler.h>

#include "guest/test/kmsg.h"
#include "util/buffer.h"

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

/* Whether @info is an error of the scheduler, and not a detach that was requested. */
static inline bool kt_scx_exit_is_error(const struct kt_scx_exit_info *info)
{
	return info->kind >= KT_SCX_EXIT_ERROR && info->kind < KT_SCX_EXIT_ANY;
}

/*
 * The last line of @log that the kernel's sched_ext has written, without "sched_ext: ", to be
 * freed: why the kernel has refused a scheduler that it has not disabled. NULL when there is none.
 */
char *kt_scx_exit_complaint(const char *log);

/*
 * The kernel's log since a scheduler was started. The kernel writes a report line by line, so
 * what has been read is kept until kt_scx_log_clear().
 */
struct kt_scx_log {
	struct kt_kmsg *kmsg;  /* owned; NULL until kt_scx_log_open() */
	struct kt_buffer text; /* ends with a NUL once something has been read */
};

#define KT_SCX_LOG_NULL ((struct kt_scx_log){ .kmsg = NULL })

/* Opens the log, once, and forgets what is in it. 0 or a negative errno. */
int kt_scx_log_open(struct kt_scx_log *log, struct kt_err *reterr);
void kt_scx_log_close(struct kt_scx_log *log);

/* Forgets everything up to now, as when the next scheduler starts. */
void kt_scx_log_clear(struct kt_scx_log *log);

/* Reads new records. Returns all text since kt_scx_log_clear(), owned by @log; "" when none. */
const char *kt_scx_log_read(struct kt_scx_log *log);
