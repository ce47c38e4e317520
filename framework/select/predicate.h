/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The predicates of filters, such as tag(slow) and kernel(6.16): what a test has of a kind, and the
 * text that one of that must match.
 */

#include <regex.h>
#include <stdbool.h>
#include <stdio.h>

#include <ktest/test.h>

/*
 * The order is that of truth: "and" is the lesser of two answers, "or" the greater one. MAYBE is
 * the answer of kernel() while the kernels are not known.
 */
enum kt_answer {
	KT_ANSWER_NO,
	KT_ANSWER_MAYBE,
	KT_ANSWER_YES,
};

enum kt_matcher {
	KT_MATCH_EQUAL,
	KT_MATCH_CONTAINS,
	KT_MATCH_REGEX,
	KT_MATCH_GLOB,
	KT_MATCH_TAIL,    /* a glob for the path, or for what follows one of its slashes */
	KT_MATCH_VERSION, /* of a kernel: its beginning, up to where a number ends */
	KT_MATCH_NONE,    /* the predicate has no text */
};

struct kt_subject;
struct kt_visit;

struct kt_predicate_kind {
	const char *name;
	const char *example;     /* of a text; NULL: takes none */
	enum kt_matcher matcher; /* of a text without a sign */

	/* private */
	bool (*values)(const struct kt_subject *subject, struct kt_visit *visit);
	bool is_of_kernel;
};

/* One in an expression. All zero is none, which kt_predicate_deinit() takes too. */
struct kt_predicate {
	const struct kt_predicate_kind *kind;
	enum kt_matcher matcher;
	char *text;    /* owned; NULL: the kind takes none */
	regex_t regex; /* of KT_MATCH_REGEX, once @has_regex; owned */
	bool has_regex;
};

void kt_predicate_deinit(struct kt_predicate *predicate);

/* The kind of that name; or NULL, and the name that may be meant in *@ret_near, or NULL there. */
const struct kt_predicate_kind *kt_predicate_find(const char *word, const char **ret_near);

/* @release: of the kernel; NULL: not known yet. */
enum kt_answer kt_predicate_ask(const struct kt_predicate *predicate, const struct kt_test *test,
				const char *release);

/* Writes it as kt_filter_parse() reads it. */
void kt_predicate_print(const struct kt_predicate *predicate, FILE *out);

/* As kt_filters_tell(), of one predicate. */
void kt_predicate_tell(const struct kt_predicate *predicate, const struct kt_test_node *tests,
		       FILE *out);
