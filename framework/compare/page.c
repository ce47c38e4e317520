/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "framework/compare/compare.h"
#include "framework/report/escape.h"

/*
 * The comparison as a page. All texts come from files or the command line and pass put_text(). The
 * page has no scripts, and its policy allows none.
 */

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	"'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<title>ktests compare</title>\n<style>body{font:15px sans-serif;margin:2em}"
	"table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.2em .5em;"
	"text-align:left;font-size:13px}td.n{text-align:right}tr.WORSE{background:#fdd}"
	"tr.better{background:#dfd}tr.unclear{color:#666}</style></head>\n<body>\n";

static void put_text(FILE *out, const char *text)
{
	kt_report_put_escaped(out, text, strlen(text));
}

/* The mean, and behind it the range of the repeats. */
static void put_series(FILE *out, const struct kt_series *series)
{
	if (!series->n) {
		(void)fputs("<td class=\"n\">-</td>", out);
		return;
	}
	(void)fprintf(out,
		      fabs(series->mean) >= 1000 ? "<td class=\"n\">%.0f" : "<td class=\"n\">%.3g",
		      series->mean);
	if (series->n > 1)
		(void)fprintf(out, "<br>%.4g to %.4g, %zu", series->min, series->max, series->n);
	(void)fputs("</td>", out);
}

static void put_share(FILE *out, const struct kt_compare_row *row)
{
	if (row->a.n && row->b.n && row->a.mean != 0)
		(void)fprintf(out, "<td class=\"n\">%+.1f %%</td>",
			      100 * (row->b.mean - row->a.mean) / fabs(row->a.mean));
	else
		(void)fputs("<td></td>", out);
}

static void put_row(FILE *out, const struct kt_compare_row *row)
{
	bool common = row->a.n && row->b.n;

	(void)fprintf(out, "<tr class=\"%s\"><td>%s</td><td>", kt_change_name(row->change),
		      common     ? kt_change_name(row->change)
		      : row->a.n ? "only in A"
				 : "only in B");
	put_text(out, row->test);
	(void)fputs("</td><td>", out);
	put_text(out, row->metric);
	(void)fputs("</td>", out);
	put_series(out, &row->a);
	put_series(out, &row->b);
	put_share(out, row);
	(void)fputs("</tr>\n", out);
}

static void put_rows(FILE *out, const struct kt_comparison *comparison, enum kt_change change)
{
	for (size_t i = 0; i < comparison->n; i++) {
		if (comparison->rows[i].change == change)
			put_row(out, &comparison->rows[i]);
	}
}

static void put_side(FILE *out, const char *letter, const char *name, unsigned int n_runs)
{
	(void)fprintf(out, "<br>%s: ", letter);
	put_text(out, name);
	(void)fprintf(out, ", %u runs\n", n_runs);
}

void kt_comparison_put_html(FILE *out, const struct kt_comparison *comparison)
{
	const unsigned int *by = comparison->by_change;

	(void)fputs(head, out);
	(void)fprintf(out, "<h1>%u worse, %u better, %u unclear</h1>\n<p>", by[KT_CHANGE_WORSE],
		      by[KT_CHANGE_BETTER], by[KT_CHANGE_UNCLEAR]);
	put_side(out, "A", comparison->a, comparison->in_a->n_runs);
	put_side(out, "B", comparison->b, comparison->in_b->n_runs);
	(void)fputs("</p>\n<table><tr><th></th><th>test</th><th>metric</th><th>A</th><th>B</th>"
		    "<th>change</th></tr>\n",
		    out);
	for (int change = KT_N_CHANGES - 1; change >= 0; change--)
		put_rows(out, comparison, (enum kt_change)change);
	(void)fputs("</table>\n</body></html>\n", out);
}
