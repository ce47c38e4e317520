/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the forked children of a test assert. A child has a copy of the test's result; its failures
 * travel to the verdict through memory that it shares with its parent.
 */

#include "wire/result.h"

struct kt_child_log;

/* Returns a log that is shared with every later child of this process; NULL when out of memory. */
struct kt_child_log *kt_child_log_new(void);

/* In the process that made it. NULL is allowed. */
struct kt_child_log *kt_child_log_free(struct kt_child_log *log);

/* In a child: records @failure; texts are cut to 500 bytes, and beyond 32 failures only counted. */
void kt_child_log_add(struct kt_child_log *log, const struct kt_failure *failure);

/* In the parent: moves what children have recorded so far into @result. */
void kt_child_log_take(struct kt_child_log *log, struct kt_result *result);
