/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * A cursor goes through the tree of a report. Three kinds of objects are more than their members:
 * a map stands for its entries or variables, an entry for its value, and one with the member "cpus"
 * for the value of one CPU, which has to be chosen before it can be read.
 *
 * Names come from the test, everything else from the guest; both are only compared and shown.
 */

#define NAMES_MAX 12u  /* that an error lists */
#define DEPTH_MAX 64u  /* components of a path */
#define NAME_LEN  256u /* bytes of a component */

struct cursor {
	const json_t *report, *node;
	uint64_t scheduler; /* only its maps count; 0: all do */
	bool has_node;      /* a step has led somewhere: the node is not the report */
	struct kt_snapshot_sample *sample;
};

__attribute__((format(printf, 3, 4))) static int
fault(const struct cursor *at, enum kt_snapshot_fault code, const char *format, ...)
{
	va_list ap;

	at->sample->fault = code;
	va_start(ap, format);
	/* What the wire adds where the cut is in a character must still fit. */
	(void)vsnprintf(at->sample->text, sizeof(at->sample->text) - 8, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- What there is ---- */

struct names {
	char text[400];
	size_t len;
	unsigned int n;
};

static void add_name(struct names *names, const char *name)
{
	size_t room = sizeof(names->text) - names->len;
	int len;

	if (names->n++ >= NAMES_MAX || !name)
		return;
	len = snprintf(names->text + names->len, room, "%s%s", names->len ? ", " : "",
		       names->n == NAMES_MAX ? "..." : name);
	names->len += (size_t)len < room ? (size_t)len : room - 1;
}

static const char *members_of(const json_t *object, struct names *names)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) add_name(names, key);
	return names->n ? names->text : "nothing";
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* ---- Kinds of nodes ---- */

static bool is_map(const json_t *node)
{
	return json_object_get(node, "max_entries") &&
	       (json_object_get(node, "entries") || json_object_get(node, "variables"));
}

/* Of a map, or of an array that the report has. */
static const json_t *entries_of(const json_t *node)
{
	if (is_map(node))
		return json_object_get(node, "entries");
	return json_is_array(node) ? node : NULL;
}

/* The report itself has a member of that name too, for another reason. */
static bool is_per_cpu(const struct cursor *at, const json_t *node)
{
	return node != at->report && json_is_array(json_object_get(node, "cpus"));
}

/* What {"error": TEXT} says; NULL for anything else. */
static const char *error_of(const json_t *node)
{
	return json_object_size(node) == 1 ? text_of(node, "error") : NULL;
}

static bool is_cut(const json_t *node)
{
	return json_object_size(node) == 1 && json_object_get(node, "truncated");
}

/* Faults of a node that is no value at all. */
static int check_node(const struct cursor *at, const json_t *node, const char *name)
{
	if (error_of(node))
		return fault(at, KT_SNAPSHOT_MISSING, "the report lacks '%s': %s", name,
			     error_of(node));
	if (is_cut(node))
		return fault(at, KT_SNAPSHOT_UNTYPED, "a limit of the report has left out '%s'",
			     name);
	return 0;
}

static bool parse_index(const char *text, size_t *ret_index)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 9)
		return false;
	*ret_index = strtoul(text, &end, 10);
	return !*end;
}

/* A number of 64 bits: an integer, a truth value, or, as large ones and addresses, hexadecimal. */
static bool number_of(const json_t *node, bool *ret_negative, uint64_t *ret_value)
{
	const char *text = json_string_value(node);
	char *end;

	*ret_negative = json_is_integer(node) && json_integer_value(node) < 0;
	*ret_value = json_is_true(node) ? 1 : (uint64_t)json_integer_value(node);
	if (json_is_integer(node) || json_is_boolean(node))
		return true;
	if (!text || text[0] != '0' || text[1] != 'x')
		return false;
	*ret_value = strtoull(text, &end, 16);
	/* An address may have its symbol behind it. */
	return end > text + 2 && end - text <= 18 && (!*end || *end == ' ');
}

/* ---- Maps ---- */

