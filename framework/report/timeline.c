/* SPDX-License-Identifier: MIT */
#include "framework/report/timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/escape.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BARS_MAX ((size_t)4 << 20) /* bytes */
#define ROW_PX   18u

int kt_timeline_init(struct kt_timeline *timeline)
{
	*timeline = (struct kt_timeline){ .began_ns = kt_now_ns() };
	timeline->out = open_memstream(&timeline->bars, &timeline->bars_len);
	return timeline->out ? 0 : -ENOMEM;
}

void kt_timeline_deinit(struct kt_timeline *timeline)
{
	kt_fclosep(&timeline->out);
	free(timeline->bars);
}

static uint64_t since_ms(const struct kt_timeline *timeline, uint64_t ns)
{
	return (ns - KT_MIN(ns, timeline->began_ns)) / KT_NSEC_PER_MSEC;
}

static void put_escaped(FILE *out, const char *text)
{
	kt_report_put_escaped(out, text, strlen(text));
}

/* What the pointer shows: the verdict, and where the time went. */
static void put_title(FILE *out, const struct kt_outcome *outcome)
{
	(void)fputs(" title=\"", out);
	put_escaped(out, outcome->name);
	(void)fprintf(out, ": %s, run %u, attempt %u, %.3f s",
		      kt_verdict_name(outcome->result.verdict), outcome->iteration,
		      outcome->attempt, (double)outcome->total_ns / KT_NSEC_PER_SEC);
	for (int i = 0; i < KT_N_PHASES; i++) {
		if (outcome->phase_ns[i])
			(void)fprintf(out, ", %s %.3f s", kt_phase_name((enum kt_phase)i),
				      (double)outcome->phase_ns[i] / KT_NSEC_PER_SEC);
	}
	(void)fputc('"', out);
}

/* Places and widths are computed by the browser: how long the run was is known at its end only. */
void kt_timeline_add(struct kt_timeline *timeline, const struct kt_outcome *outcome)
{
	uint64_t begin_ms = since_ms(timeline, outcome->began_ns);
	uint64_t end_ms = since_ms(timeline, kt_now_ns());
	FILE *out = timeline->out;

	if (!outcome->began_ns)
		return;
	if (fflush(out) || timeline->bars_len > BARS_MAX) {
		timeline->n_left++;
		return;
	}
	timeline->n_slots = KT_MAX(timeline->n_slots, outcome->slot + 1);
	(void)fputs("<i data-name=\"", out);
	put_escaped(out, outcome->name);
	(void)fprintf(out,
		      "\" class=\"%s\" style=\"top:%upx;left:calc(%" PRIu64 "/var(--ms)*100%%);"
		      "width:calc(%" PRIu64 "/var(--ms)*100%%)\"",
		      kt_verdict_name(outcome->result.verdict), outcome->slot * ROW_PX, begin_ms,
		      end_ms - begin_ms);
	put_title(out, outcome);
	(void)fputc('>', out);
	put_escaped(out, outcome->name);
	(void)fputs("</i>\n", out);
}

void kt_timeline_put(const struct kt_timeline *timeline, FILE *out, uint64_t elapsed_ns)
{
	if (!timeline->n_slots || fflush(timeline->out))
		return;
	(void)fprintf(out,
		      "<details open><summary>time line, %.1f s</summary>\n<div class=\"line\" "
		      "style=\"--ms:%" PRIu64 ";height:%upx\">\n%s</div></details>\n",
		      (double)elapsed_ns / KT_NSEC_PER_SEC,
		      KT_MAX(elapsed_ns / KT_NSEC_PER_MSEC, 1u), timeline->n_slots * ROW_PX,
		      timeline->bars);
	if (timeline->n_left)
		(void)fprintf(out, "<p>%u more attempts had no room.</p>\n", timeline->n_left);
}
