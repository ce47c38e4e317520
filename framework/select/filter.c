/* SPDX-License-Identifier: MIT */
#include "framework/select/filter.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <ktest/scheduler.h>

#include "framework/kernel/kernel.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/nearest.h"

/*
 * An expression becomes a tree. A leaf asks one predicate: it has a few values of the test, and one
 * of them must match. An inner node joins two answers, or turns one around.
 *
 * The parser descends through the grammar of filter.h with one character of lookahead. Its
 * recursion is bounded by KT_FILTER_DEPTH_MAX, the tree by KT_FILTER_TEXT_MAX: operators of the
 * same strength make it deep on the left, and the shortest operand has five characters.
 *
 * A filter can come from a file. glibc compiles x+ and x{n} by copying x, in each other without a
 * bound, so a regular expression may not repeat too much (check_repetition()).
 */

#define REPETITION_MAX 4096 /* copies of what a regular expression repeats */

enum operation {
	OP_PREDICATE,
	OP_NOT, /* of @left */
	OP_AND,
	OP_OR,
	OP_MINUS, /* @left and not @right */
};

enum matcher {
	MATCH_EQUAL,
	MATCH_CONTAINS,
	MATCH_REGEX,
	MATCH_GLOB,
	MATCH_TAIL,    /* a glob for the path, or for what follows one of its slashes */
	MATCH_VERSION, /* of a kernel: its beginning, up to where a number ends */
	MATCH_NONE,    /* the predicate has no text */
};

/* What a predicate is asked about. */
struct subject {
	const struct kt_test *test;
	const char *release; /* NULL: not known yet */
};

struct kt_filter {
	enum operation operation;
	struct kt_filter *left, *right;

	/* of OP_PREDICATE */
	const struct predicate *predicate;
	enum matcher matcher;
	char *text;
	regex_t regex; /* of MATCH_REGEX, once @has_regex */
	bool has_regex;
};

/* ---- predicates ------------------------------------------------------------------------------ */

/* What is done with the values of tests that a predicate looks at. */
struct visit {
	bool (*fn)(struct visit *visit, const char *value); /* true: it has seen enough */
	const struct kt_filter *filter;                     /* the predicate with its text */

	/* of offer() */
	struct kt_nearest nearest;
	char name[256]; /* of @nearest: a value may live no longer than its visit */
};

struct predicate {
	const char *name;
	const char *example;  /* of a text; NULL: takes none */
	enum matcher matcher; /* of a text without a sign */
	bool (*values)(const struct subject *subject, struct visit *visit); /* true: as visit->fn */
	bool is_of_kernel;
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

static bool matches(const struct kt_filter *filter, const char *value)
{
	switch (filter->matcher) {
	case MATCH_EQUAL:
		return !strcmp(value, filter->text);
	case MATCH_CONTAINS:
		return strstr(value, filter->text);
	case MATCH_REGEX:
		return regexec(&filter->regex, value, 0, NULL, 0) == 0;
	case MATCH_GLOB:
		return fnmatch(filter->text, value, 0) == 0;
	case MATCH_TAIL:
		return matches_tail(filter->text, value);
	case MATCH_VERSION:
		return kt_kernel_version_matches(value, filter->text);
	case MATCH_NONE:
		break;
	}
	return false;
}

static bool visit_name(const struct subject *subject, struct visit *visit)
{
	return visit->fn(visit, subject->test->name);
}

static bool visit_file(const struct subject *subject, struct visit *visit)
{
	return visit->fn(visit, subject->test->file ?: "");
}

static bool visit_tags(const struct subject *subject, struct visit *visit)
{
	for (const char *const *tag = subject->test->tags; tag && *tag; tag++) {
		if (visit->fn(visit, *tag))
			return true;
	}
	return false;
}

static bool visit_release(const struct subject *subject, struct visit *visit)
{
	return visit->fn(visit, subject->release);
}

static bool visit_scheduler(const struct kt_scheduler *scheduler, struct visit *visit)
{
	return scheduler && scheduler->name && visit->fn(visit, scheduler->name);
}

static bool visit_ops(const struct kt_op *ops, struct visit *visit)
{
	for (const struct kt_op *op = ops; op && !op->end; op++) {
		if (visit_scheduler(op->scheduler, visit))
			return true;
	}
	return false;
}

/* The schedulers that the test declares, and those that its steps attach. */
static bool visit_schedulers(const struct subject *subject, struct visit *visit)
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
static bool visit_topology(const struct subject *subject, struct visit *visit)
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

static bool visit_all(const struct subject *subject, struct visit *visit)
{
	(void)subject;
	(void)visit;
	return true;
}

static bool visit_none(const struct subject *subject, struct visit *visit)
{
	(void)subject;
	(void)visit;
	return false;
}

static const struct predicate predicates[] = {
	{ "test", "freeze", MATCH_CONTAINS, visit_name },
	{ "tag", "slow", MATCH_GLOB, visit_tags },
	{ "kernel", "6.16", MATCH_VERSION, visit_release, .is_of_kernel = true },
	{ "scheduler", "fifo*", MATCH_GLOB, visit_schedulers },
	{ "topology", "llcs=2", MATCH_GLOB, visit_topology },
	{ "file", "cgroup.c", MATCH_TAIL, visit_file },
	{ "all", NULL, MATCH_NONE, visit_all },
	{ "none", NULL, MATCH_NONE, visit_none },
};

static bool match_value(struct visit *visit, const char *value)
{
	return matches(visit->filter, value);
}

static enum kt_answer ask_predicate(const struct kt_filter *filter, const struct subject *subject)
{
	struct visit visit = { .fn = match_value, .filter = filter };

