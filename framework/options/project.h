/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The project file, ktests.json: options that a team shares, by profile, and what differs for some
 * tests. docs/running.md describes it for people.
 */

#include <stddef.h>

#include "framework/options/override.h"
#include "util/err.h"

#define KT_PROJECT_NAME         "ktests.json"
#define KT_PROJECT_MAX          (1 << 20) /* bytes of the file */
#define KT_PROJECT_SETTINGS_MAX 1024      /* of all options together */
#define KT_PROJECT_RULES_MAX    1024

/* One option of the file, as if it were on the command line. */
struct kt_setting {
	const char *name; /* long, without dashes; any text: the reader knows which there are */
	const char *text; /* NULL: "true", of an option without a value */
};

struct kt_project {
	char *path;                  /* for messages; owned, as is everything else */
	struct kt_setting *settings; /* of the profile, then those of the file it does not name */
	size_t n_settings;
	struct kt_override_rule *rules; /* of the profile, then those of the file */
	size_t n_rules;
	void *json; /* json_t, which the texts point into */
};

/*
 * The path of the project file, to be freed: in the current directory, or the nearest one above it
 * up to the root of its repository (where .git is). NULL: there is none. 0 or -ENOMEM.
 */
int kt_project_find(char **ret_path, struct kt_err *reterr);

/*
 * Reads the file @path. @profile: the one to use; NULL: none. Returns 0; -EINVAL for a file that is
 * not well-formed or has no such profile; another negative errno if it cannot be read.
 */
int kt_project_load(const char *path, const char *profile, struct kt_project **ret_project,
		    struct kt_err *reterr);

/* The same of @text, with @len bytes; @path is what messages and relative paths are based on. */
int kt_project_parse(const char *text, size_t len, const char *path, const char *profile,
		     struct kt_project **ret_project, struct kt_err *reterr);

/* NULL is allowed. Returns NULL. */
struct kt_project *kt_project_free(struct kt_project *project);