static bool counts(const struct cursor *at, const json_t *map)
{
	const char *owner = text_of(map, "scheduler");

	return is_map(map) &&
	       (!at->scheduler || (owner && strtoull(owner, NULL, 16) == at->scheduler));
}

/* By name, by the end of the name from a dot on, or by id. */
static bool has_name(const json_t *map, const char *name)
{
	const char *own = text_of(map, "name");
	size_t id, len = own ? strlen(own) : 0;

	if (own && !strcmp(own, name))
		return true;
	if (*name == '.' && len > strlen(name) && !strcmp(own + len - strlen(name), name))
		return true;
	return parse_index(name, &id) &&
	       (json_int_t)id == json_integer_value(json_object_get(map, "id"));
}

static int find_maps(const struct cursor *at, const json_t **ret_maps)
{
	const json_t *maps = json_object_get(at->report, "maps");

	if (!maps)
		return fault(at, KT_SNAPSHOT_MISSING, "the report has no 'maps'");
	*ret_maps = maps;
	return check_node(at, maps, "maps");
}

static int go_to_map(struct cursor *at, const char *name)
{
	struct names fitting = { .n = 0 }, all = { .n = 0 };
	const json_t *maps, *found = NULL;
	json_t *map;
	size_t i;

	if (find_maps(at, &maps) < 0)
		return -EINVAL;
	json_array_foreach(maps, i, map)
	{
		if (!counts(at, map))
			continue;
		add_name(&all, text_of(map, "name"));
		if (!has_name(map, name))
			continue;
		add_name(&fitting, text_of(map, "name"));
		found = map;
	}
	if (!found)
		return fault(at, KT_SNAPSHOT_NO_MAP, "no map is called '%s'; there are: %s", name,
			     all.n ? all.text : "none");
	if (fitting.n > 1)
		return fault(at, KT_SNAPSHOT_AMBIGUOUS, "%u maps are called '%s': %s", fitting.n,
			     name, fitting.text);
	at->node = found;
	at->has_node = true;
	return 0;
}

/* Looks in the sections of one map, or of all. */
static int go_to_variable(struct cursor *at, const char *name)
{
	struct names fitting = { .n = 0 }, all = { .n = 0 };
	const json_t *maps, *found = NULL;
	const char *key;
	json_t *map, *value;
	size_t i;

	if (at->has_node && !is_map(at->node))
		return fault(at, KT_SNAPSHOT_NO_STRUCT, "a variable is looked for in a map");
	if (find_maps(at, &maps) < 0)
		return -EINVAL;
	json_array_foreach(maps, i, map)
	{
		if (!counts(at, map) || (at->has_node && map != at->node))
			continue;
		json_object_foreach(json_object_get(map, "variables"), key, value)
		{
			add_name(&all, key);
			if (strcmp(key, name))
				continue;
			add_name(&fitting, text_of(map, "name"));
			found = value;
		}
	}
	if (!found)
		return fault(at, KT_SNAPSHOT_NO_VARIABLE,
			     "no variable is called '%s'; there are: %s", name,
			     all.n ? all.text : "none");
	if (fitting.n > 1)
		return fault(at, KT_SNAPSHOT_AMBIGUOUS, "%u sections have a variable '%s': %s",
			     fitting.n, name, fitting.text);
	at->node = found;
	at->has_node = true;
	return check_node(at, found, name);
}

static int go_to_active(struct cursor *at)
{
	const json_t *scx = json_object_get(at->report, "scx");
	json_t *sched;
	size_t i;

	if (check_node(at, scx, "scx") < 0)
		return -EINVAL;
	json_array_foreach(json_object_get(scx, "schedulers"), i, sched)
	{
		if (json_is_true(json_object_get(sched, "root")) && text_of(sched, "address"))
			at->scheduler = strtoull(text_of(sched, "address"), NULL, 16);
	}
	return at->scheduler ? 0 : fault(at, KT_SNAPSHOT_NO_SCHEDULER, "no scheduler is enabled");
}

/* ---- Members ---- */

/* What a component that is not in @node may mean instead: in the value of an entry. */
static const json_t *value_of(const json_t *node)
{
	const json_t *value = json_object_get(node, "value");

	return value && (json_object_get(node, "index") || json_object_get(node, "key") ||
			 json_object_get(node, "pid") || json_object_get(node, "owner") ||
			 json_object_get(node, "page") || json_object_size(node) == 1)
		       ? value
		       : NULL;
}

