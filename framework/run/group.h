/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A group: the tests that want equal machines on the same kernel, and the template that they
 * share.
 *
 * A group is looked for, and its template built, when the first of its tests is due. The runner
 * owns the groups; processes of attempts see their group as it was at their fork().
 */

#include "framework/outcome/outcome.h"
#include "framework/setup/setup.h"

enum kt_group_state {
	KT_GROUP_NEW,      /* the cache has not been searched for the template */
	KT_GROUP_MISSING,  /* the template has to be built */
	KT_GROUP_BUILDING, /* a job builds it */
	KT_GROUP_READY,    /* machines are restored from it */
	KT_GROUP_COLD,     /* there is no template: machines are booted */
	KT_GROUP_FAILED,   /* the guest does not get up: the tests of the group end as ERROR */
};

struct kt_group {
	struct kt_group *next;
	const struct kt_kernel *kernel;
	const struct kt_test *test; /* the first of the group; stands for all */
	enum kt_group_state state;
	struct kt_packages packages; /* of the image, that the template is to contain */
	char *machine;               /* the text that the template depends on */
	struct kt_template template; /* open in READY only */
	bool is_own;                 /* the template; see origin.h */
	struct kt_outcome *failure;  /* FAILED: of the build; NULL if memory was short; owned */
};

/*
 * Finds the group of @test on @kernel in the list *@groups, or appends a new one. Adds the
 * packages of @test to the group's, unless all together would fill the machine's RAM. A new group
 * is COLD if @setup has no template directory. NULL when out of memory.
 */
struct kt_group *kt_group_get(struct kt_group **groups, const struct kt_setup *setup,
			      const struct kt_kernel *kernel, const struct kt_test *test);
void kt_groups_free(struct kt_group *groups);

struct kt_template_id kt_group_template_id(const struct kt_group *group,
					   const struct kt_setup *setup);

/* The tests of the group end as ERROR, with the reason @why. */
void kt_group_fail(struct kt_group *group, const char *why);

/*
 * Searches the cache for the template of a group that is NEW or BUILDING. The group is READY or
 * MISSING then.
 *
 * A template whose files differ from those of the image is usable, because each attempt is sent
 * what differs, in some milliseconds. For many attempts or many bytes it is cheaper to renew the
 * template, and the group is MISSING. @n_attempts is the number of attempts to expect; 0 accepts
 * any template. Options can demand an own template, and the group is MISSING without one, or a
 * certain template, and the group is FAILED without it.
 *
 * @reterr is set when a template was found but could not be used; the group is MISSING then, or
 * READY with another one.
 */
void kt_group_look(struct kt_group *group, const struct kt_setup *setup, unsigned int n_attempts,
		   struct kt_err *reterr);
