/* SPDX-License-Identifier: MIT */
#include "framework/run/group.h"

#include <inttypes.h>
#include <stdlib.h>

#include "framework/run/origin.h"
#include "framework/setup/time.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * The tests of a group have equal machines, and so one template. It is looked for when the first
 * test of the group is due: one of the same program and files, one that can be brought up to date,
 * or, where the seed decides all, only one that a boot of this program has made (origin.h).
 */

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
 * them. A test whose packages do not fit is sent them in each attempt. So is a test that is
 * repeatable: its run must not depend on which other tests were selected.
 */
static void add_packages(struct kt_group *group, const struct kt_setup *setup,
			 const struct kt_test *test)
{
	struct kt_packages packages = kt_cargo_packages(&setup->cargo, test);

	kt_packages_add_all(&packages, &group->packages);
	if (!kt_setup_is_repeatable(setup, test) &&
	    !kt_packages_equal(&packages, &group->packages) &&
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

void kt_group_fail(struct kt_group *group, const char *why)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	kt_result_merge(&outcome.result, KT_VERDICT_ERROR, why);
	group->state = KT_GROUP_FAILED;
	group->failure = kt_outcome_take(&outcome);
}

/* The template that was named, and no other. */
static void look_for_ram(struct kt_group *group, const struct kt_setup *setup)
{
	const struct kt_template_id id = kt_group_template_id(group, setup);
	const uint64_t ram = setup->options->template_ram;
	KT_FREE char *why = NULL;

	if (kt_template_find_ram(&id, ram, &group->template, NULL) > 0) {
		group->state = KT_GROUP_READY;
		return;
	}
	why = kt_format("the cache has no template %016" PRIx64 " for the test's machine: it was "
			"made again or removed; without --template the test runs from a new one",
			ram);
	kt_group_fail(group, why ?: "out of memory");
}

void kt_group_look(struct kt_group *group, const struct kt_setup *setup, unsigned int n_attempts,
		   struct kt_err *reterr)
{
	const struct kt_template_id id = kt_group_template_id(group, setup);
	bool must_be_own = kt_origin_must_be_own(setup, group->test);

	if (setup->options->template_choice == KT_TEMPLATE_CHOICE_RAM)
		return look_for_ram(group, setup);
	group->state = KT_GROUP_MISSING;
	if (kt_template_find(&id, &group->template, reterr) <= 0 &&
	    (must_be_own || kt_template_find_sibling(&id, &group->template, reterr) <= 0))
		return;
	group->is_own = kt_origin_is_own(setup, group->packages, &group->template);
	if (group->is_own ||
	    (!must_be_own && (!n_attempts || !is_worth_renewing(group, setup, n_attempts))))
		group->state = KT_GROUP_READY;
	else
		kt_template_deinit(&group->template);
}
