/* SPDX-License-Identifier: MIT */
#include "framework/cli/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/cli/reporters.h"
#include "framework/cli/retelling.h"
#include "util/cleanup.h"

static void say_proof(const struct kt_retelling *telling)
{
	const struct kt_merge *merge = &telling->merge;
	const struct kt_shard_head *head = &merge->shards[0].record.head;

	if (!*head->run && merge->n > 1)
		(void)fprintf(stderr, "warning: the shards name no run (KTESTS_RUN_ID), so that it "
				      "cannot be proved that they are of one\n");
	(void)fprintf(kt_reporters_text_stream(telling->options),
		      "%zu shards%s%s: %zu tests, each in one shard and with a result\n", merge->n,
		      *head->run ? " of run " : "", head->run, head->n_all);
}

static int prove(struct kt_retelling *telling)
{
	const struct kt_options *options = telling->options;
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->tests.n; i++)
		r = kt_merge_read(&telling->merge, options->tests.at[i]);
	kt_merge_sort(&telling->merge);
	/* A record that cannot be read is told; that its shard is lost follows from it. */
	r = r ?: kt_merge_prove(&telling->merge);
	if (r == 0 && !telling->merge.n_faults)
		r = kt_retelling_check(telling);
	return r;
}

static int merge(struct kt_retelling *telling, const char *program)
{
	struct kt_err err = KT_ERR_NULL;
	int r = prove(telling);

	if (r < 0 || telling->merge.n_faults) {
		(void)fprintf(stderr, "merge: %s; nothing was written\n",
			      r < 0 ? strerror(-r)
				    : "the shards are not proved to be one whole run");
		return KT_EXIT_STATUS_HARNESS;
	}
	kt_retelling_describe(telling, program);
	say_proof(telling);
	r = kt_retelling_report(telling, &err);
	if (r < 0 && *err.text)
		(void)fprintf(stderr, "merge: %s\n", err.text);
	return kt_reporters_exit_status(telling->options, &telling->counts, 0, r < 0);
}

int kt_merge_command(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(kt_retelling_deinit)
	struct kt_retelling telling = { .merge = { .command = "merge", .out = stderr },
					.options = options };

	return merge(&telling, program);
}
