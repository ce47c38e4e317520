/* SPDX-License-Identifier: MIT */
#pragma once
/* The head of a run's record: the tests that there are, and those that the run takes. */

#include "framework/record/outstanding.h"
#include "framework/select/plan.h"
#include "framework/setup/setup.h"
#include "framework/shard/record.h"

struct kt_run_head {
	struct kt_shard_head shard;
	const char **names; /* all vectors of @shard; owned, the texts are borrowed */
};

/*
 * @again: what an earlier run has left, for --rerun, or NULL. @setup: NULL for an empty shard,
 * which has no machine. Returns 0 or -ENOMEM.
 */
int kt_run_head_init(struct kt_run_head *head, const struct kt_options *options,
		     const struct kt_selection *selection, const struct kt_plan *plan,
		     const struct kt_outstanding *again, const struct kt_setup *setup);
void kt_run_head_deinit(struct kt_run_head *head);

/* Whether the run is a shard whose record is wanted. */
bool kt_run_is_shard(const struct kt_options *options);