static int no_member(const struct cursor *at, const char *name)
{
	const json_t *value = value_of(at->node);
	struct names names = { .n = 0 };

	if (is_per_cpu(at, at->node))
		return fault(at, KT_SNAPSHOT_PER_CPU,
			     "'%s': there is a value for each CPU: choose one", name);
	if (value && json_is_string(value))
		return fault(at, KT_SNAPSHOT_UNTYPED,
			     "'%s': the value has no type in the report, only bytes or a text",
			     name);
	if (json_is_object(at->node))
		return fault(at, KT_SNAPSHOT_NO_FIELD, "there is no member '%s'; there are: %s",
			     name,
			     members_of(value && json_is_object(value) ? value : at->node, &names));
	return fault(at, KT_SNAPSHOT_NO_STRUCT, "'%s' is a member of what has none", name);
}

static int go_to_element(struct cursor *at, const json_t *array, size_t index, const char *name)
{
	size_t n = json_array_size(array);
	const json_t *node = json_array_get(array, index);

	/* The mark of a limit is not an element. */
	if (node && is_cut(node))
		return check_node(at, node, name);
	if (!node)
		return fault(at, KT_SNAPSHOT_RANGE, "there is no entry %zu: there are %zu", index,
			     n);
	at->node = node;
	return check_node(at, node, name);
}

static int go_to_component(struct cursor *at, const char *name)
{
	const json_t *value = value_of(at->node);
	const json_t *next = json_object_get(at->node, name) ?: json_object_get(value, name);
	size_t index;

	if (!*name)
		return fault(at, KT_SNAPSHOT_EMPTY, "a component of the path is empty");
	if (!next && parse_index(name, &index) && (json_is_array(at->node) || json_is_array(value)))
		return go_to_element(at, json_is_array(at->node) ? at->node : value, index, name);
	if (!next)
		return no_member(at, name);
	at->node = next;
	return check_node(at, next, name);
}

static int go_to_path(struct cursor *at, const char *path)
{
	for (unsigned int i = 0; i < DEPTH_MAX; i++) {
		size_t len = strcspn(path, ".");
		char name[NAME_LEN];

		if (len >= sizeof(name))
			break;
		memcpy(name, path, len);
		name[len] = 0;
		if (go_to_component(at, name) < 0)
			return -EINVAL;
		at->has_node = true;
		if (!path[len])
			return 0;
		path += len + 1;
	}
	return fault(at, KT_SNAPSHOT_NO_FIELD, "the path is too long");
}

/* ---- Entries ---- */

static int need_entries(const struct cursor *at, const json_t **ret_entries)
{
	*ret_entries = entries_of(at->node);
	return *ret_entries ? 0 : fault(at, KT_SNAPSHOT_NO_STRUCT, "there are no entries here");
}

static int go_to_entry(struct cursor *at, int64_t index)
{
	const json_t *entries;

	if (need_entries(at, &entries) < 0)
		return -EINVAL;
	return go_to_element(at, entries, index < 0 ? SIZE_MAX : (size_t)index, "entry");
}

static bool is_wanted(const json_t *node, const struct kt_snapshot_step *step)
{
	const char *text = json_string_value(node);
	uint64_t number;
	bool negative;

	if (step->kind == KT_SNAPSHOT_STEP_FIND_TEXT)
		return text && !strcmp(text, step->value);
	return number_of(node, &negative, &number) && number == (uint64_t)step->number;
}

/* The member @path of @entry; NULL when it has none. */
static const json_t *member_of(const struct cursor *at, const json_t *entry, const char *path)
{
	struct kt_snapshot_sample unused = { .fault = KT_SNAPSHOT_OK };
	struct cursor inner = { .report = at->report, .node = entry, .sample = &unused };

	if (go_to_path(&inner, path) < 0)
		return NULL;
	return value_of(inner.node) ?: inner.node;
}

