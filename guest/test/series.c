/* SPDX-License-Identifier: MIT */
#include "guest/test/series.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ktest/assert.h>

#include "guest/test/ctx.h"
#include "guest/test/plot.h"
#include "util/cleanup.h"

/*
 * A pattern is judged over the points that have a value; the judging is a pure function, and finds
 * the first point that is wrong. Points without a value have been refused before if the pattern is
 * strict.
 */

#define CONVERGED 3u /* values in a row */

bool kt_pattern_is_strict(const struct kt_pattern *pattern)
{
	return pattern->kind == KT_PATTERN_ALWAYS || pattern->kind == KT_PATTERN_AT_LEAST ||
	       pattern->kind == KT_PATTERN_AT_MOST || pattern->kind == KT_PATTERN_BETWEEN;
}

const char *kt_pattern_text(const struct kt_pattern *pattern, char *text, size_t room)
{
	double low = pattern->low, high = pattern->high;

	switch (pattern->kind) {
	case KT_PATTERN_NONDECREASING:
		(void)snprintf(text, room, "should never be less than before");
		break;
	case KT_PATTERN_INCREASING:
		(void)snprintf(text, room, "should always be more than before");
		break;
	case KT_PATTERN_RATE:
		(void)snprintf(text, room, "should change by %g to %g per ms", low, high);
		break;
	case KT_PATTERN_STEADY:
		(void)snprintf(text, room, "should stay within %g %% of the mean from %u ms on",
			       pattern->tolerance * 100, pattern->ms);
		break;
	case KT_PATTERN_CONVERGES:
		(void)snprintf(text, room,
			       "should be within %g of %g three times in a row by %u ms",
			       pattern->tolerance, pattern->target, pattern->ms);
		break;
	case KT_PATTERN_ALWAYS:
		(void)snprintf(text, room, "should always be true");
		break;
	case KT_PATTERN_RATIO:
		(void)snprintf(text, room, "should be %g to %g times the other value", low, high);
		break;
	case KT_PATTERN_AT_LEAST:
		(void)snprintf(text, room, "should always be at least %g", low);
		break;
	case KT_PATTERN_AT_MOST:
		(void)snprintf(text, room, "should always be at most %g", high);
		break;
	case KT_PATTERN_BETWEEN:
		(void)snprintf(text, room, "should always be within %g to %g", low, high);
		break;
	case KT_PATTERN_NONE:
		(void)snprintf(text, room, "should follow a pattern");
		break;
	}
	return text;
}

/* ---- Judging ---- */

__attribute__((format(printf, 4, 5))) static struct kt_series_verdict
verdict(enum kt_series_result result, const struct kt_series_point *points, size_t at,
	const char *format, ...)
{
	struct kt_series_verdict verdict = { .result = result, .at = at };
	va_list ap;
	int len = 0;

	if (result == KT_SERIES_FAILS)
		len = snprintf(verdict.text, sizeof(verdict.text),
			       "%s at %.0f ms: ", points[at].name, points[at].ms);
	va_start(ap, format);
	(void)vsnprintf(verdict.text + len, sizeof(verdict.text) - (size_t)len, format, ap);
	va_end(ap);
	return verdict;
}

#define HOLDS        ((struct kt_series_verdict){ .result = KT_SERIES_HOLDS })
#define FAILS(...)   verdict(KT_SERIES_FAILS, points, __VA_ARGS__)
#define TOO_FEW(...) verdict(KT_SERIES_TOO_FEW, points, 0, __VA_ARGS__)

/* Two values, one behind the other. */
static struct kt_series_verdict judge_pair(const struct kt_pattern *pattern,
					   const struct kt_series_point *points, size_t before,
					   size_t at)
{
	double a = points[before].value, b = points[at].value;
	double ms = points[at].ms - points[before].ms;

	switch (pattern->kind) {
	case KT_PATTERN_NONDECREASING:
		return b >= a ? HOLDS : FAILS(at, "%g after %g", b, a);
	case KT_PATTERN_INCREASING:
		return b > a ? HOLDS : FAILS(at, "%g after %g", b, a);
	default:
		break;
	}
	if (!(ms > 0))
		return FAILS(at, "no time has passed");
	if ((b - a) / ms < pattern->low || (b - a) / ms > pattern->high)
		return FAILS(at, "%g after %g is %g per ms", b, a, (b - a) / ms);
	return HOLDS;
}

