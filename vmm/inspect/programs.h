/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * BPF programs, and how often they have run: the kernel counts while kernel.bpf_stats_enabled is 1.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/walk.h"

struct kt_program {
	uint64_t kva; /* of its struct bpf_prog */
	uint32_t id;
	const char *type; /* enumerator, "BPF_PROG_TYPE_STRUCT_OPS"; NULL: unknown */
	char name[32];
	bool jited;
	uint32_t n_insns;
	uint64_t code;             /* what is executed */
	uint32_t code_len;         /* its bytes; 0: unknown */
	uint64_t runs, ns, misses; /* of all CPUs */
};

struct kt_programs;

int kt_programs_open(struct kt_inspect *inspect, struct kt_programs **ret_programs,
		     struct kt_err *reterr);

/* Returns NULL. NULL is allowed. */
struct kt_programs *kt_programs_close(struct kt_programs *programs);

/*
 * 1: *@ret_program is the next, by id. 0: that was all. After an error, the next call goes on with
 * the program behind it, unless it is -ENODEV.
 */
int kt_programs_next(struct kt_programs *programs, struct kt_program *ret_program,
		     struct kt_err *reterr);

int kt_programs_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		     struct kt_err *reterr);