static int go_to_match(struct cursor *at, const struct kt_snapshot_step *step)
{
	const json_t *entries;
	json_t *entry;
	size_t i;

	if (need_entries(at, &entries) < 0)
		return -EINVAL;
	json_array_foreach(entries, i, entry)
	{
		if (is_wanted(member_of(at, entry, step->text), step)) {
			at->node = entry;
			return 0;
		}
	}
	if (step->kind == KT_SNAPSHOT_STEP_FIND_TEXT)
		return fault(at, KT_SNAPSHOT_NO_MATCH, "the '%s' of none of %zu entries is \"%s\"",
			     step->text, json_array_size(entries), step->value);
	return fault(at, KT_SNAPSHOT_NO_MATCH, "the '%s' of none of %zu entries is %" PRId64,
		     step->text, json_array_size(entries), step->number);
}

static int go_to_greatest(struct cursor *at, const char *path)
{
	const json_t *entries, *found = NULL;
	long double greatest = 0;
	json_t *entry;
	size_t i;

	if (need_entries(at, &entries) < 0)
		return -EINVAL;
	json_array_foreach(entries, i, entry)
	{
		const json_t *node = member_of(at, entry, path);
		long double value;
		uint64_t number;
		bool negative;

		if (json_is_real(node))
			value = json_real_value(node);
		else if (number_of(node, &negative, &number))
			value = negative ? (long double)(int64_t)number : (long double)number;
		else
			continue;
		if (!found || value > greatest) {
			greatest = value;
			found = entry;
		}
	}
	if (!found)
		return fault(at, KT_SNAPSHOT_NO_MATCH, "none of %zu entries has a number '%s'",
			     json_array_size(entries), path);
	at->node = found;
	return 0;
}

/* The value of a CPU: in "cpus", or of an array with an object for each CPU. */
static int go_to_cpu(struct cursor *at, int64_t cpu)
{
	const json_t *array =
		is_per_cpu(at, at->node) ? json_object_get(at->node, "cpus") : at->node;
	const json_t *first = json_array_get(array, 0), *found = NULL;
	json_t *element;
	size_t i;

	if (!json_is_array(array))
		return fault(at, KT_SNAPSHOT_NO_CPU, "this is not a value for each CPU");
	json_array_foreach(array, i, element)
	{
		const json_t *id = json_object_get(element, "cpu");

		if (json_object_get(first, "cpu") ? json_integer_value(id) == cpu && id
						  : (int64_t)i == cpu)
			found = element;
	}
	if (!found || is_cut(found))
		return fault(at, KT_SNAPSHOT_NO_CPU, "there is no value of CPU %" PRId64, cpu);
	at->node = found;
	return check_node(at, found, "cpu");
}

/* ---- Reading ---- */

static const char *kind_of(const json_t *node)
{
	return json_is_object(node)  ? "an object"
	       : json_is_array(node) ? "an array"
	       : json_is_null(node)  ? "null"
	       : json_is_real(node)  ? "a fraction"
				     : "a value";
}

static int wrong_type(const struct cursor *at, const json_t *node, const char *wanted)
{
	KT_FREE char *text = json_is_object(node) || json_is_array(node)
				     ? NULL
				     : json_dumps(node, JSON_ENCODE_ANY);

	return fault(at, KT_SNAPSHOT_TYPE, "it is %s, not %s", text ?: kind_of(node), wanted);
}

static int read_number(const struct cursor *at, const json_t *node, bool is_signed)
{
	uint64_t number;
	bool negative;

	if (!number_of(node, &negative, &number))
		return wrong_type(at, node, "an integer");
	if (negative && !is_signed)
		return wrong_type(at, node, "an unsigned integer");
	if (!negative && is_signed && number > INT64_MAX)
		return wrong_type(at, node, "an integer of 64 bits with a sign");
	at->sample->number = number;
	return 0;
}

static int read_real(const struct cursor *at, const json_t *node)
{
	uint64_t number;
	bool negative;

	if (json_is_real(node)) {
		at->sample->real = json_real_value(node);
		return 0;
	}
	if (!number_of(node, &negative, &number))
		return wrong_type(at, node, "a number");
	at->sample->real = negative ? (double)(int64_t)number : (double)number;
	return 0;
}

