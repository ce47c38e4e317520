/* SPDX-License-Identifier: MIT */
#include "framework/options/project.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/options/value.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/nearest.h"
#include "wire/json.h"

/*
 * The file becomes a list of settings, which options.c applies as it applies
 * the command line: a value is checked in one place, and every option can be in
 * the file. Settings are texts; numbers become texts here. All texts are kept
 * alive by the JSON: those that are made here are added to an array in it.
 *
 * A profile replaces the options of the file that it names. Its overrides come
 * before those of the file, because the first one that chooses a test wins.
 */

#define TEXTS "" /* the key of the array with texts that were made; no option has it */

static void freep(struct kt_project **project)
{
	*project = kt_project_free(*project);
}

/* ---- texts
 * -----------------------------------------------------------------------------------
 */

/* The texts that are files, and mean the same wherever in the project the tests
 * are run. */
static bool is_path(const char *option)
{
	static const char *const paths[] = { "baseline", "capsule-dir", "html",
					     "junit",    "output-dir",  "skip-file" };

	for (size_t i = 0; i < KT_ARRAY_LEN(paths); i++) {
		if (!strcmp(option, paths[i]))
			return true;
	}
	return false;
}

/* Takes over @text, which may be NULL: out of memory. */
static int keep(struct kt_project *project, json_t *text, const char **ret_text,
		struct kt_err *reterr)
{
	json_t *texts = json_object_get(project->json, TEXTS);

	if (!text || json_array_append_new(texts, text) < 0)
		return kt_err_oom(reterr);
	*ret_text = json_string_value(text);
	return 0;
}

/* A relative path of the file is relative to the file. */
static int take_text(struct kt_project *project, const char *name, const char *text,
		     const char **ret_text, struct kt_err *reterr)
{
	const char *slash = strrchr(project->path, '/');

	if (!is_path(name) || !slash || *text == '/' || !strcmp(text, "-")) {
		*ret_text = text;
		return 0;
	}
	return keep(project,
		    json_sprintf("%.*s%s", (int)(slash + 1 - project->path), project->path, text),
		    ret_text, reterr);
}

/* The text of a string or a number; NULL for another value. */
static int take_value(struct kt_project *project, const char *name, const json_t *value,
		      const char **ret_text, struct kt_err *reterr)
{
	*ret_text = NULL;
	if (json_is_string(value))
		return take_text(project, name, json_string_value(value), ret_text, reterr);
	if (json_is_integer(value))
		return keep(project,
			    json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)),
			    ret_text, reterr);
	if (json_is_real(value))
		return keep(project, json_sprintf("%.9g", json_real_value(value)), ret_text,
			    reterr);
	return 0;
}

/* ---- options
 * ---------------------------------------------------------------------------------
 */

static int add_setting(struct kt_project *project, const char *name, const char *text,
		       struct kt_err *reterr)
{
	struct kt_setting *grown;

	if (project->n_settings >= KT_PROJECT_SETTINGS_MAX)
		return kt_err_set(reterr, -EINVAL, "it has more than %d options",
				  KT_PROJECT_SETTINGS_MAX);
	grown = reallocarray(project->settings, project->n_settings + 1, sizeof(*grown));
	if (!grown)
		return kt_err_oom(reterr);
	project->settings = grown;
	grown[project->n_settings++] = (struct kt_setting){ name, text };
	return 0;
}

static int add_value(struct kt_project *project, const char *name, const json_t *value,
		     struct kt_err *reterr)
{
	const char *text;
	int r = take_value(project, name, value, &text, reterr);

	if (r == 0 && !text)
		return kt_err_set(reterr, -EINVAL,
				  "'%s': a text, a number, true, false, or a list of texts is "
				  "meant to be here",
				  name);
	return r ?: add_setting(project, name, text, reterr);
}

/* A list is an option that is repeated; "false" is one that is not given. */
static int add_option(struct kt_project *project, const char *name, const json_t *value,
		      struct kt_err *reterr)
{
	int r = 0;

