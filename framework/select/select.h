/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The selection: the tests that the names, --skip, filters and files of the command line choose,
 * and of each other one what has left it out.
 */

#include <ktest/test.h>

#include "framework/options/options.h"
#include "framework/select/filter.h"
#include "framework/select/override.h"
#include "framework/select/skip_file.h"

/* What leaves a test out. A test that several do has the first one of this order. */
enum kt_cause {
	KT_CAUSE_NAME, /* none of the names that are given is in the test's */
	KT_CAUSE_GTEST,
	KT_CAUSE_FILTER,
	KT_CAUSE_SKIP,
	KT_CAUSE_SKIP_FILE,
	KT_CAUSE_IGNORED,   /* --run-ignored only, and the test is not disabled */
	KT_CAUSE_REAL_TIME, /* --explore */
	KT_CAUSE_RERUN,     /* it passed, and is not new */
	KT_CAUSE_SHARD,
	KT_N_CAUSES,
};

struct kt_left_out {
	const struct kt_test *test;
	enum kt_cause cause;
	const char *detail; /* the pattern of --skip, or the reason of --skip-file; or NULL */
};

struct kt_selection {
	const struct kt_test **tests; /* in the order of registration; owned */
	size_t n;
	size_t n_first; /* of --rerun: those before the new ones, which come before any of these */
	struct kt_left_out *left_out; /* the others; owned */
	size_t n_left_out;
	unsigned int n_filtered; /* tests that kt_select() has left out */

	struct kt_filters filters;       /* of the options; those with kernel() are not decided */
	struct kt_skip_lines skip_lines; /* what details point into */
	struct kt_overrides overrides;   /* of @tests */
};

/*
 * Chooses among @tests as the options say. Returns 0; -ENOMEM; a negative errno if an option is
 * wrong or a file cannot be read.
 */
int kt_select(const struct kt_test_node *tests, const struct kt_options *options,
	      struct kt_selection *ret_selection, struct kt_err *reterr);

/*
 * Returns how many names of the command line no test has.
 *
 * Says on @out which names of the command line are in the name of no test, and the name of a test
 * that may be meant; likewise of --skip and of the values in @filters, but only if something may be
 * meant. Nothing of a name that is like no other if it is the only one that is given: there is
 * nothing to add to the fact that no test matches.
 */
size_t kt_select_tell_names(const struct kt_test_node *tests, const struct kt_options *options,
			    const struct kt_filters *filters, FILE *out);

/*
 * Removes the tests that are not in the shard of @options; n_filtered does not change. 0, -ENOMEM,
 * or an error of kt_division_take().
 */
int kt_selection_keep_shard(struct kt_selection *selection, const struct kt_options *options,
			    struct kt_err *reterr);

/* Removes the tests that ask for real time, of which --explore finds nothing. Returns how many. */
unsigned int kt_selection_keep_virtual(struct kt_selection *selection);

/* What --rerun does with a test. */
enum kt_again {
	KT_AGAIN_FIRST, /* it did not pass, or did not run */
	KT_AGAIN_THEN,  /* it is new */
	KT_AGAIN_NOT,
};

/* Keeps the tests that run again, and sorts them, as @judge says of each by its name. -ENOMEM. */
int kt_selection_keep_again(struct kt_selection *selection,
			    enum kt_again (*judge)(const void *data, const char *name),
			    const void *data, struct kt_err *reterr);
void kt_selection_deinit(struct kt_selection *selection);

/* What @cause is called for people: the option, or a few words. */
const char *kt_cause_text(enum kt_cause cause);
