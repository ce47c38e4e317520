/* SPDX-License-Identifier: MIT */
#include "framework/group.h"

#include <stdlib.h>
#include <string.h>

#include "guest/ctx.h"

#define RENEW_MIN 5u /* attempts for which a template with other files is made anew */

static bool is_for(const struct kt_group *group, const struct kt_test *test)
{
	struct kt_topology left = kt_test_topology(group->test), right = kt_test_topology(test);

	return !memcmp(&left, &right, sizeof(left)) &&
	       kt_setup_memory_mib(group->test) == kt_setup_memory_mib(test);
}

struct kt_group *kt_group_get(struct kt_group **groups, const struct kt_setup *setup,
			      const struct kt_test *test)
{
	struct kt_group *group;

	while (*groups && !is_for(*groups, test))
		groups = &(*groups)->next;
	if (*groups)
		return *groups;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->test = test;
	group->state = setup->template_dir ? KT_GROUP_NEW : KT_GROUP_COLD;
	group->template = KT_TEMPLATE_NULL;
	group->machine = kt_setup_machine_text(setup, test);
	if (!group->machine) {
		free(group);
		return NULL;
	}
	*groups = group;
	return group;
}

void kt_groups_free(struct kt_group *groups)
{
	while (groups) {
		struct kt_group *next = groups->next;

		kt_template_deinit(&groups->template);
		if (groups->failure)
			kt_outcome_deinit(groups->failure);
		free(groups->failure);
		free(groups->machine);
		free(groups);
		groups = next;
	}
}

struct kt_template_id kt_group_template_id(const struct kt_group *group,
					   const struct kt_setup *setup)
{
	return (struct kt_template_id){
		.dir = setup->template_dir,
		.machine = group->machine,
		.program = kt_image_program(setup->image),
	};
}

void kt_group_look(struct kt_group *group, const struct kt_setup *setup, unsigned int n_attempts,
		   struct kt_err *reterr)
{
	struct kt_template_id id = kt_group_template_id(group, setup);

	group->state = KT_GROUP_MISSING;
	if (kt_template_find(&id, &group->template, reterr) <= 0 &&
	    kt_template_find_sibling(&id, &group->template, reterr) <= 0)
		return;
	if (n_attempts < RENEW_MIN || !kt_image_differs(setup->image, group->template.files))
		group->state = KT_GROUP_READY;
	else
		kt_template_deinit(&group->template);
}
