/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A snapshot: a report in JSON on the whole machine at one moment, made from its RAM while it
 * stands still. docs/snapshots.md describes each member.
 *
 * It has nothing of the host in it, such as times: a machine that is repeatable gives the same
 * report each time.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/registers.h"

#define KT_SNAPSHOT_SCHEMA  "ktest-snapshot"
#define KT_SNAPSHOT_VERSION 1 /* to be raised when a member changes its meaning */

#define KT_SNAPSHOT_LEN_MAX (2u << 20) /* bytes of a report as text */

/* What the caller knows about the moment. All pointers are borrowed. */
struct kt_snapshot_moment {
	const char *name;   /* of the snapshot */
	const char *reason; /* why it was taken: "request", "periodic", ... */
	int64_t elapsed_ns; /* since the test began; -1: unknown */
	int step;           /* index from 0; -1: none */
	int vcpu;           /* whose access has stopped the machine; -1: none has */
	/* Of each vCPU; NULL: unknown, and @no_registers says why. */
	const struct kt_registers *registers;
	size_t n_registers;
	const char *no_registers;
};

/*
 * Makes the report; *@ret_json has one reference. What cannot be read stands there as
 * {"error": TEXT}, and the rest goes on. The caller has called kt_inspect_refresh().
 *
 * Its size as text, compact, is at most KT_SNAPSHOT_LEN_MAX: of a report that would have more, the
 * members that are least important become errors, which say so. -ENOMEM is the only failure.
 */
int kt_snapshot_take(struct kt_inspect *inspect, const struct kt_snapshot_moment *moment,
		     json_t **ret_json, struct kt_err *reterr);

/*
 * Makes the parts of a report errors, the least important first, until its compact text has at most
 * @len_max bytes, or only the most important part is left. 0 or -ENOMEM.
 */
int kt_snapshot_fit(json_t *report, size_t len_max);

/* What stands in place of a report that could not be made, because of @why: it has no "kernel". */
json_t *kt_snapshot_placeholder(const struct kt_snapshot_moment *moment, const char *why);
