/* SPDX-License-Identifier: MIT */
#pragma once
/* Tests whose machines are equal, and the template that they share. */

#include "framework/outcome/outcome.h"
#include "framework/setup/setup.h"

enum kt_group_state {
	KT_GROUP_NEW,      /* nobody has looked for the template yet */
	KT_GROUP_MISSING,  /* it has to be made */
	KT_GROUP_BUILDING, /* that is going on */
	KT_GROUP_READY,    /* machines can be restored */
	KT_GROUP_COLD,     /* machines are booted */
	KT_GROUP_FAILED,   /* the guest does not get up: its tests cannot run */
};

struct kt_group {
	struct kt_group *next;
	const struct kt_kernel *kernel;
	const struct kt_test *test; /* the first */
	enum kt_group_state state;
	uint64_t packages; /* what the files of its tests are in the image */
	char *machine;     /* the text that the template depends on */
	struct kt_template template;
	struct kt_outcome *failure; /* FAILED: what became of the making of the template; owned */
};

/*
 * The group of @test on @kernel in the list *@groups, made if need be, in the order of making; its packages
 * include those of @test from then on. With no template directory in @setup it is COLD. NULL when out of memory.
 */
struct kt_group *kt_group_get(struct kt_group **groups, const struct kt_setup *setup,
			      const struct kt_kernel *kernel, const struct kt_test *test);
void kt_groups_free(struct kt_group *groups);

struct kt_template_id kt_group_template_id(const struct kt_group *group,
					   const struct kt_setup *setup);

/*
 * Looks for the template of a group that is NEW or BUILDING, and sets the state. One with other files
 * in it serves @n_attempts if they are few: each is sent the files, which takes some milliseconds; for
 * many, or many bytes, it pays to make it anew. With 0, what is there has to do. @reterr tells about a template that could not be used.
 */
void kt_group_look(struct kt_group *group, const struct kt_setup *setup, unsigned int n_attempts,
		   struct kt_err *reterr);