	if (filter->predicate->is_of_kernel && !subject->release)
		return KT_ANSWER_MAYBE;
	return filter->predicate->values(subject, &visit) ? KT_ANSWER_YES : KT_ANSWER_NO;
}

/* ---- the parser ------------------------------------------------------------------------------ */

struct parser {
	const char *text; /* the whole expression */
	const char *at;   /* the next character */
	unsigned int depth;
	struct kt_err *reterr;
};

static void freep(struct kt_filter **filter)
{
	*filter = kt_filter_free(*filter);
}

#define FREE_FILTER KT_CLEANUP(freep)

/* Sets the error at @at, which is in the expression. Returns -EINVAL. */
static int __attribute__((format(printf, 3, 4)))
fault(struct parser *parser, const char *at, const char *format, ...)
{
	size_t place = (size_t)(at - parser->text) + 1;
	va_list ap;

	va_start(ap, format);
	(void)kt_err_vset(parser->reterr, -EINVAL, format, ap);
	va_end(ap);
	return *at ? kt_err_prefix(parser->reterr, -EINVAL, "at character %zu, '%.20s'", place, at)
		   : kt_err_prefix(parser->reterr, -EINVAL, "at the end");
}

static void skip_space(struct parser *parser)
{
	while (isspace((unsigned char)*parser->at))
		parser->at++;
}

/* The length of the word at @at: letters, digits and underscores. */
static size_t word_len(const char *at)
{
	size_t len = 0;

	while (isalnum((unsigned char)at[len]) || at[len] == '_')
		len++;
	return len;
}

/* Takes one of the @signs, which are single characters, or the word @word. */
static char take(struct parser *parser, const char *signs, const char *word)
{
	size_t len;

	skip_space(parser);
	if (*parser->at && strchr(signs, *parser->at))
		return *parser->at++;
	len = word_len(parser->at);
	if (len != strlen(word) || !len || strncmp(parser->at, word, len) != 0)
		return '\0';
	parser->at += len;
	return *signs;
}

/* "&&" and "||" are habits of other languages. */
static int check_doubled(struct parser *parser, char sign)
{
	if ((sign == '&' || sign == '|') && *parser->at == sign)
		return fault(parser, parser->at, "the operator is a single '%c'", sign);
	return 0;
}

static struct kt_filter *node_new(enum operation operation, struct kt_filter **left,
				  struct kt_filter **right)
{
	struct kt_filter *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->operation = operation;
	node->left = kt_steal(*left);
	node->right = right ? kt_steal(*right) : NULL;
	return node;
}

/* Finds the predicate whose name has @len characters at parser->at. */
static int find_predicate(struct parser *parser, size_t len, const struct predicate **ret_predicate)
{
	KT_FREE char *word = strndup(parser->at, len);
	struct kt_nearest nearest = KT_NEAREST_NULL;

	if (!word)
		return kt_err_oom(parser->reterr);
	for (size_t i = 0; i < KT_ARRAY_LEN(predicates); i++) {
		if (!strcmp(word, predicates[i].name)) {
			*ret_predicate = &predicates[i];
			return 0;
		}
		kt_nearest_offer(&nearest, word, predicates[i].name);
	}
	if (nearest.name)
		return fault(parser, parser->at, "unknown predicate; did you mean %s()?",
			     nearest.name);
	if (parser->at[len] != '(')
		return fault(parser, parser->at,
			     "a predicate is meant to be here; for a part of a test's name, write "
			     "test(%s)",
			     word);
	return fault(parser, parser->at,
		     "unknown predicate; there are test, tag, kernel, scheduler, topology, file, "
		     "all and none");
}

/*
 * Reads up to @end, which is taken. A backslash before @end makes it a part of the text; other
 * backslashes stay, because globs and regular expressions have a use for them.
 */
static int read_text(struct parser *parser, char end, char **ret_text)
{
	const char *begin = parser->at;
	KT_FREE char *text = malloc(strlen(begin) + 1);
	size_t len = 0;

	if (!text)
		return kt_err_oom(parser->reterr);
	for (; *parser->at && *parser->at != end; parser->at++) {
		if (*parser->at == '\\' && parser->at[1] == end)
			parser->at++;
		else if (*parser->at == '\\' && parser->at[1])
			text[len++] = *parser->at++;
		text[len++] = *parser->at;
	}
	if (!*parser->at)
		return fault(parser, begin, "nothing ends this: a '%c' is missing", end);
	parser->at++;
	text[len] = '\0';
	*ret_text = kt_steal(text);
	return 0;
}

/* Space behind a backslash stays. */
static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len && isspace((unsigned char)text[len - 1]) && (len == 1 || text[len - 2] != '\\'))
		text[--len] = '\0';
}

