/* SPDX-License-Identifier: MIT */
#pragma once
/* What came out of one attempt of one test: the guest's result and the session's view of it. */

#include <ktest/test.h>

#include "framework/outcome/capture.h"
#include "wire/result.h"

/* Where an attempt is; each has a deadline of its own. */
enum kt_phase {
	KT_PHASE_BOOT,     /* until HELO */
	KT_PHASE_FORK,     /* the same from a template */
	KT_PHASE_READY,    /* until the runner wants the test */
	KT_PHASE_RUN,      /* until RSLT */
	KT_PHASE_TEARDOWN, /* until the machine is gone */
	KT_N_PHASES,
};

/* "boot", "fork", "ready", "run", "teardown". */
const char *kt_phase_name(enum kt_phase phase);

struct kt_kernel; /* framework/kernel/kernel.h */

struct kt_outcome {
	const struct kt_test *test;
	const char *name; /* the test's, with the kernel's where there are several; borrowed */
	const struct kt_kernel *kernel; /* on which; borrowed */
	unsigned int iteration;         /* of --stress-count, from 1 */
	unsigned int attempt;           /* of --retries, from 1 */
	uint64_t seed;                  /* with --seed of it, a run's first attempt is this one */
	struct kt_result result;
	uint64_t phase_ns[KT_N_PHASES]; /* time spent in each */
	uint64_t total_ns;              /* from start to end of the attempt */
	uint64_t begin_ns; /* from wanting a machine to the test's first instruction; 0: never */
	struct kt_capture out; /* standard output of the guest */
	struct kt_capture err;
	struct kt_capture console;
	struct kt_capture dmesg;     /* kernel log of a failed test */
	struct kt_capture scx_log;   /* what its schedulers have printed */
	struct kt_capture scx_dump;  /* what the kernel has dumped of them */
	struct kt_capture host;      /* what the session process itself printed, as .post_vm does */
	struct kt_outcome *previous; /* attempts of this test before, latest first; not owned */
};

#define KT_OUTCOME_NULL                                                                            \
	((struct kt_outcome){                                                                      \
		.iteration = 1,                                                                    \
		.attempt = 1,                                                                      \
		.result = KT_RESULT_NULL,                                                          \
		.out = KT_CAPTURE_NULL,                                                            \
		.err = KT_CAPTURE_NULL,                                                            \
		.console = KT_CAPTURE_NULL,                                                        \
		.dmesg = KT_CAPTURE_NULL,                                                          \
		.scx_log = KT_CAPTURE_NULL,                                                        \
		.scx_dump = KT_CAPTURE_NULL,                                                       \
		.host = KT_CAPTURE_NULL,                                                           \
	})

/* Makes the captures. */
int kt_outcome_init(struct kt_outcome *outcome, const struct kt_test *test, struct kt_err *reterr);
void kt_outcome_deinit(struct kt_outcome *outcome);

/*
 * Of a test that has failed limits only that a slow host can make it miss, and by no more than what the
 * host has taken from its machine (@stolen_ns of the @run_ns that it ran), nothing is known: it becomes
 * INCONCLUSIVE, with the reason. Its failures stay.
 */
void kt_outcome_judge_host(struct kt_outcome *outcome, uint64_t stolen_ns, uint64_t run_ns);

/* Moves all of it to a new one on the heap, leaving KT_OUTCOME_NULL; NULL when out of memory. */
struct kt_outcome *kt_outcome_take(struct kt_outcome *outcome);

/* Everything but the captures, as one line of JSON, from the session to the runner; to be freed. */
char *kt_outcome_encode(const struct kt_outcome *outcome);
int kt_outcome_decode(const void *data, size_t len, struct kt_outcome *outcome,
		      struct kt_err *reterr);
