/* SPDX-License-Identifier: MIT */
#include "framework/select/filter.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * An expression becomes a tree. A leaf asks a predicate. An inner node joins two answers, or turns
 * one around.
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

struct kt_filter {
	enum operation operation;
	struct kt_filter *left, *right;

	struct kt_predicate predicate; /* of OP_PREDICATE */
};

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
static int find_predicate(struct parser *parser, size_t len,
			  const struct kt_predicate_kind **ret_kind)
{
	KT_FREE char *word = strndup(parser->at, len);
	const char *near;

	if (!word)
		return kt_err_oom(parser->reterr);
	*ret_kind = kt_predicate_find(word, &near);
	if (*ret_kind)
		return 0;
	if (near)
		return fault(parser, parser->at, "unknown predicate; did you mean %s()?", near);
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

static int compile_regex(struct parser *parser, const char *begin, struct kt_predicate *predicate)
{
	int r = check_repetition(parser, begin, predicate->text);
	char reason[128];

	if (r < 0)
		return r;
	r = regcomp(&predicate->regex, predicate->text, REG_EXTENDED | REG_NOSUB);
	predicate->has_regex = r == 0;
	if (r == REG_ESPACE)
		return kt_err_oom(parser->reterr);
	(void)regerror(r, &predicate->regex, reason, sizeof(reason));
	return r ? fault(parser, begin, "the regular expression is wrong: %s", reason) : 0;
}

static int parse_regex(struct parser *parser, struct kt_predicate *predicate)
{
	const char *begin = parser->at;
	int r = read_text(parser, '/', &predicate->text) ?: compile_regex(parser, begin, predicate);

	if (r < 0)
		return r;
	skip_space(parser);
	if (*parser->at != ')')
		return fault(parser, parser->at, "')' must follow the regular expression");
	parser->at++;
	return 0;
}

/* What stands between the parentheses of a predicate, and the closing one. */
static int parse_matcher(struct parser *parser, struct kt_predicate *predicate)
{
	static const char signs[] = "=~/#";
	static const enum kt_matcher matchers[] = { KT_MATCH_EQUAL, KT_MATCH_CONTAINS,
						    KT_MATCH_REGEX, KT_MATCH_GLOB };
	const struct kt_predicate_kind *kind = predicate->kind;
	const char *sign, *begin;
	int r;

	skip_space(parser);
	sign = *parser->at ? strchr(signs, *parser->at) : NULL;
	predicate->matcher = sign ? matchers[sign - signs] : kind->matcher;
	begin = parser->at;
	parser->at += !!sign;
	if (predicate->matcher == KT_MATCH_REGEX)
		return parse_regex(parser, predicate);
	r = read_text(parser, ')', &predicate->text);
	if (r < 0)
		return r;
	trim_end(predicate->text);
	return predicate->text[0] ? 0
				  : fault(parser, begin, "%s() needs a text, like %s(%s)",
					  kind->name, kind->name, kind->example);
}

static int parse_predicate(struct parser *parser, struct kt_filter **ret_filter)
{
	FREE_FILTER struct kt_filter *filter = calloc(1, sizeof(*filter));
	size_t len = word_len(parser->at);
	struct kt_predicate *predicate;
	int r;

	if (!filter)
		return kt_err_oom(parser->reterr);
	predicate = &filter->predicate;
	if (!len)
		return fault(parser, parser->at,
			     "a predicate is meant to be here, like test(freeze)");
	r = find_predicate(parser, len, &predicate->kind);
	if (r < 0)
		return r;
	parser->at += len;
	if (!take(parser, "(", ""))
		return fault(parser, parser->at, "'(' must follow '%s'", predicate->kind->name);
	predicate->matcher = KT_MATCH_NONE;
	if (predicate->kind->example)
		r = parse_matcher(parser, predicate);
	else if (!take(parser, ")", ""))
		r = fault(parser, parser->at, "%s() takes nothing", predicate->kind->name);
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
	kt_predicate_deinit(&filter->predicate);
	free(filter);
	return NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum kt_answer negate(enum kt_answer is)
{
	return (enum kt_answer)(KT_ANSWER_YES - is);
}

enum kt_answer kt_filter_ask(const struct kt_filter *filter, const struct kt_test *test,
			     const char *release)
{
	enum kt_answer left, right;

	if (filter->operation == OP_PREDICATE)
		return kt_predicate_ask(&filter->predicate, test, release);
	left = kt_filter_ask(filter->left, test, release);
	if (filter->operation == OP_NOT)
		return negate(left);
	right = kt_filter_ask(filter->right, test, release);
	if (filter->operation == OP_OR)
		return KT_MAX(left, right);
	return KT_MIN(left, filter->operation == OP_MINUS ? negate(right) : right);
}

/* ---- the expression as text ------------------------------------------------------------------ */

void kt_filter_print(const struct kt_filter *filter, FILE *out)
{
	static const char *const operators[] = {
		[OP_AND] = " & ",
		[OP_OR] = " | ",
		[OP_MINUS] = " - ",
	};

	switch (filter->operation) {
	case OP_PREDICATE:
		kt_predicate_print(&filter->predicate, out);
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

static void tell(const struct kt_filter *filter, const struct kt_test_node *tests, FILE *out)
{
	if (filter->operation == OP_PREDICATE) {
		kt_predicate_tell(&filter->predicate, tests, out);
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
