/* SPDX-License-Identifier: MIT */
#pragma once
/* Fields of values whose type is known by BTF: found by a path, read and written in any width. */

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Where a field is in a value, and what it is. */
struct kt_field {
	const struct btf *btf;
	uint32_t type_id;    /* without typedefs and qualifiers */
	uint64_t bit_offset; /* a multiple of 8 but for bit fields */
	uint64_t bits;
	bool is_scalar; /* an integer, boolean, enum or pointer of at most 64 bits */
	bool is_signed;
};

/*
 * Follows @path from a value of type @type_id: names of members with dots between them, and indices
 * of arrays in brackets, as "nested.inner[2]". In a data section the first name is a variable's.
 * NULL or "" is all of the value. -ENOENT with what there is instead when a name is not found.
 */
int kt_field_find(const struct btf *btf, uint32_t type_id, const char *path,
		  struct kt_field *ret_field, struct kt_err *reterr);

/* Reads a scalar out of a value of @len bytes; signed ones are extended. */
int kt_field_get(const struct kt_field *field, const void *value, size_t len, uint64_t *ret_number,
		 struct kt_err *reterr);

/* Writes a scalar; -ERANGE when the number does not fit, as a signed one if the field is signed. */
int kt_field_set(const struct kt_field *field, void *value, size_t len, uint64_t number,
		 struct kt_err *reterr);

/*
 * Writes what @text says: a number (decimal, 0x, 0), true or false, the name of an enumerator, or
 * for an array of characters the text itself.
 */
int kt_field_set_text(const struct kt_field *field, void *value, size_t len, const char *text,
		      struct kt_err *reterr);
