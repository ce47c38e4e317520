/* SPDX-License-Identifier: MIT */
/*
 * Operations on the sched_ext scheduler. The set (guest/scheduler/set.h) knows which is attached.
 */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/scenario/state.h"

static int attach_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			    struct kt_err *reterr)
{
	return kt_scheduler_set_attach(&scenario->schedulers, op->scheduler, op->args, reterr);
}

static int detach_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			    struct kt_err *reterr)
{
	int r = kt_scheduler_set_detach(&scenario->schedulers, reterr);

	return r == -ESRCH && op->if_any ? 0 : r;
}

static int restart_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			     struct kt_err *reterr)
{
	(void)op;
	return kt_scheduler_set_restart(&scenario->schedulers, reterr);
}

static int replace_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			     struct kt_err *reterr)
{
	return kt_scheduler_set_replace(&scenario->schedulers, op->scheduler, op->args, reterr);
}

static int check_scheduler(const struct kt_op *op, const struct kt_topology *topology,
			   struct kt_err *reterr)
{
	(void)topology;
	return op->scheduler ? 0 : kt_err_set(reterr, -EINVAL, "it names no scheduler");
}

static int await_scheduler_exit(struct kt_scenario *scenario, const struct kt_op *op,
				struct kt_err *reterr)
{
	return kt_scheduler_set_await_end(&scenario->schedulers, op->timeout_ms, reterr);
}

static int check_timeout(const struct kt_op *op, const struct kt_topology *topology,
			 struct kt_err *reterr)
{
	(void)topology;
	return op->timeout_ms ? 0 : kt_err_set(reterr, -EINVAL, "it waits for 0 ms");
}

const struct kt_op_ops kt_scheduler_ops[KT_N_OP_KINDS] = {
	[KT_OP_ATTACH_SCHEDULER] = { "KT_ATTACH_SCHEDULER", KT_OP_NAMES_NONE,
				     .apply = attach_scheduler, .check = check_scheduler },
	[KT_OP_DETACH_SCHEDULER] = { "KT_DETACH_SCHEDULER", KT_OP_NAMES_NONE,
				     .apply = detach_scheduler },
	[KT_OP_RESTART_SCHEDULER] = { "KT_RESTART_SCHEDULER", KT_OP_NAMES_NONE,
				      .apply = restart_scheduler },
	[KT_OP_REPLACE_SCHEDULER] = { "KT_REPLACE_SCHEDULER", KT_OP_NAMES_NONE,
				      .apply = replace_scheduler, .check = check_scheduler },
	[KT_OP_AWAIT_SCHEDULER_EXIT] = { "KT_AWAIT_SCHEDULER_EXIT", KT_OP_NAMES_NONE,
					 .apply = await_scheduler_exit, .check = check_timeout },
};
