/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Typed paths: places in the guest's kernel, named as C names them.
 *
 *	path    = cast* primary step*
 *	cast    = "(" type ")"  |  "*"  |  "&"
 *	primary = SYMBOL  |  NUMBER  |  "task(" PID ")"  |  "(" path ")"
 *	        | "container_of(" path "," type "," member ")"
 *	step    = "." MEMBER  |  "->" MEMBER  |  "[" INDEX "]"  |  "[cpu " NUMBER "]"
 *	INDEX   = NUMBER  |  ENUMERATOR
 *
 * As in C, a cast applies to all steps behind it: ((struct scx_sched *)scx_root)->ops.name.
 *
 * BTF knows the types of per-CPU variables only. Other variables have theirs from a table in
 * path.c, or by a cast. A cast of a variable without a type says what the variable is. "[cpu N]" is
 * the copy of CPU N: of a per-CPU variable, and of the memory behind a __percpu pointer.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/types.h"

#define KT_PATH_MAX 512u /* bytes of a path */

/* A typed value, in the guest's memory or computed. */
struct kt_place {
	const struct btf *btf; /* that @type is of; borrowed */
	uint32_t type;         /* as the path says it: typedefs are not skipped */
	bool computed;         /* @value is the value; it has no address and cannot be written */
	uint64_t value;
	uint64_t kva;
	uint64_t size;     /* bytes */
	uint8_t bit_shift; /* as in struct kt_member */
	uint8_t bit_size;
};

/*
 * Follows @path, which takes reads of the guest's memory for each pointer in it. The error names
 * the component at which it ends.
 */
int kt_inspect_resolve(struct kt_inspect *inspect, const char *path, struct kt_place *ret_place,
		       struct kt_err *reterr);

/* Goes on from a place by steps: ".scx.dsq->nr", "[3]"; "scx.nr" is ".scx.nr". */
int kt_inspect_follow(struct kt_inspect *inspect, const struct kt_place *from, const char *steps,
		      struct kt_place *ret_place, struct kt_err *reterr);

/* The place of a struct or other @type of the kernel ("struct rq") at @kva. */
int kt_inspect_place(struct kt_inspect *inspect, uint64_t kva, const char *type,
		     struct kt_place *ret_place, struct kt_err *reterr);

/*
 * Read and write a scalar: an integer, enum, bool, pointer or bit-field; -EINVAL for others. A
 * signed value is extended to 64 bits. A value that the place cannot hold is -ERANGE. A bit-field
 * is read, changed and written, which the guest can get between while it runs.
 */
int kt_inspect_load(struct kt_inspect *inspect, const struct kt_place *place, uint64_t *ret_value,
		    struct kt_err *reterr);
int kt_inspect_store(struct kt_inspect *inspect, const struct kt_place *place, uint64_t value,
		     struct kt_err *reterr);

/* Whether the place is a scalar, and whether its value has a sign. */
bool kt_place_is_scalar(const struct kt_place *place);
bool kt_place_is_signed(const struct kt_place *place);

/* Resolve and load in one. */
int kt_inspect_value(struct kt_inspect *inspect, const char *path, uint64_t *ret_value,
		     struct kt_err *reterr);
