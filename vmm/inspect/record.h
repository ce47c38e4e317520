/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A struct of the guest's kernel, as far as a table names members of it. The places of the members
 * are found once; then each struct of the type is copied at once, and numbers and texts are taken
 * from the copy. A member that a kernel does not have is 0.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/types.h"

#define KT_RECORD_FIELDS 40u
#define KT_RECORD_PATHS  3u

/* A member, by the paths that kernels have for it: the first that exists counts. */
struct kt_record_field {
	const char *paths[KT_RECORD_PATHS];
	bool optional; /* a kernel may have none of them */
};

struct kt_record {
	struct kt_inspect *inspect; /* borrowed */
	const struct btf *btf;      /* borrowed */
	const char *type;           /* "struct rq"; borrowed */
	size_t n;
	struct kt_member members[KT_RECORD_FIELDS]; /* type 0: the kernel has none */
	uint32_t begin, len;                        /* the part of the struct that is copied */
	uint32_t size;                              /* of the struct */
	uint64_t kva;                               /* of the struct that was copied last */
	uint8_t *bytes;
};

/* What kt_record_deinit() may be called with. */
#define KT_RECORD_NULL ((struct kt_record){ .bytes = NULL })

/* Finds the members; -ENOENT names the one that is missing. */
int kt_record_init(struct kt_record *record, struct kt_inspect *inspect, const char *type,
		   const struct kt_record_field *fields, size_t n, struct kt_err *reterr);
void kt_record_deinit(struct kt_record *record);

/* Copies the struct at @kva. */
int kt_record_read(struct kt_record *record, uint64_t kva, struct kt_err *reterr);

/* Whether this kernel has the member. */
bool kt_record_has(const struct kt_record *record, size_t field);

/* The number; a signed one is extended to 64 bits. */
uint64_t kt_record_get(const struct kt_record *record, size_t field);

/* The text of an array of char; cut to @room bytes with its NUL. Returns @to. */
const char *kt_record_text(const struct kt_record *record, size_t field, char *to, size_t room);

/* The address of the member in the guest. */
uint64_t kt_record_address(const struct kt_record *record, size_t field);

/* The name of a member's value, which is of an enum; NULL when it has none. */
const char *kt_record_enumerator(const struct kt_record *record, size_t field);

/* ---- Values as JSON; NULL: out of memory ---- */

/* A text of the guest; what is no valid UTF-8 is replaced. */
json_t *kt_tree_text(const char *text);

/* A number; above INT64_MAX a text in hexadecimal. */
json_t *kt_tree_unsigned(uint64_t value);

/* An address, as a text in hexadecimal. */
json_t *kt_tree_address(uint64_t kva);

/* A member; null when the kernel has none. */
json_t *kt_tree_member(const struct kt_record *record, size_t field);

/* {"error": TEXT} */
json_t *kt_tree_error(const struct kt_err *err);

/*
 * The names of the bits that are set in @value, by an enum of the kernel: "enum scx_rq_flags".
 * Bits that its NAME_MASK enumerators cover are numbers of their own, and left out. An empty array
 * when the kernel has no such enum.
 */
json_t *kt_tree_flags(struct kt_inspect *inspect, const char *type, uint64_t value);

/* The name of @value in an enum of the kernel; NULL when there is none. */
const char *kt_inspect_enum_name(struct kt_inspect *inspect, const char *type, int64_t value);
