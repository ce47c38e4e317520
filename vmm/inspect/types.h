/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The types of a guest's kernel, by its BTF. BTF of the guest is foreign: kt_btf_new() checks it,
 * and everything here bounds how deep and how long it follows it. Errors are as in inspect.h.
 */

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"

/*
 * BTF from foreign bytes, to be freed with btf__free(). @base is NULL, or the BTF that it extends.
 * Afterwards all ids, names and lengths are valid; -EPROTO otherwise.
 */
int kt_btf_new(const void *data, size_t len, struct btf *base, struct btf **ret_btf,
	       struct kt_err *reterr);

/*
 * The BTF of the kernel without its functions (trim.h); borrowed. NULL when the kernel has none, or
 * a malformed one.
 */
const struct btf *kt_inspect_btf(struct kt_inspect *inspect);

/* The name of a type as C writes it, "struct scx_sched *"; cut to @room bytes. Returns @text. */
const char *kt_btf_describe(const struct btf *btf, uint32_t type, char *text, size_t room);

/* The type behind typedefs, const, volatile, restrict and tags; 0 is void. */
uint32_t kt_btf_skip(const struct btf *btf, uint32_t type);

/* The size in bytes; -EINVAL for a type that has none (void, a function, a declaration). */
int64_t kt_btf_size(const struct btf *btf, uint32_t type);

/*
 * The id of the type that C writes like this: "struct rq", "enum scx_exit_kind", "u64",
 * "struct scx_sched *", "unsigned long[4]". Pointers and arrays that the kernel's BTF lacks are
 * added to what kt_inspect_btf() returns.
 */
int kt_inspect_type(struct kt_inspect *inspect, const char *text, uint32_t *ret_type,
		    struct kt_err *reterr);

/* The type "pointer to @type". */
int kt_inspect_pointer_to(struct kt_inspect *inspect, uint32_t type, uint32_t *ret_type,
			  struct kt_err *reterr);

/* Where a member lies in its struct. */
struct kt_member {
	uint32_t type;
	uint32_t offset;   /* bytes */
	uint32_t size;     /* bytes */
	uint8_t bit_shift; /* of a bit-field: its lowest bit, counted from the byte at @offset */
	uint8_t bit_size;  /* of a bit-field: its width, 1 .. 64; 0: not a bit-field */
};

/*
 * A member by its dotted path from the struct or union @type on, "scx.dsq_list.node", through
 * anonymous members; "name[3]" is an element of an array. No pointer is followed. -ENOENT says
 * which component is missing and which members there are.
 */
int kt_btf_member(const struct btf *btf, uint32_t type, const char *path,
		  struct kt_member *ret_member, struct kt_err *reterr);

/* One member by its name, of which @len bytes count; otherwise as above. */
int kt_btf_find_member(const struct btf *btf, uint32_t type, const char *name, size_t len,
		       struct kt_member *ret_member, struct kt_err *reterr);

/* The member @i of the struct @type itself. Returns false when it is malformed. */
bool kt_btf_member_at(const struct btf *btf, const struct btf_type *type, uint32_t i,
		      struct kt_member *ret_member);

/*
 * Type and size of the elements of an array; -ENOENT when it has no element @index. Of an array of
 * length 0, which ends a struct, any element is there.
 */
int kt_btf_element(const struct btf *btf, uint32_t type, uint64_t index, uint32_t *ret_type,
		   uint64_t *ret_size, struct kt_err *reterr);

/* A member by its path, of a type of the kernel by its name: "struct task_struct". */
int kt_inspect_member(struct kt_inspect *inspect, const char *type, const char *path,
		      struct kt_member *ret_member, struct kt_err *reterr);

/* Returns false when the kernel has no such type or no such member; no error is written. */
bool kt_inspect_has_member(struct kt_inspect *inspect, const char *type, const char *path,
			   struct kt_member *ret_member);

/* The value of an enumerator of any enum of the kernel; -ENOENT with names that are close. */
int kt_inspect_enumerator(struct kt_inspect *inspect, const char *name, int64_t *ret_value,
			  struct kt_err *reterr);
bool kt_inspect_has_enumerator(struct kt_inspect *inspect, const char *name, int64_t *ret_value);

/* The name of the value in the enum @type; NULL when it has none. */
const char *kt_btf_enum_name(const struct btf *btf, uint32_t type, int64_t value);
