/* SPDX-License-Identifier: MIT */
#pragma once
/* The kernel's log during a test: complaints in it are a verdict of their own. */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct kt_kmsg;

int kt_kmsg_open(struct kt_kmsg **ret_kmsg, struct kt_err *reterr);
struct kt_kmsg *kt_kmsg_close(struct kt_kmsg *kmsg);

/* What is in the log now is not the test's. */
void kt_kmsg_begin(struct kt_kmsg *kmsg);

/*
 * Reads what has come since. *@ret_text is all of it, to be freed; NULL when it is nothing. Returns 0 or a negative errno.
 */
int kt_kmsg_read(struct kt_kmsg *kmsg, char **ret_text, struct kt_err *reterr);

/* Returns whether records since kt_kmsg_begin() were overwritten before they were read. */
bool kt_kmsg_has_lost(const struct kt_kmsg *kmsg);

/*
 * The first line of @text, as kt_kmsg_read() gives it, in which the kernel complains: WARN, BUG,
 * Oops, lockdep, hung task, lockup or stall. NULL when there is none. The line is to be freed.
 */
char *kt_kmsg_complaint(const char *text);