/* The greatest number between the braces at @at, at least 1. */
static unsigned long repetition(const char *at)
{
	unsigned long most = 1;

	for (at++; *at && *at != '}'; at++) {
		unsigned long number = strtoul(at, NULL, 10);

		most = KT_MAX(most, number);
	}
	return most;
}

/*
 * The product of what is repeated bounds what regcomp(3) allocates. References back to a group
 * would make the time of a match grow without a bound.
 */
static int check_repetition(struct parser *parser, const char *begin, const char *regex)
{
	unsigned long copies = 1;

	for (const char *at = regex; *at && copies <= REPETITION_MAX; at++) {
		if (*at == '\\' && isdigit((unsigned char)at[1]))
			return fault(parser, begin, "a regular expression must not refer back");
		if (*at == '\\' && at[1])
			at++;
		else if (*at == '+')
			copies *= 2;
		else if (*at == '{')
			copies *= KT_MIN(repetition(at), REPETITION_MAX + 1UL);
	}
	if (copies > REPETITION_MAX)
		return fault(parser, begin, "the regular expression repeats more than %d times",
			     REPETITION_MAX);
	return 0;
}

static int compile_regex(struct parser *parser, const char *begin, struct kt_filter *filter)
{
	int r = check_repetition(parser, begin, filter->text);
	char reason[128];

	if (r < 0)
		return r;
	r = regcomp(&filter->regex, filter->text, REG_EXTENDED | REG_NOSUB);
	filter->has_regex = r == 0;
	if (r == REG_ESPACE)
		return kt_err_oom(parser->reterr);
	(void)regerror(r, &filter->regex, reason, sizeof(reason));
	return r ? fault(parser, begin, "the regular expression is wrong: %s", reason) : 0;
}

static int parse_regex(struct parser *parser, struct kt_filter *filter)
{
	const char *begin = parser->at;
	int r = read_text(parser, '/', &filter->text) ?: compile_regex(parser, begin, filter);

	if (r < 0)
		return r;
	skip_space(parser);
	if (*parser->at != ')')
		return fault(parser, parser->at, "')' must follow the regular expression");
	parser->at++;
	return 0;
}

