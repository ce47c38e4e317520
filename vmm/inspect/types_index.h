/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The types, variables and enumerators of a BTF by their names. libbpf searches all types for a
 * name; a kernel has 150,000.
 */

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/index.h"

/* What a name is the name of: in C, a struct and a typedef can have the same one. */
enum kt_type_class {
	KT_TYPE_OTHER, /* cannot be found by name */
	KT_TYPE_STRUCT,
	KT_TYPE_UNION,
	KT_TYPE_ENUM,
	KT_TYPE_TYPEDEF,
	KT_TYPE_BASE, /* integers and floating-point numbers */
	KT_TYPE_VAR,
	KT_TYPE_ENUMERATOR,
};

struct kt_type_entry {
	uint32_t type;
	int32_t enumerator; /* which of the enum @type; -1: the type itself */
};

/* The arrays belong to whoever filled this in. */
struct kt_types {
	struct btf *btf;
	size_t n;
	const struct kt_type_entry *entries;
	struct kt_index index;
};

/* Fills in entries and index, which are to be freed. */
int kt_types_build(struct kt_types *types, struct kt_err *reterr);

/* Returns false when there is none. */
bool kt_types_find(const struct kt_types *types, enum kt_type_class class, const char *name,
		   struct kt_type_entry *ret_entry);

/* The name of an entry and what it is; NULL when the table is damaged. */
const char *kt_types_name(const struct kt_types *types, size_t i, enum kt_type_class *ret_class);

/* The value of an enumerator of the enum @type; false when it has none at this place. */
bool kt_types_enumerator(const struct btf *btf, uint32_t type, size_t i, int64_t *ret_value);