	if (json_is_false(value))
		return 0;
	if (json_is_true(value))
		return add_setting(project, name, NULL, reterr);
	if (!json_is_array(value))
		return add_value(project, name, value, reterr);
	for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
		r = add_value(project, name, json_array_get(value, i), reterr);
	return r;
}

static bool is_structure(const char *name)
{
	return !strcmp(name, "profiles") || !strcmp(name, "overrides") || !strcmp(name, TEXTS);
}

/* The options of @object but those that @over has, too. */
static int add_options(struct kt_project *project, json_t *object, const json_t *over,
		       struct kt_err *reterr)
{
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach(object, name, value)
	{
		if (r == 0 && !is_structure(name) && !json_object_get(over, name))
			r = add_option(project, name, value, reterr);
	}
	return r;
}

/* ---- overrides
 * -------------------------------------------------------------------------------
 */

/* Fills in the member of @rule that @name is. */
static int set_member(struct kt_override_rule *rule, const char *name, const char *text,
		      struct kt_err *reterr)
{
	static const char *const members[] = { "filter", "timeout", "retries", "slots" };
	struct kt_nearest nearest = KT_NEAREST_NULL;

	if (!strcmp(name, "filter")) {
		rule->filter = text;
		return 0;
	}
	if (!strcmp(name, "timeout"))
		return kt_value_time(name, text, &rule->override.timeout_ns, reterr);
	if (!strcmp(name, "slots"))
		return kt_value_number(name, text, 1, 4096, &rule->override.slots, reterr);
	if (!strcmp(name, "retries")) {
		rule->override.has_retries = true;
		return kt_value_number(name, text, 0, 1000, &rule->override.retries, reterr);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(members); i++)
		kt_nearest_offer(&nearest, name, members[i]);
	return kt_err_set(reterr, -EINVAL, "unknown member '%.100s'; %s%s", name,
			  nearest.name ? "did you mean "
				       : "there are filter, timeout, retries, slots",
			  nearest.name ?: "");
}

static int parse_rule(struct kt_project *project, json_t *object, struct kt_override_rule *rule,
		      struct kt_err *reterr)
{
	const char *name, *text;
	json_t *value;
	int r = 0;

	if (!json_is_object(object))
		return kt_err_set(reterr, -EINVAL, "it is not an object");
	json_object_foreach(object, name, value)
	{
		r = r ?: take_value(project, name, value, &text, reterr);
		if (r == 0 && !text)
			r = kt_err_set(reterr, -EINVAL, "'%.100s' is neither a text nor a number",
				       name);
		r = r ?: set_member(rule, name, text, reterr);
	}
	if (r == 0 && !rule->filter)
		r = kt_err_set(reterr, -EINVAL, "it has no filter; for all tests, it is \"all()\"");
	return r;
}

static int add_rules(struct kt_project *project, json_t *object, struct kt_err *reterr)
{
	json_t *array = json_object_get(object, "overrides");
	size_t n = json_array_size(array), room = project->n_rules + n;
	struct kt_override_rule *grown;
	int r = 0;

	if (array && !json_is_array(array))
		return kt_err_set(reterr, -EINVAL, "'overrides' is not a list");
	if (room > KT_PROJECT_RULES_MAX)
		return kt_err_set(reterr, -EINVAL, "it has more than %d overrides",
				  KT_PROJECT_RULES_MAX);
	grown = reallocarray(project->rules, room + 1, sizeof(*grown));
	if (!grown)
		return kt_err_oom(reterr);
	project->rules = grown;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct kt_override_rule rule = { .filter = NULL };

		r = parse_rule(project, json_array_get(array, i), &rule, reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "override %zu", i + 1);
		project->rules[project->n_rules++] = rule;
	}
	return 0;
}

/* ---- the file
 * --------------------------------------------------------------------------------
 */