/* What stands between the parentheses of a predicate, and the closing one. */
static int parse_matcher(struct parser *parser, struct kt_filter *filter)
{
	static const char signs[] = "=~/#";
	static const enum matcher matchers[] = { MATCH_EQUAL, MATCH_CONTAINS, MATCH_REGEX,
						 MATCH_GLOB };
	const struct predicate *predicate = filter->predicate;
	const char *sign, *begin;
	int r;

	skip_space(parser);
	sign = *parser->at ? strchr(signs, *parser->at) : NULL;
	filter->matcher = sign ? matchers[sign - signs] : predicate->matcher;
	begin = parser->at;
	parser->at += !!sign;
	if (filter->matcher == MATCH_REGEX)
		return parse_regex(parser, filter);
	r = read_text(parser, ')', &filter->text);
	if (r < 0)
		return r;
	trim_end(filter->text);
	return filter->text[0] ? 0
			       : fault(parser, begin, "%s() needs a text, like %s(%s)",
				       predicate->name, predicate->name, predicate->example);
}

static int parse_predicate(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *filter = calloc(1, sizeof(*filter));
	size_t len = word_len(parser->at);
	int r;

	if (!filter)
		return kt_err_oom(parser->reterr);
	if (!len)
		return fault(parser, parser->at,
			     "a predicate is meant to be here, like test(freeze)");
	r = find_predicate(parser, len, &filter->predicate);
	if (r < 0)
		return r;
	parser->at += len;
	if (!take(parser, "(", ""))
		return fault(parser, parser->at, "'(' must follow '%s'", filter->predicate->name);
	filter->matcher = MATCH_NONE;
	if (filter->predicate->example)
		r = parse_matcher(parser, filter);
	else if (!take(parser, ")", ""))
		r = fault(parser, parser->at, "%s() takes nothing", filter->predicate->name);
	if (r == 0)
		*ret_filter = kt_steal(filter);
	return r;
}

static int parse_or(struct parser *parser, struct kt_filter **ret_filter);

static int parse_parentheses(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *inner = NULL;
	const char *begin = parser->at - 1;
	int r = parse_or(parser, &inner);

	if (r == 0 && !take(parser, ")", ""))
		r = *parser->at ? fault(parser, parser->at, "an operator or ')' is missing here")
				: fault(parser, begin, "nothing closes this parenthesis");
	if (r == 0)
		*ret_filter = kt_steal(inner);
	return r;
}

static int parse_factor(struct parser *parser, struct kt_filter **ret_filter);

static int parse_not(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *inner = NULL;
	int r = parse_factor(parser, &inner);

	if (r < 0)
		return r;
	*ret_filter = node_new(OP_NOT, &inner, NULL);
	return *ret_filter ? 0 : kt_err_oom(parser->reterr);
}

static int parse_factor(struct parser *parser, struct kt_filter **ret_filter)
{
	int r;

	skip_space(parser);
	if (++parser->depth > KT_FILTER_DEPTH_MAX)
		return fault(parser, parser->at,
			     "more than %d negations and parentheses in each other",
			     KT_FILTER_DEPTH_MAX);
	if (take(parser, "!", "not"))
		r = parse_not(parser, ret_filter);
	else if (take(parser, "(", ""))
		r = parse_parentheses(parser, ret_filter);
	else
		r = parse_predicate(parser, ret_filter);
	parser->depth--;
	return r;
}

/* The operand behind the operator @sign, joined to what *@left has so far. */
static int join(struct parser *parser, char sign, struct kt_filter **left,
		int (*parse)(struct parser *parser, struct kt_filter **ret_filter))
{
	FREE_FILTER struct kt_filter *right = NULL;
	int r = check_doubled(parser, sign) ?: parse(parser, &right);
	struct kt_filter *node;

	if (r < 0)
		return r;
	node = node_new(sign == '&' ? OP_AND : sign == '-' ? OP_MINUS : OP_OR, left, &right);
	if (!node)
		return kt_err_oom(parser->reterr);
	*left = node;
	return 0;
}