static int read_bool(const struct cursor *at, const json_t *node)
{
	uint64_t number;
	bool negative;

	if (!number_of(node, &negative, &number) || number > 1)
		return wrong_type(at, node, "true or false");
	at->sample->number = number;
	return 0;
}

static int read_text(const struct cursor *at, const json_t *node)
{
	if (!json_is_string(node))
		return wrong_type(at, node, "a text");
	(void)snprintf(at->sample->text, sizeof(at->sample->text) - 8, "%s",
		       json_string_value(node));
	return 0;
}

static int read_count(const struct cursor *at, const json_t *node)
{
	const json_t *all = is_map(node) ? json_object_get(node, "entries")
						   ?: json_object_get(node, "variables")
					 : node;
	const json_t *last = json_array_get(all, json_array_size(all) - 1);
	const json_t *more = is_cut(last) ? json_object_get(last, "truncated") : NULL;

	if (!json_is_array(all) && !json_is_object(all))
		return wrong_type(at, node, "what has entries or members");
	at->sample->number = json_is_array(all) ? json_array_size(all) : json_object_size(all);
	if (!more)
		return 0;
	if (!json_is_integer(more))
		return fault(at, KT_SNAPSHOT_UNTYPED, "there are more than %" PRIu64 ", uncounted",
			     at->sample->number - 1);
	at->sample->number += (uint64_t)json_integer_value(more) - 1;
	return 0;
}

static int read_value(const struct cursor *at, enum kt_snapshot_form form)
{
	const json_t *node = at->node;

	if (form == KT_SNAPSHOT_AS_COUNT)
		return read_count(at, node);
	if (is_per_cpu(at, node))
		return fault(at, KT_SNAPSHOT_PER_CPU, "there is a value for each CPU: choose one");
	node = value_of(node) ?: node;
	if (check_node(at, node, "value") < 0)
		return -EINVAL;
	switch (form) {
	case KT_SNAPSHOT_AS_U64:
	case KT_SNAPSHOT_AS_I64:
		return read_number(at, node, form == KT_SNAPSHOT_AS_I64);
	case KT_SNAPSHOT_AS_DOUBLE:
		return read_real(at, node);
	case KT_SNAPSHOT_AS_BOOL:
		return read_bool(at, node);
	default:
		return read_text(at, node);
	}
}

static int follow(struct cursor *at, const struct kt_snapshot_step *step)
{
	switch (step->kind) {
	case KT_SNAPSHOT_STEP_MAP:
		return go_to_map(at, step->text);
	case KT_SNAPSHOT_STEP_VARIABLE:
		return go_to_variable(at, step->text);
	case KT_SNAPSHOT_STEP_ACTIVE:
		return go_to_active(at);
	case KT_SNAPSHOT_STEP_AT:
		return go_to_entry(at, step->number);
	case KT_SNAPSHOT_STEP_FIND:
	case KT_SNAPSHOT_STEP_FIND_TEXT:
		return go_to_match(at, step);
	case KT_SNAPSHOT_STEP_MAX:
		return go_to_greatest(at, step->text);
	case KT_SNAPSHOT_STEP_CPU:
		return go_to_cpu(at, step->number);
	case KT_SNAPSHOT_STEP_GET:
		return go_to_path(at, step->text);
	case KT_SNAPSHOT_STEPS_END:
		break;
	}
	return fault(at, KT_SNAPSHOT_NO_FIELD, "a step of the view is unknown");
}

void kt_view_read(const json_t *report, const struct kt_snapshot_request *request,
		  struct kt_snapshot_sample *ret_sample)
{
	struct cursor at = { .report = report, .node = report, .sample = ret_sample };
	const char *why = text_of(report, "error");
	int r = 0;

	ret_sample->fault = KT_SNAPSHOT_OK;
	ret_sample->text[0] = 0;
	if (why) {
		(void)fault(&at, KT_SNAPSHOT_PLACEHOLDER, "it could not be taken: %s", why);
		return;
	}
	for (size_t i = 0; r == 0 && i < request->n_steps; i++)
		r = follow(&at, &request->steps[i]);
	if (r == 0)
		(void)read_value(&at, request->form);
}
