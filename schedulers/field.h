/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Fields of values whose types are described by BTF: finds a field by its path, and reads and
 * writes it. The values are bytes in the caller's memory, such as a copy of a map's value.
 */

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* The position and the type of a field. */
struct kt_field {
	const struct btf *btf; /* borrowed */
	uint32_t type_id;      /* without typedefs and qualifiers */
	uint64_t bit_offset;   /* in the value; a multiple of 8 except for bit fields */
	uint64_t bits;         /* its width */
	bool is_scalar;        /* an integer, boolean, enum or pointer of at most 64 bits */
	bool is_signed;        /* a signed integer or enum */
};

/*
 * Follows @path from a value of type @type_id: names of members with dots between them, and indices
 * of arrays in brackets, as "nested.inner[2]". In a data section the first name is a variable's.
 * NULL or "" is all of the value. -ENOENT with what there is instead when a name is not found.
 */
int kt_field_find(const struct btf *btf, uint32_t type_id, const char *path,
		  struct kt_field *ret_field, struct kt_err *reterr);

/*
 * Reads a scalar from the @len bytes at @value; a signed one is sign-extended to 64 bits. 0,
 * -EINVAL when the field is not a scalar, -ERANGE when it does not lie within @len.
 */
int kt_field_get(const struct kt_field *field, const void *value, size_t len, uint64_t *ret_number,
		 struct kt_err *reterr);

/*
 * Writes a scalar to the @len bytes at @value. A signed field takes @number as int64_t. Errors as
 * above, and -ERANGE when the number does not fit into the field.
 */
int kt_field_set(const struct kt_field *field, void *value, size_t len, uint64_t number,
		 struct kt_err *reterr);

/*
 * Writes what @text says: a number (decimal, 0x, 0), true or false, the name of an enumerator, or
 * for an array of characters the text itself.
 */
int kt_field_set_text(const struct kt_field *field, void *value, size_t len, const char *text,
		      struct kt_err *reterr);
