/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The kernel's log during a test, from /dev/kmsg. A complaint of the kernel in it fails the test.
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct kt_kmsg; /* an open reader with a position of its own */

/* Returns 0 or a negative errno with a message. */
int kt_kmsg_open(struct kt_kmsg **ret_kmsg, struct kt_err *reterr);

/* NULL is allowed. Returns NULL. */
struct kt_kmsg *kt_kmsg_close(struct kt_kmsg *kmsg);

/* Skips what is in the log now, so that the next read begins here. */
void kt_kmsg_begin(struct kt_kmsg *kmsg);

/*
 * Reads all records since the last read or skip. *@ret_text is one line for each, to be freed, and
 * NULL when there is none. Returns 0 or a negative errno with a message; *@ret_text is to be freed
 * even then.
 */
int kt_kmsg_read(struct kt_kmsg *kmsg, char **ret_text, struct kt_err *reterr);

/*
 * Finds the first line of @text (from kt_kmsg_read()) in which the kernel complains: WARN, BUG,
 * Oops, lockdep, hung task, lockup, RCU stall or a sanitizer. Returns a copy, to be freed; NULL
 * when there is no such line.
 */
char *kt_kmsg_complaint(const char *text);
