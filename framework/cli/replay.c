/* SPDX-License-Identifier: MIT */
#include "framework/cli/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "framework/cli/reporters.h"
#include "framework/cli/retelling.h"
#include "framework/record/outstanding.h"
#include "util/cleanup.h"

/* Moves the record to what is told. */
static int take(struct kt_retelling *telling, struct kt_outstanding *read)
{
	struct kt_merge_shard *shard = calloc(1, sizeof(*shard));

	if (!shard)
		return -ENOMEM;
	shard->dir = kt_steal(read->dir);
	shard->path = kt_steal(read->path);
	shard->record = read->record;
	read->record = KT_SHARD_RECORD_NULL;
	telling->merge.shards = shard;
	telling->merge.n = 1;
	return 0;
}

static void say_what_lacks(struct kt_retelling *telling, size_t n_not_run)
{
	const struct kt_shard_record *record = &telling->merge.shards[0].record;

	telling->counts.n_not_run = (unsigned int)n_not_run;
	telling->counts.interrupted = !record->head.complete;
	if (!record->head.complete)
		(void)fprintf(stderr, "warning: the run ended early; %zu tests did not run\n",
			      n_not_run);
	if (record->head.n_left_out)
		(void)fprintf(stderr, "warning: the record has no room for %" PRIu64 " results\n",
			      record->head.n_left_out);
}

static int replay(struct kt_retelling *telling, const char *program, const char *which)
{
	KT_CLEANUP(kt_outstanding_deinit) struct kt_outstanding read = KT_OUTSTANDING_NULL;
	struct kt_err err = KT_ERR_NULL;
	int r = kt_outstanding_read(&read, which, &err);

	if (r < 0) {
		(void)fprintf(stderr, "replay: %s\n", err.text);
		return r == -ENOMEM ? KT_EXIT_STATUS_HARNESS : KT_EXIT_STATUS_USAGE;
	}
	if (take(telling, &read) < 0 || kt_retelling_check(telling) < 0 ||
	    telling->merge.n_faults) {
		(void)fprintf(stderr, "replay: the record is not whole; nothing was written\n");
		return KT_EXIT_STATUS_HARNESS;
	}
	kt_retelling_describe(telling, program);
	say_what_lacks(telling, read.n_not_run);
	r = kt_retelling_report(telling, &err);
	if (r < 0 && *err.text)
		(void)fprintf(stderr, "replay: %s\n", err.text);
	if (r == 0 && telling->merge.shards[0].record.head.status >= 0)
		return telling->merge.shards[0].record.head.status;
	return kt_reporters_exit_status(telling->options, &telling->counts, 0, r < 0);
}

int kt_replay_command(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(kt_retelling_deinit)
	struct kt_retelling telling = { .merge = { .command = "replay", .out = stderr },
					.options = options };

	return replay(&telling, program, options->tests.n ? options->tests.at[0] : "latest");
}