static int parse_and(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *left = NULL;
	int r = parse_factor(parser, &left);
	char sign;

	while (r == 0 && (sign = take(parser, "&-", "and")))
		r = join(parser, sign, &left, parse_factor);
	if (r == 0)
		*ret_filter = kt_steal(left);
	return r;
}

static int parse_or(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *left = NULL;
	int r = parse_and(parser, &left);
	char sign;

	while (r == 0 && (sign = take(parser, "|+", "or")))
		r = join(parser, sign, &left, parse_and);
	if (r == 0)
		*ret_filter = kt_steal(left);
	return r;
}

int kt_filter_parse(const char *text, struct kt_filter **ret_filter, struct kt_err *reterr)
{
	struct kt_err unused;
	struct parser parser = { .text = text, .at = text, .reterr = reterr ?: &unused };
	FREE_FILTER struct kt_filter *filter = NULL;
	int r;

	if (strnlen(text, KT_FILTER_TEXT_MAX + 1) > KT_FILTER_TEXT_MAX)
		return kt_err_set(reterr, -EINVAL, "it is longer than %d characters",
				  KT_FILTER_TEXT_MAX);
	r = parse_or(&parser, &filter);
	if (r == 0 && *parser.at)
		r = fault(&parser, parser.at, "an operator is missing here: & | ! or -");
	if (r == 0)
		*ret_filter = kt_steal(filter);
	return r;
}

struct kt_filter *kt_filter_free(struct kt_filter *filter)
{
	if (!filter)
		return NULL;
	kt_filter_free(filter->left);
	kt_filter_free(filter->right);
	if (filter->has_regex)
		regfree(&filter->regex);
	free(filter->text);
	free(filter);
	return NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum kt_answer negate(enum kt_answer is)
{
	return (enum kt_answer)(KT_ANSWER_YES - is);
}

static enum kt_answer ask(const struct kt_filter *filter, const struct subject *subject)
{
	enum kt_answer left, right;

