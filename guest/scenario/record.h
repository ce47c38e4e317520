/* SPDX-License-Identifier: MIT */
#pragma once
/* Statistics of the steps that have run: what each cgroup used and did in the hold of each. */

#include <jansson.h>

#include "guest/scenario/live.h"

struct kt_cgroup_record {
	struct kt_cgroup_record *next;
	char *name;
	struct kt_cgroup_usage usage;
	uint64_t iterations;
};

struct kt_step_record {
	struct kt_step_record *next;
	const char *name;
	const char *scheduler; /* when the hold began; NULL: the kernel's own */
	uint64_t begin_ns;     /* of the hold, since the test began */
	uint64_t end_ns;
	struct kt_cgroup_record *cgroups;
};

struct kt_records {
	struct kt_step_record *first, **end;
};

void kt_records_init(struct kt_records *records);
void kt_records_deinit(struct kt_records *records);

/* Around the hold of a step. */
int kt_record_begin(struct kt_records *records, struct kt_live *live, const char *name,
		    struct kt_step_record **ret_record, struct kt_err *reterr);
int kt_record_end(struct kt_step_record *record, struct kt_live *live, struct kt_err *reterr);

/* NULL when there is none. */
const struct kt_cgroup_record *kt_record_find(const struct kt_records *records, unsigned int step,
					      const char *cgroup);

/* A new array. */
json_t *kt_records_to_json(const struct kt_records *records);
