/* SPDX-License-Identifier: MIT */
/*
 * The records of the steps' holds. The kernel counts a cgroup's CPU time from its creation, so the
 * values at the start of a hold are kept in the live cgroup (struct kt_live_cgroup) and subtracted
 * at its end. A cgroup that is created during the hold begins at 0; one that is removed during it
 * gets no record.
 */

#include "guest/scenario/record.h"

#include <stdlib.h>
#include <string.h>

void kt_records_init(struct kt_records *records)
{
	*records = (struct kt_records){ .end = &records->first };
}

static void record_free(struct kt_step_record *record)
{
	while (record->cgroups) {
		struct kt_cgroup_record *cgroup = record->cgroups;

		record->cgroups = cgroup->next;
		free(cgroup->name);
		free(cgroup);
	}
	free(record);
}

void kt_records_deinit(struct kt_records *records)
{
	while (records->first) {
		struct kt_step_record *record = records->first;

		records->first = record->next;
		record_free(record);
	}
}

int kt_record_begin(struct kt_records *records, struct kt_live *live, const char *name,
		    struct kt_step_record **ret_record, struct kt_err *reterr)
{
	struct kt_step_record *record = calloc(1, sizeof(*record));

	if (!record)
		return kt_err_oom(reterr);
	record->name = name;
	/* Before anything can fail: records are found by the number of their step. */
	*records->end = record;
	records->end = &record->next;
	for (struct kt_live_cgroup *at = live->first; at; at = at->next) {
		int r = kt_cgroup_usage(at->name, &at->begin, reterr);

		if (r < 0)
			return r;
		at->begin_iterations = kt_live_iterations(at);
	}
	record->begin_ns = kt_elapsed_ns(live->ctx);
	*ret_record = record;
	return 0;
}

static int record_cgroup(struct kt_step_record *record, const struct kt_live_cgroup *live,
			 struct kt_err *reterr)
{
	struct kt_cgroup_record *cgroup = calloc(1, sizeof(*cgroup));
	int r;

	if (!cgroup)
		return kt_err_oom(reterr);
	cgroup->next = record->cgroups;
	record->cgroups = cgroup; /* owned from here on, also on failure */
	cgroup->name = strdup(live->name);
	if (!cgroup->name)
		return kt_err_oom(reterr);
	r = kt_cgroup_usage(live->name, &cgroup->usage, reterr);
	cgroup->usage.usage_us -= live->begin.usage_us;
	cgroup->usage.user_us -= live->begin.user_us;
	cgroup->usage.system_us -= live->begin.system_us;
	/* Iterations of workers that ended during the hold are gone from the sum: never below 0. */
	cgroup->iterations = kt_live_iterations(live);
	cgroup->iterations -= cgroup->iterations < live->begin_iterations ? cgroup->iterations
									  : live->begin_iterations;
	return r;
}

int kt_record_end(struct kt_step_record *record, struct kt_live *live, struct kt_err *reterr)
{
	record->end_ns = kt_elapsed_ns(live->ctx);
	for (const struct kt_live_cgroup *at = live->first; at; at = at->next) {
		int r = record_cgroup(record, at, reterr);

		if (r < 0)
			return r;
	}
	return 0;
}

const struct kt_cgroup_record *kt_record_find(const struct kt_records *records, unsigned int step,
					      const char *cgroup)
{
	const struct kt_step_record *record = records->first;
	const struct kt_cgroup_record *at;

	/* No step is skipped: a test ends at the first step that fails. */
	while (record && step--)
		record = record->next;
	at = record ? record->cgroups : NULL;
	while (at && strcmp(at->name, cgroup))
		at = at->next;
	return at;
}

static json_t *cgroups_to_json(const struct kt_step_record *record)
{
	json_t *array = json_array();

	for (const struct kt_cgroup_record *at = record->cgroups; array && at; at = at->next)
		(void)json_array_append_new(array,
					    json_pack("{ss sI sI sI sI}", "name", at->name,
						      "usage_us", (json_int_t)at->usage.usage_us,
						      "user_us", (json_int_t)at->usage.user_us,
						      "system_us", (json_int_t)at->usage.system_us,
						      "iterations", (json_int_t)at->iterations));
	return array;
}

/* Names that are NULL are left out ("s*"). */
json_t *kt_records_to_json(const struct kt_records *records)
{
	json_t *array = json_array();

	for (const struct kt_step_record *at = records->first; array && at; at = at->next)
		(void)json_array_append_new(array, json_pack("{ss* ss* sI sI so}", "name", at->name,
							     "scheduler", at->scheduler, "begin_ns",
							     (json_int_t)at->begin_ns, "end_ns",
							     (json_int_t)at->end_ns, "cgroups",
							     cgroups_to_json(at)));
	return array;
}
