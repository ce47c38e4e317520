/* SPDX-License-Identifier: MIT */
#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

/*
 * jansson does the parsing. What is added here: a message is exactly one object without duplicate
 * members, every member is checked for its type and range, and no bytes of the guest reach a report
 * or a terminal unchecked.
 */

int kt_json_parse(const void *data, size_t len, const char *what, json_t **ret_json,
		  struct kt_err *reterr)
{
	json_error_t error;
	json_t *json = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		return kt_err_set(reterr, -EBADMSG, "%s is not JSON: %s (byte %d)", what,
				  error.text, error.position);
	if (!json_is_object(json)) {
		json_decref(json);
		return kt_err_set(reterr, -EBADMSG, "%s is JSON, but not an object", what);
	}
	*ret_json = json;
	return 0;
}

json_t *kt_json_hex(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

int kt_json_get_hex(const json_t *object, const char *name, uint64_t *ret_value)
{
	const char *text = json_string_value(json_object_get(object, name));
	char *end;

	/* "0x" and at most 16 digits, so that the value cannot overflow. */
	if (!text || text[0] != '0' || text[1] != 'x' || strlen(text) > 18)
		return -EBADMSG;
	*ret_value = strtoull(text, &end, 16);
	return *end ? -EBADMSG : 0;
}

int kt_json_get_int(const json_t *object, const char *name, int64_t min, int64_t max,
		    int64_t *ret_value)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_integer(member))
		return -EBADMSG;
	if (json_integer_value(member) < min || json_integer_value(member) > max)
		return -ERANGE;
	*ret_value = json_integer_value(member);
	return 0;
}

json_t *kt_json_counts(const uint32_t *counts, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n && counts[i]; i++)
		(void)json_array_append_new(array, json_integer((json_int_t)counts[i]));
	return array;
}

int kt_json_get_counts(const json_t *object, const char *name, uint32_t max, uint32_t *ret_counts,
		       size_t n)
{
	const json_t *array = json_object_get(object, name);

	if (!json_is_array(array))
		return -EBADMSG;
	if (json_array_size(array) > n)
		return -ERANGE;
	memset(ret_counts, 0, n * sizeof(*ret_counts));
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *member = json_array_get(array, i);

		if (!json_is_integer(member))
			return -EBADMSG;
		if (json_integer_value(member) < 1 || json_integer_value(member) > max)
			return -ERANGE;
		ret_counts[i] = (uint32_t)json_integer_value(member);
	}
	return 0;
}

int kt_json_get_text(const json_t *object, const char *name, char *to, size_t room)
{
	const json_t *member = json_object_get(object, name);
	size_t len = json_string_length(member);

	if (!json_is_string(member))
		return -EBADMSG;
	if (len >= room)
		return -ENAMETOOLONG;
	memcpy(to, json_string_value(member), len + 1);
	return 0;
}

json_t *kt_json_text(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	char *clean = malloc(len * 3 + 1); /* U+FFFD takes three bytes */
	size_t n = 0;
	json_t *json;

	if (!clean)
		return NULL;
	while (len) {
		size_t step = kt_utf8_len(at, len, NULL);

		if (step == 1 && (*at < ' ' || *at == 0x7f) && *at != '\n' && *at != '\t') {
			/* dropped: an escape sequence would act on the reader's terminal */
		} else if (step) {
			memcpy(clean + n, at, step);
			n += step;
		} else {
			memcpy(clean + n, KT_UTF8_REPLACEMENT, 3);
			n += 3;
			step = 1;
		}
		at += step;
		len -= step;
	}
	json = json_stringn(clean, n);
	free(clean);
	return json;
}
