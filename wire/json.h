/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Helpers over jansson for reading messages that are not trusted and for writing numbers and text
 * that JSON cannot hold as they are. The readers return 0, or -EBADMSG when the member is missing
 * or has another type.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/err.h"

static inline void kt_json_decrefp(json_t **json)
{
	json_decref(*json);
}

/* The variable drops its reference when it goes out of scope. */
#define KT_JSON KT_CLEANUP(kt_json_decrefp)

/*
 * Parses exactly one JSON object without duplicate members into the new reference *@ret_json.
 * -EBADMSG with the place of the error; @what names the message in it.
 */
int kt_json_parse(const void *data, size_t len, const char *what, json_t **ret_json,
		  struct kt_err *reterr);

/*
 * A new JSON string "0x..." for addresses, because jansson's integers are signed. NULL when out of
 * memory.
 */
json_t *kt_json_hex(uint64_t value);

/* Reads the member @name of @object, which kt_json_hex() has made. */
int kt_json_get_hex(const json_t *object, const char *name, uint64_t *ret_value);

/* Reads an integer member; -ERANGE outside @min..@max. */
int kt_json_get_int(const json_t *object, const char *name, int64_t min, int64_t max,
		    int64_t *ret_value);

/* A new array of the @n @counts in front of the first 0. NULL when out of memory. */
json_t *kt_json_counts(const uint32_t *counts, size_t n);

/*
 * Reads an array that kt_json_counts() has made into the @n @ret_counts, and fills up with zeros.
 * -ERANGE: it has more, or one that is not within 1..@max. The counts are undefined then.
 */
int kt_json_get_counts(const json_t *object, const char *name, uint32_t max, uint32_t *ret_counts,
		       size_t n);

/* The text of a string member, which @object owns; "" when it is missing or has another type. */
static inline const char *kt_json_str(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name)) ?: "";
}

/* Copies a string member to @to, which has @room bytes; -ENAMETOOLONG when it does not fit. */
int kt_json_get_text(const json_t *object, const char *name, char *to, size_t room);

/*
 * A new JSON string of any @len bytes. Bytes that are not UTF-8 become U+FFFD; control characters
 * other than newline and tab are dropped. NULL when out of memory.
 */
json_t *kt_json_text(const char *text, size_t len);
