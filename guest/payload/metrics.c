/* SPDX-License-Identifier: MIT */
/*
 * Turns the output of a program into a flat list of metrics, in two stages: parse_at() finds the
 * JSON in the text, flatten() walks through the JSON and gives each number its dotted name.
 *
 * The text comes from any program, and may be hostile by accident. Its size is bounded by the
 * caller; the number of attempts to parse it, and the depth, number and name length of the metrics
 * are bounded here. Numbers beyond those bounds are dropped and counted, which is not an error.
 */
#include "guest/payload/metrics.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * Brackets at which parsing starts. Log lines with brackets may precede the JSON, and each attempt
 * may read the text to its end: without a limit a text full of brackets takes quadratic time.
 */
#define ATTEMPTS_MAX 64

void kt_metrics_deinit(struct kt_metrics *metrics)
{
	for (size_t i = 0; i < metrics->n; i++)
		free((char *)metrics->at[i].name);
	free(metrics->at);
	*metrics = KT_METRICS_NULL;
}

const struct kt_metric_value *kt_metrics_find(const struct kt_metric_value *at, size_t n,
					      const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(at[i].name, name))
			return &at[i];
	}
	return NULL;
}

/* ---- flattening ------------------------------------------------------------------------------ */

/*
 * The state of one walk through a JSON value. The result is a JSON object too, because jansson's
 * objects find names quickly and keep the order of insertion: a name that comes twice keeps its
 * first place.
 */
struct flattener {
	json_t *flat;                      /* dotted name -> real */
	size_t n_dropped;                  /* numbers, objects and arrays beyond a limit */
	char name[KT_METRIC_NAME_MAX + 1]; /* dotted name of the value that is being visited */
};

static int flatten(struct flattener *flattener, const json_t *value, size_t len,
		   unsigned int depth);

/* A name that is known already is replaced, even when the list is full. */
static int add_number(struct flattener *flattener, double number)
{
	if (json_object_size(flattener->flat) >= KT_METRICS_MAX &&
	    !json_object_get(flattener->flat, flattener->name)) {
		flattener->n_dropped++;
		return 0;
	}
	return json_object_set_new_nocheck(flattener->flat, flattener->name, json_real(number)) < 0
		       ? -ENOMEM
		       : 0;
}

/*
 * Visits a member or an element. The first @len characters of flattener->name are the parent's
 * name; the child's key is appended to them. @depth is the depth of the parent, 0 for the whole.
 */
static int flatten_child(struct flattener *flattener, const char *key, const json_t *child,
			 size_t len, unsigned int depth)
{
	size_t room = sizeof(flattener->name) - len;
	int more = snprintf(flattener->name + len, room, "%s%s", len ? "." : "", key);

	if ((size_t)more >= room || depth >= KT_METRIC_DEPTH_MAX) {
		flattener->n_dropped++;
		return 0;
	}
	return flatten(flattener, child, len + (size_t)more, depth + 1);
}

/* Strings and null are not metrics. A boolean counts as 0 or 1. */
static int flatten(struct flattener *flattener, const json_t *value, size_t len, unsigned int depth)
{
	const char *key;
	json_t *child;
	size_t i;
	int r = 0;

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, child) r =
			r ?: flatten_child(flattener, key, child, len, depth);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, child)
		{
			char index[24];

			(void)snprintf(index, sizeof(index), "%zu", i);
			r = r ?: flatten_child(flattener, index, child, len, depth);
		}
	} else if (json_is_number(value) || json_is_boolean(value)) {
		r = add_number(flattener, json_is_number(value) ? json_number_value(value)
								: json_is_true(value));
	}
	return r;
}

/* Copies the names and numbers of @flat. On -ENOMEM @metrics owns what has been copied so far. */
static int take_flat(const json_t *flat, struct kt_metrics *metrics)
{
	const char *name;
	json_t *value;

	metrics->at = calloc(json_object_size(flat) + 1, sizeof(*metrics->at));
	if (!metrics->at)
		return -ENOMEM;
	json_object_foreach((json_t *)flat, name, value)
	{
		metrics->at[metrics->n].name = strdup(name);
		metrics->at[metrics->n].value = json_real_value(value);
		if (!metrics->at[metrics->n].name)
			return -ENOMEM;
		metrics->n++;
	}
	return 0;
}

static int from_json(const json_t *json, struct kt_metrics *ret_metrics)
{
	KT_CLEANUP(kt_metrics_deinit) struct kt_metrics metrics = KT_METRICS_NULL;
	KT_JSON json_t *flat = json_object();
	struct flattener flattener = { .flat = flat };
	int r;

	if (!flat)
		return -ENOMEM;
	r = flatten(&flattener, json, 0, 0) ?: take_flat(flat, &metrics);
	if (r < 0)
		return r;
	metrics.n_dropped = flattener.n_dropped;
	*ret_metrics = metrics;
	metrics = KT_METRICS_NULL;
	return 0;
}

/* ---- finding the text ------------------------------------------------------------------------ */

/*
 * Whether only white space follows on the line. The log line "[0] starting" begins with a valid
 * JSON array, but more text follows it, so it is not the JSON that is looked for.
 */
static bool ends_line(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
		at++;
	return at == end || *at == '\n';
}

/* Parses the JSON that begins at @text. NULL with the reason in @error when there is none. */
static json_t *parse_at(const char *text, const char *end, json_error_t *error)
{
	/*
	 * Integers are read as reals: jansson rejects a text with an integer beyond 64 bits. NUL
	 * characters in strings are allowed, since strings are not used.
	 */
	json_t *json = json_loadb(text, (size_t)(end - text),
				  JSON_DISABLE_EOF_CHECK | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL,
				  error);

	if (!json || ends_line(text + error->position, end))
		return json;
	json_decref(json);
	error->line = 1;
	(void)snprintf(error->text, sizeof(error->text), "more text follows");
	return NULL;
}

static const char *next_bracket(const char *at, const char *end)
{
	while (at < end && *at != '{' && *at != '[')
		at++;
	return at;
}

int kt_metrics_parse(const char *text, size_t len, struct kt_metrics *ret_metrics,
		     struct kt_err *reterr)
{
	const char *end = text + len, *at = next_bracket(text, end);
	int r;

	(void)kt_err_set(reterr, 0, "there is neither '{' nor '[' in it");
	for (int i = 0; at < end && i < ATTEMPTS_MAX; i++) {
		json_error_t error;
		KT_JSON json_t *json = parse_at(at, end, &error);

		if (json) {
			r = from_json(json, ret_metrics);
			return r < 0 ? kt_err_oom(reterr) : 0;
		}
		/* The first bracket most likely begins the intended JSON: keep its error. */
		if (i == 0)
			(void)kt_err_set(reterr, 0, "at byte %td, line %d from there: %s",
					 at - text, error.line, error.text);
		at = next_bracket(at + 1, end);
	}
	return -ENODATA;
}