/* *@ret_object: the profile @name, or NULL without a name. */
static int find_profile(const json_t *json, const char *name, json_t **ret_object,
			struct kt_err *reterr)
{
	json_t *profiles = json_object_get(json, "profiles"), *value;
	struct kt_nearest nearest = KT_NEAREST_NULL;
	const char *key;

	if (profiles && !json_is_object(profiles))
		return kt_err_set(reterr, -EINVAL, "'profiles' is not an object");
	json_object_foreach(profiles, key, value)
	{
		if (!json_is_object(value))
			return kt_err_set(reterr, -EINVAL, "profile '%.100s' is not an object",
					  key);
		if (name)
			kt_nearest_offer(&nearest, name, key);
	}
	*ret_object = name ? json_object_get(profiles, name) : NULL;
	if (*ret_object || !name)
		return 0;
	return kt_err_set(reterr, -EINVAL, "it has no profile '%.100s'%s%s%s", name,
			  nearest.name ? "; did you mean '" : "", nearest.name ?: "",
			  nearest.name ? "'?" : "");
}

static int read_json(struct kt_project *project, const char *profile, struct kt_err *reterr)
{
	json_t *json = project->json, *object = NULL;
	int r;

	if (json_object_get(json, TEXTS))
		return kt_err_set(reterr, -EINVAL, "the option '' has no name");
	if (json_object_set_new(json, TEXTS, json_array()) < 0)
		return kt_err_oom(reterr);
	r = find_profile(json, profile, &object, reterr);
	r = r ?: add_options(project, object, NULL, reterr);
	r = r ?: add_options(project, json, object, reterr);
	r = r ?: add_rules(project, object, reterr);
	return r ?: add_rules(project, json, reterr);
}

int kt_project_parse(const char *text, size_t len, const char *path, const char *profile,
		     struct kt_project **ret_project, struct kt_err *reterr)
{
	KT_CLEANUP(freep) struct kt_project *project = calloc(1, sizeof(*project));
	json_t *json = NULL;
	int r;

	if (!project || !(project->path = strdup(path)))
		return kt_err_oom(reterr);
	r = kt_json_parse(text, len, path, &json, reterr);
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	project->json = json;
	r = read_json(project, profile, reterr);
	if (r < 0)
		return r == -ENOMEM ? r : kt_err_prefix(reterr, r, "%s", path);
	*ret_project = kt_steal(project);
	return 0;
}

int kt_project_load(const char *path, const char *profile, struct kt_project **ret_project,
		    struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	size_t len;
	int r = kt_file_read(path, KT_PROJECT_MAX, &text, &len);

	if (r < 0)
		return kt_err_set(reterr, r, "project file '%s': %m", path);
	return kt_project_parse(text, len, path, profile, ret_project, reterr);
}

struct kt_project *kt_project_free(struct kt_project *project)
{
	if (!project)
		return NULL;
	json_decref(project->json);
	free(project->settings);
	free(project->rules);
	free(project->path);
	free(project);
	return NULL;
}

/* Cuts the last name off @dir. False: nothing is left. */
static bool go_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (!slash || !dir[1])
		return false;
	slash[slash == dir] = '\0';
	return true;
}

/* Whether @dir has @name; *@ret_path is its path, to be freed, NULL when out of
 * memory. */
static bool has(const char *dir, const char *name, char **ret_path)
{
	*ret_path = kt_format("%s/%s", strcmp(dir, "/") ? dir : "", name);
	return *ret_path && access(*ret_path, F_OK) == 0;
}

int kt_project_find(char **ret_path, struct kt_err *reterr)
{
	KT_FREE char *dir = getcwd(NULL, 0);

	*ret_path = NULL;
	if (!dir)
		return errno == ENOMEM ? kt_err_oom(reterr) : 0;
	do {
		KT_FREE char *path = NULL, *git = NULL;

		if (has(dir, KT_PROJECT_NAME, &path)) {
			*ret_path = kt_steal(path);
			return 0;
		}
		if (!path)
			return kt_err_oom(reterr);
		if (has(dir, ".git", &git))
			return 0;
	} while (go_up(dir));
	return 0;
}
