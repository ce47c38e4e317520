/* SPDX-License-Identifier: MIT */
#include "framework/run/baseline.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "framework/declaration/perf.h"
#include "framework/metric/judge.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * The attempt's numbers are those that "ktests compare" would read of its file, and a difference is
 * judged as there. But the attempt is one run, of which repeats say nothing yet: a value that the
 * baseline itself has had is not worse.
 */

int kt_baseline_read(struct kt_baseline *baseline, const char *path, struct kt_err *reterr)
{
	int r = kt_samples_read(&baseline->samples, path, NULL, reterr);

	kt_samples_sort(&baseline->samples);
	baseline->path = path;
	return r < 0 ? kt_err_prefix(reterr, r, "--baseline") : 0;
}

void kt_baseline_deinit(struct kt_baseline *baseline)
{
	kt_samples_deinit(&baseline->samples);
	*baseline = KT_BASELINE_NULL;
}

/* The two sides of a metric. */
struct sides {
	const struct kt_baseline *baseline;
	const struct kt_samples *now;
	struct kt_outcome *outcome;
};

/* The baseline names the test with its kernel if it is of several kernels, else without. */
static struct kt_series before(const struct sides *sides, const char *metric)
{
	const struct kt_samples *samples = &sides->baseline->samples;
	struct kt_series series = kt_samples_series(samples, sides->outcome->name, metric);

	return series.n ? series : kt_samples_series(samples, sides->outcome->test->name, metric);
}

static int cannot_judge(const struct sides *sides, const char *what, const char *why)
{
	KT_FREE char *text = kt_format("%s cannot be compared with the baseline '%s': %s", what,
				       sides->baseline->path, why);

	if (!text)
		return -ENOMEM;
	kt_result_merge(&sides->outcome->result, KT_VERDICT_INCONCLUSIVE, text);
	return 0;
}

static int is_absent(const struct sides *sides, const char *metric, const char *why)
{
	KT_FREE char *what = kt_format("'%s'", metric);

	return what ? cannot_judge(sides, what, why) : -ENOMEM;
}

/* A value passes if it differs by less than the gate says, or is in the range of the baseline. */
static char *expected_text(const struct kt_gate *gate, const struct kt_series *a)
{
	static const char *const words[2][2] = { { "less than", "more than" },
						 { "at most", "at least" } };
	bool higher = gate->better == KT_HIGHER;
	double room = fmax(gate->absolute, gate->relative * fabs(a->mean));
	double bound = higher ? a->mean - room : a->mean + room;
	double worst = higher ? a->min : a->max;
	bool is_worst = higher ? worst <= bound : worst >= bound;

	return kt_format("%s %.6g; the baseline is %.6g, the mean of %zu run%s; changes count "
			 "from %.6g on",
			 words[is_worst][higher], is_worst ? worst : bound, a->mean, a->n,
			 a->n == 1 ? "" : "s", room);
}

static char *got_text(const struct kt_series *a, double value)
{
	return a->mean != 0
		       ? kt_format("%.6g, which is %.3g times the baseline", value, value / a->mean)
		       : kt_format("%.6g", value);
}

static int fail(const struct sides *sides, const struct kt_gate *gate, const struct kt_series *a,
		double value)
{
	const struct kt_test *test = sides->outcome->test;
	KT_FREE char *what = kt_format("'%s' is worse than in the baseline '%s'", gate->metric,
				       sides->baseline->path);
	KT_FREE char *expected = expected_text(gate, a), *got = got_text(a, value);
	struct kt_failure failure = {
		.file = (char *)test->file,
		.line = test->line,
		.what = what,
		.expected = expected,
		.got = got,
		.step = -1,
		.elapsed_ns = sides->outcome->result.duration_ns,
	};

	if (!what || !expected || !got)
		return -ENOMEM;
	return kt_result_add_failure(&sides->outcome->result, &failure) == -ENOMEM ? -ENOMEM : 0;
}

static int judge(const struct sides *sides, const struct kt_perf *perf)
{
	struct kt_gate gate = kt_perf_gate(perf);
	struct kt_series a = before(sides, gate.metric);
	struct kt_series b = kt_samples_series(sides->now, sides->outcome->name, gate.metric);

	if (!b.n)
		return is_absent(sides, gate.metric, "this run has not measured it");
	if (!a.n)
		return is_absent(sides, gate.metric, "there it is not measured of this test");
	if (kt_judge(&gate, &a, &b) != KT_CHANGE_WORSE || (b.mean >= a.min && b.mean <= a.max))
		return 0;
	return fail(sides, &gate, &a, b.mean);
}

/* Seconds of another time, or of processors of another speed, are not the same seconds. */
static int judge_time(const struct sides *sides, bool *ret_fits)
{
	struct kt_series a = before(sides, KT_METRIC_MIPS);
	unsigned int mips = sides->outcome->mips;
	KT_FREE char *why = NULL;

	*ret_fits = !a.n || (a.min == mips && a.max == mips);
	if (*ret_fits)
		return 0;
	why = kt_format("it was measured at %.6g MIPS, and this run at %u (0: in real time)",
			a.min == mips ? a.max : a.min, mips);
	return why ? cannot_judge(sides, "the run", why) : -ENOMEM;
}

static int judge_all(const struct sides *sides)
{
	bool fits;
	int r = judge_time(sides, &fits);

	for (const struct kt_perf *perf = sides->outcome->test->perf; fits && !perf->end; perf++)
		r = r ?: judge(sides, perf);
	return r;
}

int kt_baseline_judge(const struct kt_baseline *baseline, struct kt_outcome *outcome)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples now = KT_SAMPLES_NULL;
	const struct sides sides = { baseline, &now, outcome };
	int r;

	if (!baseline->path || !outcome->test->perf || outcome->result.verdict != KT_VERDICT_PASS)
		return 0;
	r = kt_samples_add_result(&now, outcome->name, &outcome->result, NULL);
	kt_samples_sort(&now);
	return r < 0 ? r : judge_all(&sides);
}
