/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "vmm/inspect/render.h"

/*
 * A tree whose leaves are texts, printed for people. What fits into a line becomes one; otherwise
 * each member stands on its own:
 *
 *	{
 *		kind = SCX_EXIT_NONE (0)
 *		list = { next = 0xff..., prev = 0xff... }
 *	}
 */

#define LINE 96u /* bytes of a line, without its indentation */

struct printer {
	struct kt_buffer out;
	bool failed;
};

static void put(struct printer *printer, const char *text)
{
	if (kt_buffer_append(&printer->out, text, strlen(text)) < 0)
		printer->failed = true;
}

/* The length of a value in one line; more than @max when it does not fit. */
static size_t flat_len(const json_t *json, size_t max)
{
	size_t len = 4, i;
	const char *key;
	json_t *value;

	if (json_is_string(json))
		return json_string_length(json);
	if (json_is_array(json)) {
		json_array_foreach(json, i, value)
		{
			if (len > max)
				break;
			len += 2 + flat_len(value, max);
		}
		return len;
	}
	json_object_foreach((json_t *)json, key, value)
	{
		if (len > max)
			break;
		len += strlen(key) + 5 + flat_len(value, max);
	}
	return len;
}

static void print_flat(struct printer *printer, const json_t *json)
{
	bool array = json_is_array(json), first = true;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(json)) {
		put(printer, json_string_value(json));
		return;
	}
	put(printer, array ? "[" : "{ ");
	json_array_foreach(json, i, value)
	{
		put(printer, i ? ", " : "");
		print_flat(printer, value);
	}
	json_object_foreach((json_t *)json, key, value)
	{
		put(printer, first ? "" : ", ");
		put(printer, json_is_true(value) ? "..." : key);
		if (!json_is_true(value)) {
			put(printer, " = ");
			print_flat(printer, value);
		}
		first = false;
	}
	put(printer, array ? "]" : first ? "}" : " }");
}

static void begin_line(struct printer *printer, unsigned int depth)
{
	put(printer, "\n");
	while (depth--)
		put(printer, "\t");
}

static void print(struct printer *printer, const json_t *json, unsigned int depth)
{
	bool array = json_is_array(json);
	const char *key;
	json_t *value;
	size_t i;

	if (flat_len(json, LINE) <= LINE || json_is_string(json)) {
		print_flat(printer, json);
		return;
	}
	put(printer, array ? "[" : "{");
	json_array_foreach(json, i, value)
	{
		begin_line(printer, depth + 1);
		print(printer, value, depth + 1);
	}
	json_object_foreach((json_t *)json, key, value)
	{
		begin_line(printer, depth + 1);
		put(printer, json_is_true(value) ? "..." : key);
		if (json_is_true(value))
			continue;
		put(printer, " = ");
		print(printer, value, depth + 1);
	}
	begin_line(printer, depth);
	put(printer, array ? "]" : "}");
}

char *kt_render_print(const json_t *json)
{
	struct printer printer = { .out = KT_BUFFER_NULL };
	char *text = NULL;

	print(&printer, json, 0);
	if (!printer.failed)
		text = strndup(printer.out.data ?: "", printer.out.len);
	kt_buffer_deinit(&printer.out);
	return text;
}
