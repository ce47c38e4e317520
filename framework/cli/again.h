/* SPDX-License-Identifier: MIT */
#pragma once
/* --rerun: what an earlier run has left, as a selection of tests. */

#include <stdio.h>

#include "framework/record/outstanding.h"
#include "framework/select/select.h"

/*
 * Keeps the tests that are outstanding in @again, and after them those that its run did not know.
 * Says on @out what that is. Returns 0 or -ENOMEM.
 */
int kt_again_select(const struct kt_outstanding *again, struct kt_selection *selection, FILE *out,
		    struct kt_err *reterr);

/* How many of the outstanding tests this program still has. */
size_t kt_again_count(const struct kt_outstanding *again);
