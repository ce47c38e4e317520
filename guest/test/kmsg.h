/* SPDX-License-Identifier: MIT */
#pragma once
/* The kernel's log during a test. A complaint in it fails the test. */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

struct kt_kmsg; /* an open reader with a position of its own */

/* Returns 0 or a negative errno with a message. */
int kt_kmsg_open(struct kt_kmsg **ret_kmsg, struct kt_err *reterr);

/* NULL is allowed. Returns NULL. */
struct kt_kmsg *kt_kmsg_close(struct kt_kmsg *kmsg);

/* The descriptor, to poll for new records. @kmsg owns it. */
int kt_kmsg_fd(const struct kt_kmsg *kmsg);

/* Skips the records that are in the log now: they are not the test's. */
void kt_kmsg_begin(struct kt_kmsg *kmsg);

/*
 * Reads the records since kt_kmsg_begin() or the last call. *@ret_text, to be freed, has a line for
 * each; it is NULL when there are none. Returns 0 or a negative errno.
 */
int kt_kmsg_read(struct kt_kmsg *kmsg, char **ret_text, struct kt_err *reterr);

/* Returns whether records since kt_kmsg_begin() were overwritten before they were read. */
bool kt_kmsg_has_lost(const struct kt_kmsg *kmsg);

/*
 * Returns the first line of @text, as kt_kmsg_read() made it, in which the kernel complains: WARN,
 * BUG, Oops, lockdep, hung task, lockup or stall. To be freed; NULL when there is none.
 */
char *kt_kmsg_complaint(const char *text);
