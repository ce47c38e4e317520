/* SPDX-License-Identifier: MIT */
#pragma once
/* RSLT: the guest's result of a test, and the rules by which verdicts are merged. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/turns.h"

/* The order is that of merging: a greater verdict replaces a smaller one, except for SKIP. */
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

/* A check that failed, or another thing that went wrong. */
struct kt_failure {
	char *file;          /* of the assertion; NULL: the failure is not one of an assertion */
	unsigned int line;   /* in @file; 0 without one */
	char *what;          /* the expression, or a sentence; never NULL in a result */
	char *expected;      /* NULL: there is no value to compare with */
	char *got;           /* likewise */
	int step;            /* index from 0; -1: outside the steps */
	uint64_t elapsed_ns; /* since the test began */
	/*
	 * By how much a limit was missed that a slow host can make a test miss: a time, or a share
	 * (1 is the whole). Both 0: a slow host cannot be the cause.
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
	char *shed;           /* what was left out to fit into a frame, in words; NULL: nothing */
	uint64_t duration_ns; /* of the test in the guest */
	struct kt_turns_made turns;
	uint64_t since_begin_ns;  /* from the test's first instruction to the sending of this */
	unsigned int left_behind; /* processes that the test left running; they were killed */
	int exit_status;          /* of a shell or a command: 0..255 */
	json_t *scenario;         /* object of statistics of steps and workers, or NULL */
};

#define KT_RESULT_NULL ((struct kt_result){ .verdict = KT_VERDICT_PASS })

/* Failures beyond this many are counted in n_failures_lost, not kept. */
#define KT_FAILURES_MAX 64u

/* Frees what @result owns and resets it to KT_RESULT_NULL. */
void kt_result_deinit(struct kt_result *result);

/*
 * Takes over @verdict and a copy of @reason (may be NULL) if @verdict is greater than the result's,
 * or if it is SKIP and the result is PASS.
 */
void kt_result_merge(struct kt_result *result, enum kt_verdict verdict, const char *reason);

/* Replaces the reason by a copy of @reason; NULL removes it. */
void kt_result_set_reason(struct kt_result *result, const char *reason);

/*
 * Appends a copy of @failure, its texts cut to 3000 bytes, and raises the verdict to FAIL. Returns
 * 0, -ENOMEM, or -ENOSPC beyond KT_FAILURES_MAX; the verdict is raised in any case.
 */
int kt_result_add_failure(struct kt_result *result, const struct kt_failure *failure);

/* True when there are failures and each is of a limit that a slow host can make a test miss. */
bool kt_result_is_limits_only(const struct kt_result *result);

/* A new object; NULL when out of memory. */
json_t *kt_result_to_json(const struct kt_result *result);

/* -EBADMSG when @json is not what kt_result_to_json() writes; -ENOMEM. */
int kt_result_from_json(const json_t *json, struct kt_result *ret_result, struct kt_err *reterr);

/*
 * Makes a payload for RSLT, *@ret_data, to be freed. It always fits into a frame: kt_shed() leaves
 * detail out. Decoding refuses a result without a verdict; every other member is optional. Both
 * return 0 or a negative errno: -ENOMEM, -EBADMSG.
 */
int kt_result_encode(const struct kt_result *result, void **ret_data, size_t *ret_len);

/* Reads the payload of RSLT, which is not trusted. -EBADMSG when it is malformed; -ENOMEM. */
int kt_result_decode(const void *data, size_t len, struct kt_result *ret_result,
		     struct kt_err *reterr);
