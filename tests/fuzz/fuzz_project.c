/* SPDX-License-Identifier: MIT */
/* The project file, ktests.json. */
#include <string.h>

#include "framework/options/project.h"
#include "tests/fuzz/fuzz.h"

static void check_project(const struct kt_project *project)
{
	KT_FUZZ_ASSERT(project->n_settings <= KT_PROJECT_SETTINGS_MAX);
	KT_FUZZ_ASSERT(project->n_rules <= KT_PROJECT_RULES_MAX);
	for (size_t i = 0; i < project->n_settings; i++)
		KT_FUZZ_ASSERT(project->settings[i].name[0]);
	for (size_t i = 0; i < project->n_rules; i++) {
		const struct kt_override *override = &project->rules[i].override;

		KT_FUZZ_ASSERT(project->rules[i].filter);
		KT_FUZZ_ASSERT(override->retries <= 1000 && override->slots <= 4096);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const profiles[] = { NULL, "ci" };

	for (size_t i = 0; i < 2; i++) {
		struct kt_project *project = NULL;
		struct kt_err err;

		err.text[0] = '\0';
		if (kt_project_parse((const char *)data, size, "/a/ktests.json", profiles[i],
				     &project, &err) < 0)
			KT_FUZZ_ASSERT(!project && err.text[0]);
		else
			check_project(project);
		kt_project_free(project);
	}
	return 0;
}
