/* SPDX-License-Identifier: MIT */
#include "framework/run/origin.h"

#include "framework/setup/time.h"
#include "wire/json.h"

bool kt_origin_must_be_own(const struct kt_setup *setup, const struct kt_test *test)
{
	const struct kt_options *options = setup->options;

	if (options->template_choice != KT_TEMPLATE_CHOICE_AUTO)
		return options->template_choice == KT_TEMPLATE_CHOICE_OWN;
	return (options->seed_given || options->explore) && kt_setup_is_repeatable(setup, test);
}

bool kt_origin_is_own(const struct kt_setup *setup, struct kt_packages packages,
		      const struct kt_template *template)
{
	KT_JSON json_t *own = kt_image_manifest(setup->image, packages, NULL);

	return own && !template->is_renewed && json_equal(own, template->files);
}
