/* SPDX-License-Identifier: MIT */
#pragma once
/* Helpers over jansson for messages: hostile input, addresses as text, text of unknown encoding. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/err.h"

static inline void kt_json_decrefp(json_t **json)
{
	json_decref(*json);
}

#define KT_JSON KT_CLEANUP(kt_json_decrefp)

/* Parses exactly one JSON object; -EBADMSG says where it is malformed. @what names the message. */
int kt_json_parse(const void *data, size_t len, const char *what, json_t **ret_json,
		  struct kt_err *reterr);

/* "0x..." as a JSON string: jansson's integers are signed. NULL when out of memory. */
json_t *kt_json_hex(uint64_t value);

/* Reads member @name of @object as kt_json_hex() wrote it. */
int kt_json_get_hex(const json_t *object, const char *name, uint64_t *ret_value);

/* Reads an integer member within @min..@max. */
int kt_json_get_int(const json_t *object, const char *name, int64_t min, int64_t max,
		    int64_t *ret_value);

/* Copies a string member into @to; -ENAMETOOLONG when it does not fit with its NUL. */
int kt_json_get_text(const json_t *object, const char *name, char *to, size_t room);

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD, control characters but \n \t go. */
json_t *kt_json_text(const char *text, size_t len);