static struct kt_series_verdict judge_pairs(const struct kt_pattern *pattern,
					    const struct kt_series_point *points, size_t n)
{
	struct kt_series_verdict found = HOLDS;
	size_t before = SIZE_MAX, n_pairs = 0;

	for (size_t i = 0; i < n && found.result == KT_SERIES_HOLDS; i++) {
		if (points[i].fault)
			continue;
		if (before != SIZE_MAX) {
			found = judge_pair(pattern, points, before, i);
			n_pairs++;
		}
		before = i;
	}
	if (!n_pairs)
		return TOO_FEW("of %zu snapshots, fewer than 2 have a value", n);
	return found;
}

static struct kt_series_verdict judge_steady(const struct kt_pattern *pattern,
					     const struct kt_series_point *points, size_t n)
{
	double sum = 0, mean;
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (points[i].fault || points[i].ms < pattern->ms)
			continue;
		sum += points[i].value;
		count++;
	}
	if (count < 2)
		return TOO_FEW("of %zu snapshots, fewer than 2 have a value from %u ms on", n,
			       pattern->ms);
	mean = sum / (double)count;
	for (size_t i = 0; i < n; i++) {
		if (!points[i].fault && points[i].ms >= pattern->ms &&
		    fabs(points[i].value - mean) > pattern->tolerance * fabs(mean))
			return FAILS(i, "%g, where the mean is %g", points[i].value, mean);
	}
	return HOLDS;
}

static struct kt_series_verdict judge_converges(const struct kt_pattern *pattern,
						const struct kt_series_point *points, size_t n)
{
	size_t in_row = 0, last = SIZE_MAX, count = 0;

	for (size_t i = 0; i < n && points[i].ms <= pattern->ms; i++) {
		if (points[i].fault)
			continue;
		count++;
		last = i;
		in_row = fabs(points[i].value - pattern->target) <= pattern->tolerance ? in_row + 1
										       : 0;
		if (in_row == CONVERGED)
			return HOLDS;
	}
	if (count < CONVERGED)
		return TOO_FEW("of %zu snapshots, fewer than %u have a value by %u ms", n,
			       CONVERGED, pattern->ms);
	return FAILS(last, "%g, which is %g from %g", points[last].value,
		     fabs(points[last].value - pattern->target), pattern->target);
}

/* Each value for itself. */
static struct kt_series_verdict judge_value(const struct kt_pattern *pattern,
					    const struct kt_series_point *points, size_t i)
{
	double value = points[i].value;

	if (pattern->kind == KT_PATTERN_ALWAYS)
		return value != 0 ? HOLDS : FAILS(i, "%g", value);
	if ((pattern->kind != KT_PATTERN_AT_MOST && value < pattern->low) ||
	    (pattern->kind != KT_PATTERN_AT_LEAST && value > pattern->high))
		return FAILS(i, "%g", value);
	return HOLDS;
}

static struct kt_series_verdict judge_each(const struct kt_pattern *pattern,
					   const struct kt_series_point *points, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kt_series_verdict found = points[i].fault ? FAILS(i, "%s", points[i].fault)
								 : judge_value(pattern, points, i);

		if (found.result != KT_SERIES_HOLDS)
			return found;
	}
	return n ? HOLDS : TOO_FEW("there are no periodic snapshots");
}

static struct kt_series_verdict judge_ratio(const struct kt_pattern *pattern,
					    const struct kt_series_point *points,
					    const struct kt_series_point *others, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		double ratio;

		if (points[i].fault || others[i].fault)
			continue;
		count++;
		if (others[i].value == 0)
			return FAILS(i, "%g, and the other value is 0", points[i].value);
		ratio = points[i].value / others[i].value;
		if (ratio < pattern->low || ratio > pattern->high)
			return FAILS(i, "%g is %g times %g", points[i].value, ratio,
				     others[i].value);
	}
	return count ? HOLDS : TOO_FEW("none of %zu snapshots has both values", n);
}

