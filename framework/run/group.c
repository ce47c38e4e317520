/* SPDX-License-Identifier: MIT */
#include "framework/run/group.h"

#include <stdlib.h>

#include "guest/test/test.h"

/* When a template whose files differ is renewed: so many attempts, or bytes to send to each. */
#define RENEW_MIN   5u
#define RENEW_BYTES (8u << 20)

static bool is_for(const struct kt_group *group, const struct kt_kernel *kernel,
		   const struct kt_test *test)
{
	return group->kernel == kernel && kt_test_same_machine(group->test, test);
}

/*
 * The template has the packages of all tests of the group, as far as the machine's RAM can hold
 * them. A test whose packages do not fit is sent them in each attempt.
 */
static void add_packages(struct kt_group *group, const struct kt_setup *setup,
			 const struct kt_test *test)
{
	struct kt_packages packages = kt_cargo_packages(&setup->cargo, test);

	kt_packages_add_all(&packages, &group->packages);
	if (!kt_packages_equal(&packages, &group->packages) &&
	    kt_image_bytes(setup->image, packages, NULL) <= kt_test_files_max(test))
		group->packages = packages;
}

struct kt_group *kt_group_get(struct kt_group **groups, const struct kt_setup *setup,
			      const struct kt_kernel *kernel, const struct kt_test *test)
{
	struct kt_group *group;

	while (*groups && !is_for(*groups, kernel, test))
		groups = &(*groups)->next;
	if (*groups) {
		add_packages(*groups, setup, test);
		return *groups;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->kernel = kernel;
	group->test = test;
	add_packages(group, setup, test);
	group->state = setup->template_dir ? KT_GROUP_NEW : KT_GROUP_COLD;
	group->template = KT_TEMPLATE_NULL;
	group->machine = kt_setup_machine_text(setup, kernel, test);
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

/*
 * For many attempts, a template is renewed if any file differs. For few attempts, it is renewed
 * only if many bytes differ: then payloads are missing, which change less often than the program.
 */
static bool is_worth_renewing(const struct kt_group *group, const struct kt_setup *setup,
			      unsigned int n_attempts)
{
	const json_t *files = group->template.files;

	if (n_attempts >= RENEW_MIN)
		return kt_image_differs(setup->image, group->packages, files);
	return kt_image_bytes(setup->image, group->packages, files) > RENEW_BYTES;
}

void kt_group_look(struct kt_group *group, const struct kt_setup *setup, unsigned int n_attempts,
		   struct kt_err *reterr)
{
	struct kt_template_id id = kt_group_template_id(group, setup);

	group->state = KT_GROUP_MISSING;
	if (kt_template_find(&id, &group->template, reterr) <= 0 &&
	    kt_template_find_sibling(&id, &group->template, reterr) <= 0)
		return;
	if (!n_attempts || !is_worth_renewing(group, setup, n_attempts))
		group->state = KT_GROUP_READY;
	else
		kt_template_deinit(&group->template);
}
