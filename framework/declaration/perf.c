/* SPDX-License-Identifier: MIT */
#include "framework/declaration/perf.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "framework/declaration/registry.h"

/* What @payload declares of PAYLOAD.METRIC; NULL: nothing. */
static const struct kt_metric_def *find_of(const struct kt_payload *payload, const char *metric)
{
	size_t len = strlen(payload->name);

	if (strncmp(metric, payload->name, len) || metric[len] != '.')
		return NULL;
	for (const struct kt_metric_def *def = payload->metrics; def && !def->end; def++) {
		if (!strcmp(def->name, metric + len + 1))
			return def;
	}
	return NULL;
}

static const struct kt_metric_def *find_declared(const char *metric)
{
	const struct kt_metric_def *def = NULL;

	for (const struct kt_payload_node *at = kt_payload_registry(); at && !def; at = at->next)
		def = find_of(at->payload, metric);
	return def;
}

struct kt_gate kt_perf_gate(const struct kt_perf *perf)
{
	const struct kt_metric_def *declared = find_declared(perf->metric);
	struct kt_gate gate = kt_gate_find(NULL, 0, perf->metric);

	gate.metric = perf->metric;
	gate.better = perf->better ?: declared ? declared->better : gate.better;
	gate.absolute = perf->absolute > 0 ? perf->absolute : gate.absolute;
	gate.relative = perf->percent > 0 ? perf->percent / 100 : gate.relative;
	return gate;
}

static int check_amount(const char *metric, const char *member, double amount,
			struct kt_err *reterr)
{
	return isfinite(amount) && amount >= 0
		       ? 0
		       : kt_err_set(reterr, -EINVAL, "'%s': %s is %g, not a number from 0", metric,
				    member, amount);
}

int kt_perf_check(const struct kt_perf *perf, struct kt_err *reterr)
{
	struct kt_gate gate;

	if (!perf->metric || !*perf->metric)
		return kt_err_set(reterr, -EINVAL, "a gate names no .metric");
	if (!strcmp(perf->metric, KT_METRIC_FAILED) || !strcmp(perf->metric, KT_METRIC_MIPS))
		return kt_err_set(reterr, -EINVAL, "'%s': the test does not measure it",
				  perf->metric);
	if (check_amount(perf->metric, ".absolute", perf->absolute, reterr) < 0 ||
	    check_amount(perf->metric, ".percent", perf->percent, reterr) < 0)
		return -EINVAL;
	gate = kt_perf_gate(perf);
	if (gate.better != KT_LOWER && gate.better != KT_HIGHER)
		return kt_err_set(reterr, -EINVAL, "'%s': .better must be KT_LOWER or KT_HIGHER",
				  perf->metric);
	if (gate.better == KT_HIGHER && perf->percent > 100)
		return kt_err_set(reterr, -EINVAL, "'%s': .percent is %g; at most 100 can be lost",
				  perf->metric, perf->percent);
	return 0;
}
