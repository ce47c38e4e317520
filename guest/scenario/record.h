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
	struct kt_cgroup_record *next; /* in the order of creation */
	char *name;                    /* owned, because the cgroup may go before the record */
	struct kt_cgroup_usage usage;  /* microseconds, during the hold (cpu.stat) */
	uint64_t iterations;           /* of its workers, during the hold */
};

struct kt_step_record {
	struct kt_step_record *next;
	const char *name;
	const char *scheduler; /* enabled when the hold began; NULL: none, the kernel's own */
	uint64_t begin_ns;     /* of the hold, since the test began */
	uint64_t end_ns;       /* likewise; 0: the hold has not ended, or has failed */
	struct kt_cgroup_record *cgroups; /* that exist when the hold ends */
};

/* One record for each step whose hold has begun, in order: the n-th is the n-th step's. */
struct kt_records {
	struct kt_step_record *first, **end;
};

void kt_records_init(struct kt_records *records);
void kt_records_deinit(struct kt_records *records);

/* Called at the beginning and at the end of a step's hold. Return 0 or a negative errno. */
int kt_record_begin(struct kt_records *records, struct kt_live *live, const char *name,
		    struct kt_step_record **ret_record, struct kt_err *reterr);

/*
 * Completes the record of the hold that ends now with what each cgroup has used since its start.
 * Returns 0 or a negative errno with a message.
 */
int kt_record_end(struct kt_step_record *record, struct kt_live *live, struct kt_err *reterr);

/* Returns the record of @cgroup in the hold of @step, or NULL. */
const struct kt_cgroup_record *kt_record_find(const struct kt_records *records, unsigned int step,
					      const char *cgroup);

/* A new array for the sidecar, an object for each step; NULL: out of memory. */
json_t *kt_records_to_json(const struct kt_records *records);