struct kt_series_verdict kt_series_judge(const struct kt_pattern *pattern,
					 const struct kt_series_point *points,
					 const struct kt_series_point *others, size_t n)
{
	switch (pattern->kind) {
	case KT_PATTERN_NONDECREASING:
	case KT_PATTERN_INCREASING:
	case KT_PATTERN_RATE:
		return judge_pairs(pattern, points, n);
	case KT_PATTERN_STEADY:
		return judge_steady(pattern, points, n);
	case KT_PATTERN_CONVERGES:
		return judge_converges(pattern, points, n);
	case KT_PATTERN_RATIO:
		return others ? judge_ratio(pattern, points, others, n)
			      : TOO_FEW("there is no other view");
	case KT_PATTERN_ALWAYS:
	case KT_PATTERN_AT_LEAST:
	case KT_PATTERN_AT_MOST:
	case KT_PATTERN_BETWEEN:
		return judge_each(pattern, points, n);
	case KT_PATTERN_NONE:
		break;
	}
	return TOO_FEW("the pattern has no kind; use the macros");
}

/* ---- The assertion ---- */

/* The values of a view in all periodic snapshots. The names are those in *@ret_reply. */
static int fetch(struct kt_ctx *ctx, const struct kt_view *view,
		 struct kt_snapshot_reply **ret_reply, struct kt_series_point *points,
		 size_t *ret_n, struct kt_err *reterr)
{
	int r;

	if (view->snapshot)
		return kt_err_set(reterr, -EINVAL,
				  "a series is a view of kt_periodic(), not of one snapshot");
	r = kt_snapshot_ask(ctx, view, KT_SNAPSHOT_AS_DOUBLE, ret_reply, reterr);
	if (r < 0)
		return r;
	*ret_n = (*ret_reply)->n;
	for (size_t i = 0; i < *ret_n; i++) {
		const struct kt_snapshot_sample *sample = &(*ret_reply)->samples[i];

		points[i] = (struct kt_series_point){
			.name = sample->name,
			.ms = (double)sample->elapsed_ns / 1e6,
			.value = sample->real,
			.fault = sample->fault == KT_SNAPSHOT_OK ? NULL : sample->text,
		};
	}
	return 0;
}

static void note_skipped(const struct kt_pattern *pattern, const struct kt_series_point *points,
			 size_t n, const char *text)
{
	for (size_t i = 0; i < n && !kt_pattern_is_strict(pattern); i++) {
		if (points[i].fault)
			(void)fprintf(stderr, "ktest: %s: %s is left out: %s\n", text,
				      points[i].name, points[i].fault);
	}
}

static int report(struct kt_ctx *ctx, struct kt_where where, const struct kt_pattern *pattern,
		  const struct kt_series_point *points, size_t n,
		  const struct kt_series_verdict *found, const char *text)
{
	KT_FREE char *plot = kt_plot(points, n, found->at);
	char expected[200];

	(void)kt_pattern_text(pattern, expected, sizeof(expected));
	return kt_fail(ctx, where, "%s %s; %s\n%s", text, expected, found->text, plot ?: "");
}

int kt_series_check(struct kt_ctx *ctx, struct kt_where where, struct kt_view view,
		    struct kt_pattern pattern, const char *text)
{
	KT_FREE struct kt_snapshot_reply *reply = NULL, *other_reply = NULL;
	struct kt_series_point points[KT_SNAPSHOTS_MAX], others[KT_SNAPSHOTS_MAX] = { 0 };
	struct kt_err err = KT_ERR_NULL;
	struct kt_series_verdict found;
	size_t n = 0, n_others = 0;

	if (fetch(ctx, &view, &reply, points, &n, &err) < 0 ||
	    (pattern.other && fetch(ctx, pattern.other, &other_reply, others, &n_others, &err) < 0))
		return kt_fail(ctx, where, "%s: %s", text, err.text);
	note_skipped(&pattern, points, n, text);
	note_skipped(&pattern, others, n_others, text);
	/* Both are of the same snapshots. */
	if (pattern.other)
		n = KT_MIN(n, n_others);
	found = kt_series_judge(&pattern, points, pattern.other ? others : NULL, n);
	if (found.result == KT_SERIES_TOO_FEW)
		return kt_inconclusive(ctx, "%s: %s", text, found.text);
	if (found.result == KT_SERIES_FAILS)
		return report(ctx, where, &pattern, points, n, &found, text);
	return 0;
}
