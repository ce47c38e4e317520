/* SPDX-License-Identifier: MIT */
#include "framework/cli/head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/declaration/registry.h"
#include "util/build_id.h"
#include "util/names.h"

/* Room for all vectors of a head. */
static size_t count_names(const struct kt_selection *selection, const struct kt_plan *plan,
			  const struct kt_outstanding *again, size_t n_labels)
{
	size_t n = selection->n + plan->n + n_labels + (again ? again->n : 0);

	for (const struct kt_test_node *at = kt_registry(); at; at = at->next)
		n++;
	return n;
}

static bool selection_has(const struct kt_selection *selection, const char *name)
{
	for (size_t i = 0; i < selection->n; i++) {
		if (!strcmp(selection->tests[i]->name, name))
			return true;
	}
	return false;
}

/*
 * Adds the outstanding tests that this run does not select. Other shards have their own, and a test
 * that the program no longer has is dropped.
 */
static size_t add_outstanding(const char **names, const struct kt_selection *selection,
			      const struct kt_outstanding *again)
{
	size_t n = 0;

	for (const struct kt_test_node *at = kt_registry(); again && at; at = at->next) {
		if (kt_names_has(again->tests, again->n, at->test->name) &&
		    !selection_has(selection, at->test->name))
			names[n++] = at->test->name;
	}
	return n;
}

/* Leaves out the tests that are new to a rerun and that it does not select: they stay new. */
static size_t add_known(const char **names, const struct kt_selection *selection,
			const struct kt_outstanding *again)
{
	size_t n = 0;

	for (const struct kt_test_node *at = kt_registry(); at; at = at->next) {
		const char *name = at->test->name;

		if (!again || !again->n_known || kt_names_has(again->known, again->n_known, name) ||
		    selection_has(selection, name))
			names[n++] = name;
	}
	return n;
}

static size_t add_names(const char **names, const struct kt_test *const *tests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		names[i] = tests[i]->name;
	return n;
}

static void add_lists(struct kt_shard_head *head, const char **at,
		      const struct kt_selection *selection, const struct kt_plan *plan,
		      const struct kt_outstanding *again, const struct kt_setup *setup)
{
	head->all = at;
	at += head->n_all = add_names(at, selection->tests, selection->n);
	head->selected = at;
	at += head->n_selected = add_names(at, plan->tests, plan->n);
	head->labels = at;
	for (size_t i = 0; i < head->n_labels; i++)
		*at++ = setup->kernels[i].label;
	head->outstanding = at;
	at += head->n_outstanding = add_outstanding(at, selection, again);
	head->known = at;
	head->n_known = add_known(at, selection, again);
}

int kt_run_head_init(struct kt_run_head *head, const struct kt_options *options,
		     const struct kt_selection *selection, const struct kt_plan *plan,
		     const struct kt_outstanding *again, const struct kt_setup *setup)
{
	size_t n_labels = setup && setup->n_kernels > 1 ? setup->n_kernels : 0;

	head->shard = (struct kt_shard_head){
		.run = kt_shard_run(),
		.program = kt_build_id(),
		.index = options->shard.index,
		.total = options->shard.total,
		.partition = kt_partition_name(options->shard.partition),
		.timings = plan->timings,
		.n_labels = n_labels,
		.rounds = options->stress_count,
		.host = "",
		.kernel = "",
		.accel = "",
		.time = "",
		.retries = options->retries,
		.seed = options->seed,
		.complete = true,
	};
	head->names =
		calloc(count_names(selection, plan, again, n_labels) + 1, sizeof(*head->names));
	if (!head->names)
		return -ENOMEM;
	add_lists(&head->shard, head->names, selection, plan, again, setup);
	return 0;
}

void kt_run_head_deinit(struct kt_run_head *head)
{
	free(head->names);
	head->names = NULL;
}

bool kt_run_is_shard(const struct kt_options *options)
{
	return options->output_dir && (options->shard_given || options->shard.total > 1);
}
