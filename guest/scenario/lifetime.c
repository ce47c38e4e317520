/* SPDX-License-Identifier: MIT */
/*
 * Reads the steps of a test as data; nothing runs here. A step names a cgroup in its setup or in an
 * operation. A step with .setup_fn names what the function returns, which is not known before the
 * step: such a name does not keep a cgroup alive.
 */

#include "guest/scenario/lifetime.h"

#include <string.h>

/* "a/b" is within "a" and within "a/b", and "ab" is not within "a". */
static bool is_within(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	return !strncmp(inner, outer, len) && (!inner[len] || inner[len] == '/');
}

/*
 * Whether a mention of @cgroup keeps the cgroup @name alive. A cgroup needs those above it, and an
 * operation on it affects those below it.
 */
static bool names(const char *cgroup, const char *name)
{
	return cgroup && (is_within(cgroup, name) || is_within(name, cgroup));
}

/* KT_ADD_CGROUP_DEF() too has the name in .cgroup. */
static bool creates(const struct kt_op *op)
{
	return op->kind == KT_OP_ADD_CGROUP || op->kind == KT_OP_ADD_CGROUP_DEF;
}

static bool names_worker(const struct kt_op *op, const char *name)
{
	for (const struct kt_kernel_pair *pair = op->kernel; pair && !pair->end; pair++) {
		if (pair->target.kind == KT_KERNEL_TARGET_WORKER_FIELD &&
		    names(pair->target.name, name))
			return true;
	}
	return false;
}

enum mention {
	NOT_NAMED,
	NAMED,
	CREATED_ANEW, /* the first mention in the step creates another cgroup of that name */
};

static enum mention find_mention(const struct kt_step *step, const char *name)
{
	for (const struct kt_cgroup_def *def = step->setup; def && !def->end; def++) {
		if (names(def->name, name))
			return strcmp(def->name, name) ? NAMED : CREATED_ANEW;
	}
	for (const struct kt_op *op = step->ops; op && !op->end; op++) {
		if (names(op->cgroup, name))
			return creates(op) && !strcmp(op->cgroup, name) ? CREATED_ANEW : NAMED;
		if (names(op->to, name) || names_worker(op, name))
			return NAMED;
	}
	return NOT_NAMED;
}

unsigned int kt_lifetime_end(const struct kt_step *steps, unsigned int now, const char *name)
{
	unsigned int last = now;

	for (unsigned int i = now + 1; !steps[i].end; i++) {
		enum mention mention = find_mention(&steps[i], name);

		if (mention == CREATED_ANEW)
			break;
		if (mention == NAMED)
			last = i;
	}
	return last;
}
