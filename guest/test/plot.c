/* SPDX-License-Identifier: MIT */
#include "guest/test/plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define ROWS  24u /* that are shown */
#define WIDTH 32u /* of the longest bar */

struct range {
	double least, greatest;
};

/* Bars begin at 0 unless there are negative values. */
static struct range range_of(const struct kt_series_point *points, size_t n)
{
	struct range range = { 0, 0 };

	for (size_t i = 0; i < n; i++) {
		if (points[i].fault)
			continue;
		range.least = KT_MIN(range.least, points[i].value);
		range.greatest = KT_MAX(range.greatest, points[i].value);
	}
	return range;
}

static unsigned int bar_of(const struct range *range, double value)
{
	double span = range->greatest - range->least;

	return span > 0 ? (unsigned int)((value - range->least) / span * WIDTH + 0.5) : 0;
}

static void put_row(FILE *out, const struct kt_series_point *point, const struct range *range,
		    bool marked)
{
	static const char BAR[] = "################################";
	const char *mark = marked ? " <-- here" : "";

	_Static_assert(sizeof(BAR) == WIDTH + 1, "the longest bar");
	(void)fprintf(out, "%s %6.0f ms ", point->name, point->ms);
	if (point->fault)
		(void)fprintf(out, "%12s | (%.60s)%s\n", "?", point->fault, mark);
	else
		(void)fprintf(out, "%12.8g |%.*s%s\n", point->value,
			      (int)bar_of(range, point->value), BAR, mark);
}

/* The first row that is shown, so that @at is about in the middle. */
static size_t first_row(size_t n, size_t at)
{
	size_t first = at >= n || at < ROWS / 2 ? 0 : at - ROWS / 2;

	return n <= ROWS ? 0 : KT_MIN(first, n - ROWS);
}

char *kt_plot(const struct kt_series_point *points, size_t n, size_t at)
{
	struct range range = range_of(points, n);
	size_t first = first_row(n, at), len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (first)
		(void)fprintf(out, "(%zu before)\n", first);
	for (size_t i = first; i < n && i < first + ROWS; i++)
		put_row(out, &points[i], &range, i == at);
	if (first + ROWS < n)
		(void)fprintf(out, "(%zu more)\n", n - first - ROWS);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