	if (filter->operation == OP_PREDICATE)
		return ask_predicate(filter, subject);
	left = ask(filter->left, subject);
	if (filter->operation == OP_NOT)
		return negate(left);
	right = ask(filter->right, subject);
	if (filter->operation == OP_OR)
		return KT_MAX(left, right);
	return KT_MIN(left, filter->operation == OP_MINUS ? negate(right) : right);
}

enum kt_answer kt_filter_ask(const struct kt_filter *filter, const struct kt_test *test,
			     const char *release)
{
	const struct subject subject = { .test = test, .release = release };

	return ask(filter, &subject);
}

/* ---- the expression as text ------------------------------------------------------------------ */

static const char *matcher_sign(enum matcher matcher)
{
	static const char *const signs[] = {
		[MATCH_EQUAL] = "=", [MATCH_CONTAINS] = "~", [MATCH_REGEX] = "/",
		[MATCH_GLOB] = "#",  [MATCH_TAIL] = "",      [MATCH_VERSION] = "",
		[MATCH_NONE] = "",
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

static void print_predicate(const struct kt_filter *filter, FILE *out)
{
	bool regex = filter->matcher == MATCH_REGEX;

	(void)fprintf(out, "%s(%s", filter->predicate->name, matcher_sign(filter->matcher));
	if (filter->text)
		print_text(filter->text, regex ? '/' : ')', out);
	(void)fputs(regex ? "/)" : ")", out);
}

void kt_filter_print(const struct kt_filter *filter, FILE *out)
{
	static const char *const operators[] = {
		[OP_AND] = " & ",
		[OP_OR] = " | ",
		[OP_MINUS] = " - ",
	};

	switch (filter->operation) {
	case OP_PREDICATE:
		print_predicate(filter, out);
		return;
	case OP_NOT:
		(void)fputc('!', out);
		kt_filter_print(filter->left, out);
		return;
	default:
		(void)fputc('(', out);
		kt_filter_print(filter->left, out);
		(void)fputs(operators[filter->operation], out);
		kt_filter_print(filter->right, out);
		(void)fputc(')', out);
	}
}

/* ---- values that no test has ----------------------------------------------------------------- */

/* Whether the text is one value, and not a pattern for several. */
static bool is_one_value(const struct kt_filter *filter)
{
	bool may_be_glob = filter->matcher == MATCH_GLOB || filter->matcher == MATCH_TAIL;

	return filter->matcher != MATCH_REGEX && !(may_be_glob && strpbrk(filter->text, "*?[\\"));
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

static bool offer_value(struct visit *visit, const char *value)
{
	const char *text = visit->filter->text, *tail = strrchr(value, '/');

	if (differ_in_numbers(text, value))
		return false;
	kt_nearest_offer_part(&visit->nearest, text, value);
	if (visit->filter->matcher == MATCH_TAIL && tail)
		kt_nearest_offer(&visit->nearest, text, tail + 1);
	if (visit->nearest.name && visit->nearest.name != visit->name) {
		(void)snprintf(visit->name, sizeof(visit->name), "%s", visit->nearest.name);
		visit->nearest.name = visit->name;
	}
	return false;
}

static bool visit_tests(const struct kt_test_node *tests, struct visit *visit)
{
	for (; tests; tests = tests->next) {
		const struct subject subject = { .test = tests->test };

		if (visit->filter->predicate->values(&subject, visit))
			return true;
	}
	return false;
}

/* As the user may have written it: without the sign that is the predicate's own. */
static void tell_predicate(const struct kt_filter *filter, const struct kt_test_node *tests,
			   FILE *out)
{
	const struct predicate *predicate = filter->predicate;
	struct visit match = { .fn = match_value, .filter = filter };
	struct visit offer = { .fn = offer_value, .filter = filter };
	const char *sign =
		filter->matcher == predicate->matcher ? "" : matcher_sign(filter->matcher);

	if (!predicate->example || predicate->is_of_kernel || !is_one_value(filter) ||
	    visit_tests(tests, &match))
		return;
	(void)visit_tests(tests, &offer);
	if (offer.nearest.name)
		(void)fprintf(out,
			      "warning: -E: no test matches %s(%s%s); did you mean %s(%s%s)?\n",
			      predicate->name, sign, filter->text, predicate->name, sign,
			      offer.nearest.name);
}

static void tell(const struct kt_filter *filter, const struct kt_test_node *tests, FILE *out)
{
	if (filter->operation == OP_PREDICATE) {
		tell_predicate(filter, tests, out);
		return;
	}
	tell(filter->left, tests, out);
	if (filter->right)
		tell(filter->right, tests, out);
}

/* ---- several --------------------------------------------------------------------------------- */

int kt_filters_init(struct kt_filters *filters, const struct kt_strings *texts,
		    struct kt_err *reterr)
{
	struct kt_filters made = { .at = calloc(texts->n + 1, sizeof(struct kt_filter *)) };
	int r = made.at ? 0 : kt_err_oom(reterr);

	for (; r == 0 && made.n < texts->n; made.n++) {
		r = kt_filter_parse(texts->at[made.n], &made.at[made.n], reterr);
		if (r < 0)
			break;
	}
	if (r < 0) {
		if (made.at)
			(void)kt_err_prefix(reterr, r, "-E '%.200s'", texts->at[made.n]);
		kt_filters_deinit(&made);
		return r;
	}
	*filters = made;
	return 0;
}

void kt_filters_deinit(struct kt_filters *filters)
{
	for (size_t i = 0; i < filters->n; i++)
		kt_filter_free(filters->at[i]);
	free(filters->at);
	*filters = (struct kt_filters){ .n = 0 };
}

enum kt_answer kt_filters_ask(const struct kt_filters *filters, const struct kt_test *test,
			      const char *release)
{
	enum kt_answer best = filters->n ? KT_ANSWER_NO : KT_ANSWER_YES;

	for (size_t i = 0; i < filters->n && best != KT_ANSWER_YES; i++)
		best = KT_MAX(best, kt_filter_ask(filters->at[i], test, release));
	return best;
}

void kt_filters_tell(const struct kt_filters *filters, const struct kt_test_node *tests, FILE *out)
{
	for (size_t i = 0; i < filters->n; i++)
		tell(filters->at[i], tests, out);
}
