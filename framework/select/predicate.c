/* SPDX-License-Identifier: MIT */
#include "framework/select/predicate.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include <ktest/scheduler.h>

#include "framework/kernel/kernel.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/nearest.h"

/*
 * A kind of predicate has a few values of each test, and shows them to a visit, one after the
 * other. There are two visits: one ends at a value that matches, the other one looks for the value
 * that is nearest to a text that matches none.
 */

/* What a predicate is asked about. */
struct kt_subject {
	const struct kt_test *test;
	const char *release; /* NULL: not known yet */
};

/* ---- predicates ------------------------------------------------------------------------------ */

/* What is done with the values of tests that a predicate looks at. */
struct kt_visit {
	bool (*fn)(struct kt_visit *visit, const char *value); /* true: it has seen enough */
	const struct kt_predicate *predicate;                  /* whose text counts */

	/* of offer() */
	struct kt_nearest nearest;
	char name[256]; /* of @nearest: a value may live no longer than its visit */
};

/* A glob is tried on the whole of @path and on what follows each slash. */
static bool matches_tail(const char *glob, const char *path)
{
	for (; path; path = strchr(path, '/')) {
		path += *path == '/';
		if (fnmatch(glob, path, 0) == 0)
			return true;
	}
	return false;
}

static bool matches(const struct kt_predicate *predicate, const char *value)
{
	switch (predicate->matcher) {
	case KT_MATCH_EQUAL:
		return !strcmp(value, predicate->text);
	case KT_MATCH_CONTAINS:
		return strstr(value, predicate->text);
	case KT_MATCH_REGEX:
		return regexec(&predicate->regex, value, 0, NULL, 0) == 0;
	case KT_MATCH_GLOB:
		return fnmatch(predicate->text, value, 0) == 0;
	case KT_MATCH_TAIL:
		return matches_tail(predicate->text, value);
	case KT_MATCH_VERSION:
		return kt_kernel_version_matches(value, predicate->text);
	case KT_MATCH_NONE:
		break;
	}
	return false;
}

static bool visit_name(const struct kt_subject *subject, struct kt_visit *visit)
{
	return visit->fn(visit, subject->test->name);
}

static bool visit_file(const struct kt_subject *subject, struct kt_visit *visit)
{
	return visit->fn(visit, subject->test->file ?: "");
}

static bool visit_tags(const struct kt_subject *subject, struct kt_visit *visit)
{
	for (const char *const *tag = subject->test->tags; tag && *tag; tag++) {
		if (visit->fn(visit, *tag))
			return true;
	}
	return false;
}

static bool visit_release(const struct kt_subject *subject, struct kt_visit *visit)
{
	return visit->fn(visit, subject->release);
}

static bool visit_scheduler(const struct kt_scheduler *scheduler, struct kt_visit *visit)
{
	return scheduler && scheduler->name && visit->fn(visit, scheduler->name);
}

static bool visit_ops(const struct kt_op *ops, struct kt_visit *visit)
{
	for (const struct kt_op *op = ops; op && !op->end; op++) {
		if (visit_scheduler(op->scheduler, visit))
			return true;
	}
	return false;
}

/* The schedulers that the test declares, and those that its steps attach. */
static bool visit_schedulers(const struct kt_subject *subject, struct kt_visit *visit)
{
	const struct kt_test *test = subject->test;

	if (visit_scheduler(test->scheduler, visit) || visit_ops(test->backdrop.ops, visit))
		return true;
	for (const struct kt_scheduler *const *at = test->schedulers; at && *at; at++) {
		if (visit_scheduler(*at, visit))
			return true;
	}
	for (const struct kt_step *step = test->steps; step && !step->end; step++) {
		if (visit_ops(step->ops, visit))
			return true;
	}
	return false;
}

/* The values are "llcs=2" and so on, with the defaults filled in. */
static bool visit_topology(const struct kt_subject *subject, struct kt_visit *visit)
{
	struct kt_topology topology = kt_test_topology(subject->test);
	const struct {
		const char *name;
		unsigned int value;
	} dimensions[] = {
		{ "numa_nodes", topology.numa_nodes },
		{ "memory_nodes", topology.memory_nodes },
		{ "llcs", topology.llcs },
		{ "cores", topology.cores },
		{ "threads", topology.threads },
		{ "cpus", kt_topology_cpus(&topology) },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(dimensions); i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "%s=%u", dimensions[i].name,
			       dimensions[i].value);
		if (visit->fn(visit, text))
			return true;
	}
	return false;
}

static bool visit_all(const struct kt_subject *subject, struct kt_visit *visit)
{
	(void)subject;
	(void)visit;
	return true;
}

static bool visit_none(const struct kt_subject *subject, struct kt_visit *visit)
{
	(void)subject;
	(void)visit;
	return false;
}

static const struct kt_predicate_kind kinds[] = {
	{ "test", "freeze", KT_MATCH_CONTAINS, visit_name },
	{ "tag", "slow", KT_MATCH_GLOB, visit_tags },
	{ "kernel", "6.16", KT_MATCH_VERSION, visit_release, .is_of_kernel = true },
	{ "scheduler", "fifo*", KT_MATCH_GLOB, visit_schedulers },
	{ "topology", "llcs=2", KT_MATCH_GLOB, visit_topology },
	{ "file", "cgroup.c", KT_MATCH_TAIL, visit_file },
	{ "all", NULL, KT_MATCH_NONE, visit_all },
	{ "none", NULL, KT_MATCH_NONE, visit_none },
};

