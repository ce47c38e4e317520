/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Records: statistics for each step, of what its cgroups used and did during its hold.
 *
 * A record is not a report (guest/worker/report.h), which one worker leaves at its end; not
 * telemetry (guest/worker/telemetry.h), which a worker counts while it runs; and not metrics
 * (guest/payload/metrics.h), which are numbers that a program prints.
 */

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
	const char *scheduler; /* enabled when the hold began; NULL: none, the kernel's own */
	uint64_t begin_ns;     /* of the hold, since the test began */
	uint64_t end_ns;
	struct kt_cgroup_record *cgroups;
};

struct kt_records {
	struct kt_step_record *first, **end;
};

void kt_records_init(struct kt_records *records);
void kt_records_deinit(struct kt_records *records);

/* Called at the beginning and at the end of a step's hold. Return 0 or a negative errno. */
int kt_record_begin(struct kt_records *records, struct kt_live *live, const char *name,
		    struct kt_step_record **ret_record, struct kt_err *reterr);
int kt_record_end(struct kt_step_record *record, struct kt_live *live, struct kt_err *reterr);

/* Returns the record of @cgroup in the hold of @step, or NULL. */
const struct kt_cgroup_record *kt_record_find(const struct kt_records *records, unsigned int step,
					      const char *cgroup);

/* A new array. */
json_t *kt_records_to_json(const struct kt_records *records);
