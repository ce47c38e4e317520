/* SPDX-License-Identifier: MIT */
#include "framework/select/override.h"

#include <errno.h>
#include <stdlib.h>

#include "framework/select/filter.h"
#include "util/cleanup.h"

/* Fills in what @to does not have yet. */
static void merge(struct kt_override *to, const struct kt_override *from)
{
	if (!to->timeout_ns)
		to->timeout_ns = from->timeout_ns;
	if (!to->slots)
		to->slots = from->slots;
	if (!to->has_retries && from->has_retries) {
		to->has_retries = true;
		to->retries = from->retries;
	}
}

/* The limits of a test are the same on all kernels of a run. */
static int refuse_kernels(const struct kt_override_rule *rule, struct kt_err *reterr)
{
	return kt_err_set(reterr, -EINVAL,
			  "override '%.200s': an override cannot depend on kernel()", rule->filter);
}

static int apply_rule(struct kt_overrides *overrides, const struct kt_override_rule *rule,
		      struct kt_err *reterr)
{
	struct kt_filter *filter = NULL;
	int r = kt_filter_parse(rule->filter, &filter, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "override '%.200s'", rule->filter);
	for (size_t i = 0; r == 0 && i < overrides->n; i++) {
		enum kt_answer answer = kt_filter_ask(filter, overrides->at[i].test, NULL);

		if (answer == KT_ANSWER_YES)
			merge(&overrides->at[i].override, &rule->override);
		else if (answer == KT_ANSWER_MAYBE)
			r = refuse_kernels(rule, reterr);
	}
	kt_filter_free(filter);
	return r;
}

static int compare(const void *a, const void *b)
{
	uintptr_t first = (uintptr_t)((const struct kt_test_override *)a)->test;
	uintptr_t second = (uintptr_t)((const struct kt_test_override *)b)->test;

	return (first > second) - (first < second);
}

static void obey_command_line(struct kt_overrides *overrides, const struct kt_options *options)
{
	for (size_t i = 0; i < overrides->n; i++) {
		struct kt_override *override = &overrides->at[i].override;

		if (options->timeout_given)
			override->timeout_ns = 0;
		if (options->retries_given)
			override->has_retries = false;
	}
}

int kt_overrides_init(struct kt_overrides *overrides, const struct kt_options *options,
		      const struct kt_test *const *tests, size_t n, struct kt_err *reterr)
{
	KT_CLEANUP(kt_overrides_deinit) struct kt_overrides made = { .n = 0 };
	const struct kt_project *project = options->project;
	int r = 0;

	made.at = calloc(n + 1, sizeof(*made.at));
	if (!made.at)
		return kt_err_oom(reterr);
	for (; made.n < n; made.n++)
		made.at[made.n].test = tests[made.n];
	qsort(made.at, made.n, sizeof(*made.at), compare);
	for (size_t i = 0; r == 0 && project && i < project->n_rules; i++)
		r = apply_rule(&made, &project->rules[i], reterr);
	if (r < 0)
		return r == -ENOMEM || !project ? r : kt_err_prefix(reterr, r, "%s", project->path);
	obey_command_line(&made, options);
	*overrides = made;
	made = (struct kt_overrides){ .n = 0 };
	return 0;
}

void kt_overrides_deinit(struct kt_overrides *overrides)
{
	free(overrides->at);
	*overrides = (struct kt_overrides){ .n = 0 };
}