static bool match_value(struct kt_visit *visit, const char *value)
{
	return matches(visit->predicate, value);
}

enum kt_answer kt_predicate_ask(const struct kt_predicate *predicate, const struct kt_test *test,
				const char *release)
{
	const struct kt_subject subject = { .test = test, .release = release };
	struct kt_visit visit = { .fn = match_value, .predicate = predicate };

	if (predicate->kind->is_of_kernel && !release)
		return KT_ANSWER_MAYBE;
	return predicate->kind->values(&subject, &visit) ? KT_ANSWER_YES : KT_ANSWER_NO;
}

const struct kt_predicate_kind *kt_predicate_find(const char *word, const char **ret_near)
{
	struct kt_nearest nearest = KT_NEAREST_NULL;

	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		if (!strcmp(word, kinds[i].name))
			return &kinds[i];
		kt_nearest_offer(&nearest, word, kinds[i].name);
	}
	*ret_near = nearest.name;
	return NULL;
}

void kt_predicate_deinit(struct kt_predicate *predicate)
{
	if (predicate->has_regex)
		regfree(&predicate->regex);
	free(predicate->text);
}

/* ---- as text -------------------------------------------------------------------------------- */

static const char *matcher_sign(enum kt_matcher matcher)
{
	static const char *const signs[] = {
		[KT_MATCH_EQUAL] = "=", [KT_MATCH_CONTAINS] = "~", [KT_MATCH_REGEX] = "/",
		[KT_MATCH_GLOB] = "#",  [KT_MATCH_TAIL] = "",      [KT_MATCH_VERSION] = "",
		[KT_MATCH_NONE] = "",
	};

	return signs[matcher];
}

/* The closing character needs a backslash, as in what was read. */
static void print_text(const char *text, char end, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\' && text[1])
			(void)fputc(*text++, out);
		else if (*text == end)
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
}

void kt_predicate_print(const struct kt_predicate *predicate, FILE *out)
{
	bool regex = predicate->matcher == KT_MATCH_REGEX;

	(void)fprintf(out, "%s(%s", predicate->kind->name, matcher_sign(predicate->matcher));
	if (predicate->text)
		print_text(predicate->text, regex ? '/' : ')', out);
	(void)fputs(regex ? "/)" : ")", out);
}

/* ---- values that no test has ----------------------------------------------------------------- */

/* Whether the text is one value, and not a pattern for several. */
static bool is_one_value(const struct kt_predicate *predicate)
{
	bool may_be_glob =
		predicate->matcher == KT_MATCH_GLOB || predicate->matcher == KT_MATCH_TAIL;

	return predicate->matcher != KT_MATCH_REGEX &&
	       !(may_be_glob && strpbrk(predicate->text, "*?[\\"));
}

/* Another number is not a slip of the finger. */
static bool differ_in_numbers(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "0123456789");
		b += strspn(b, "0123456789");
		if (*a != *b || !*a)
			return *a == *b;
	}
}

static bool offer_value(struct kt_visit *visit, const char *value)
{
	const char *text = visit->predicate->text, *tail = strrchr(value, '/');

	if (differ_in_numbers(text, value))
		return false;
	kt_nearest_offer_part(&visit->nearest, text, value);
	if (visit->predicate->matcher == KT_MATCH_TAIL && tail)
		kt_nearest_offer(&visit->nearest, text, tail + 1);
	if (visit->nearest.name && visit->nearest.name != visit->name) {
		(void)snprintf(visit->name, sizeof(visit->name), "%s", visit->nearest.name);
		visit->nearest.name = visit->name;
	}
	return false;
}

static bool visit_tests(const struct kt_test_node *tests, struct kt_visit *visit)
{
	for (; tests; tests = tests->next) {
		const struct kt_subject subject = { .test = tests->test };

		if (visit->predicate->kind->values(&subject, visit))
			return true;
	}
	return false;
}

/* As the user may have written it: without the sign that is the predicate's own. */
void kt_predicate_tell(const struct kt_predicate *predicate, const struct kt_test_node *tests,
		       FILE *out)
{
	const struct kt_predicate_kind *kind = predicate->kind;
	struct kt_visit match = { .fn = match_value, .predicate = predicate };
	struct kt_visit offer = { .fn = offer_value, .predicate = predicate };
	const char *sign =
		predicate->matcher == kind->matcher ? "" : matcher_sign(predicate->matcher);

	if (!kind->example || kind->is_of_kernel || !is_one_value(predicate) ||
	    visit_tests(tests, &match))
		return;
	(void)visit_tests(tests, &offer);
	if (offer.nearest.name)
		(void)fprintf(
			out, "warning: -E: no test matches %s(%s%s); did you mean %s(%s%s)?\n",
			kind->name, sign, predicate->text, kind->name, sign, offer.nearest.name);
}
