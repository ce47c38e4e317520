/* SPDX-License-Identifier: MIT */
#include "framework/setup/uses.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A test names the same declaration in several places: in its lists, and in the steps that start
 * and stop it. The address of the declaration is its identity.
 */
static int add(struct kt_uses *uses, const struct kt_use *use)
{
	struct kt_use *grown;

	for (size_t i = 0; i < uses->n; i++) {
		if (uses->at[i].declaration == use->declaration)
			return 0;
	}
	grown = reallocarray(uses->at, uses->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	uses->at = grown;
	grown[uses->n++] = *use;
	return 0;
}

static int add_payload(struct kt_uses *uses, const struct kt_payload *payload)
{
	const struct kt_use use = {
		.kind = KT_USE_PAYLOAD,
		.declaration = payload,
		.name = payload ? payload->name : NULL,
		.path = payload ? payload->binary : NULL,
		.package = payload ? payload->package : NULL,
		.files = payload ? payload->files : NULL,
	};

	return payload ? add(uses, &use) : 0;
}

static int add_scheduler(struct kt_uses *uses, const struct kt_scheduler *scheduler)
{
	struct kt_use use = { .declaration = scheduler };

	if (!scheduler)
		return 0;
	use.kind = scheduler->object ? KT_USE_OBJECT : KT_USE_SCHEDULER;
	use.name = scheduler->name;
	use.path = scheduler->object ?: scheduler->binary;
	use.package = scheduler->package;
	use.files = scheduler->files;
	return add(uses, &use);
}

static int add_lists(struct kt_uses *uses, const struct kt_cgroup_def *setup,
		     const struct kt_op *ops)
{
	int r = 0;

	for (const struct kt_cgroup_def *def = setup; r == 0 && def && !def->end; def++)
		r = add_payload(uses, def->payload);
	for (const struct kt_op *op = ops; r == 0 && op && !op->end; op++)
		r = add_payload(uses, op->payload) ?: add_scheduler(uses, op->scheduler)
			?: add_payload(uses, op->def ? op->def->payload : NULL);
	return r;
}

/* The order decides which missing file a SKIP names: the first one. */
static int add_all(struct kt_uses *uses, const struct kt_test *test)
{
	int r = 0;

	for (const struct kt_payload *const *at = test->payloads; r == 0 && at && *at; at++)
		r = add_payload(uses, *at);
	r = r ?: add_scheduler(uses, test->scheduler);
	for (const struct kt_scheduler *const *at = test->schedulers; r == 0 && at && *at; at++)
		r = add_scheduler(uses, *at);
	r = r ?: add_lists(uses, test->backdrop.setup, test->backdrop.ops);
	for (const struct kt_step *step = test->steps; r == 0 && step && !step->end; step++)
		r = add_lists(uses, step->setup, step->ops);
	return r;
}

int kt_uses_init(struct kt_uses *uses, const struct kt_test *test)
{
	int r;

	*uses = (struct kt_uses){ .n = 0 };
	r = add_all(uses, test);
	if (r < 0)
		kt_uses_deinit(uses);
	return r;
}

void kt_uses_deinit(struct kt_uses *uses)
{
	free(uses->at);
	*uses = (struct kt_uses){ .n = 0 };
}
