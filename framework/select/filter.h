/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Filters: the expressions of -E, which choose tests by what they declare.
 *
 *	EXPR      = TERM { ("|" | "+" | "or") TERM }
 *	TERM      = FACTOR { ("&" | "and" | "-") FACTOR }       "a - b" is "a & !b"
 *	FACTOR    = ("!" | "not") FACTOR | "(" EXPR ")" | PREDICATE "(" [MATCHER] ")"
 *	PREDICATE = test | tag | kernel | scheduler | topology | file | all | none
 *	MATCHER   = "=" TEXT | "~" TEXT | "/" REGEX "/" | "#" GLOB | TEXT
 *
 * docs/running.md tells what the predicates see. The grammar is that of cargo-nextest.
 */

#include <stdio.h>

#include <ktest/test.h>

#include "framework/options/options.h"
#include "framework/select/predicate.h"
#include "util/err.h"

#define KT_FILTER_TEXT_MAX  4096 /* bytes of an expression */
#define KT_FILTER_DEPTH_MAX 64   /* parentheses and negations in each other */

struct kt_filter;

/*
 * Parses @text, which need not stay. Returns 0; -EINVAL with the character at which it is wrong and
 * what would be right; -ENOMEM.
 */
int kt_filter_parse(const char *text, struct kt_filter **ret_filter, struct kt_err *reterr);

/* NULL is allowed. Returns NULL. */
struct kt_filter *kt_filter_free(struct kt_filter *filter);

/* Whether @filter chooses @test on the kernel @release; NULL: the kernel is not known yet. */
enum kt_answer kt_filter_ask(const struct kt_filter *filter, const struct kt_test *test,
			     const char *release);

/* Writes the expression as it was read: all parentheses, each matcher with its sign. */
void kt_filter_print(const struct kt_filter *filter, FILE *out);

/* The filters of a command line, of which one must choose a test; none: every test is chosen. */
struct kt_filters {
	struct kt_filter **at; /* owned */
	size_t n;
};

/* Parses all of @texts; an error names the option -E. As kt_filter_parse(). */
int kt_filters_init(struct kt_filters *filters, const struct kt_strings *texts,
		    struct kt_err *reterr);
void kt_filters_deinit(struct kt_filters *filters);

enum kt_answer kt_filters_ask(const struct kt_filters *filters, const struct kt_test *test,
			      const char *release);

/*
 * Says on @out which values of the filters none of @tests has although one has a value that may be
 * meant. Nothing of regular expressions, of globs, nor of kernels, which tests do not have.
 */
void kt_filters_tell(const struct kt_filters *filters, const struct kt_test_node *tests, FILE *out);
