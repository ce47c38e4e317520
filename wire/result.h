/* SPDX-License-Identifier: MIT */
#pragma once
/* RSLT: what came out of a test, and how verdicts merge. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* In the order of merging: the greatest wins. */
enum kt_verdict {
	KT_VERDICT_SKIP, /* not applicable here; the reason says why */
	KT_VERDICT_PASS,
	KT_VERDICT_INCONCLUSIVE, /* nothing was measured */
	KT_VERDICT_ERROR,        /* the harness, the boot or the machine failed */
	KT_VERDICT_FAIL,         /* a check failed, the guest died, the test timed out */
	KT_N_VERDICTS,
};

/* "skip", "pass", "inconclusive", "error", "fail". */
const char *kt_verdict_name(enum kt_verdict verdict);
int kt_verdict_parse(const char *name, enum kt_verdict *ret_verdict);

/* One thing that went wrong. Strings may be NULL where there is nothing to say. */
struct kt_failure {
	char *file; /* of the assertion */
	unsigned int line;
	char *what; /* the expression or a sentence; never NULL */
	char *expected;
	char *got;
	int step;            /* -1 outside the steps */
	uint64_t elapsed_ns; /* since the test began */
	/*
	 * A limit that a slow host can make a test miss: by how much it was missed, in time or as a
	 * share (1 is all of it). 0 and 0: it has nothing to do with the host.
	 */
	uint64_t excess_ns;
	double excess_share;
};

struct kt_result {
	enum kt_verdict verdict;
	char *reason; /* for SKIP, INCONCLUSIVE and ERROR; else may be NULL */
	struct kt_failure *failures;
	size_t n_failures;
	unsigned int n_failures_lost; /* beyond KT_FAILURES_MAX */
	char *shed; /* what was left out to fit into a frame, in words; NULL: nothing */
	uint64_t duration_ns;    /* of the test in the guest */
	uint64_t since_begin_ns; /* from the test's first instruction to the sending of this */
	int exit_status;         /* of a shell or a command: 0..255 */
	json_t *scenario;        /* object of statistics of steps and workers, or NULL */
};

#define KT_RESULT_NULL ((struct kt_result){ .verdict = KT_VERDICT_PASS })

/* Failures beyond this many are counted in n_failures_lost, not kept. */
#define KT_FAILURES_MAX 64u

void kt_result_deinit(struct kt_result *result);

/* Raises the verdict to @verdict if that is greater; the reason follows the verdict. */
void kt_result_merge(struct kt_result *result, enum kt_verdict verdict, const char *reason);

/* Replaces the reason by a copy of @reason. */
void kt_result_set_reason(struct kt_result *result, const char *reason);

/*
 * Appends a copy of @failure and raises the verdict to FAIL; -ENOSPC beyond KT_FAILURES_MAX, the
 * verdict being raised all the same.
 */
int kt_result_add_failure(struct kt_result *result, const struct kt_failure *failure);

/* Whether it has failures, and all of them are limits that a slow host can make a test miss. */
bool kt_result_is_limits_only(const struct kt_result *result);

json_t *kt_result_to_json(const struct kt_result *result);
int kt_result_from_json(const json_t *json, struct kt_result *ret_result, struct kt_err *reterr);

/*
 * Makes a payload for RSLT, *@ret_data, to be freed. It always fits into a frame: kt_shed() leaves
 * detail out. Decoding refuses a result without a verdict; every other member is optional. Both
 * return 0 or a negative errno: -ENOMEM, -EBADMSG.
 */
int kt_result_encode(const struct kt_result *result, void **ret_data, size_t *ret_len);
int kt_result_decode(const void *data, size_t len, struct kt_result *ret_result,
		     struct kt_err *reterr);
