/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The context of a running test: what the test's functions get as struct kt_ctx, and where they
 * record failures. The guest has one for .run and .check, the host another one for .post_vm.
 */

#include <pthread.h>

#include <ktest/ctx.h>
#include <ktest/test.h>

#include "wire/result.h"

struct kt_scenario; /* guest/scenario/state.h */

/* What the machine has left behind, for .post_vm. Texts are borrowed. */
struct kt_vm_view {
	const char *out;            /* standard output of the test */
	const char *err;            /* standard error */
	const char *console;        /* the kernel's console */
	const char *scheduler_log;  /* what the scheduler has printed */
	const char *scheduler_dump; /* what the kernel has dumped of the scheduler */
};

struct kt_ctx {
	const struct kt_test *test;      /* borrowed */
	struct kt_topology topology;     /* of the machine, with defaults filled in */
	uint64_t seed;                   /* of everything random in the test */
	uint64_t began_ns;               /* CLOCK_MONOTONIC when the test began */
	unsigned int time_scale_percent; /* factor of all deadlines; above 100 on a slow machine */
	enum kt_work_type work_type;     /* --work-type, for swappable works; or KT_WORK_NONE */
	int step;                        /* index of the running step; -1 outside the steps */

	/* Threads of a .run function may record failures: @result changes under @lock. */
	pthread_mutex_t lock;
	struct kt_result result;

	struct kt_scenario *scenario;  /* in the guest while the test runs; else NULL */
	const struct kt_vm_view *view; /* on the host in .post_vm; else NULL */
};

/* Makes a context for @test (borrowed) that begins now: step -1, 100 %, an empty result. */
void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test);

/* Frees the result; a caller that keeps it takes it out first. */
void kt_ctx_deinit(struct kt_ctx *ctx);

/* The topology of @test with the defaults filled in. */
struct kt_topology kt_test_topology(const struct kt_test *test);

/* The duration of @test with the default filled in. */
unsigned int kt_test_duration_ms(const struct kt_test *test);

/* The deadline (CLOCK_MONOTONIC) that is @ms milliseconds, times the time scale, from now. */
uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms);

/*
 * Records a failure like kt_fail_values(), of a limit that a slow host can make a test miss.
 * @excess_ns or @excess_share is by how much it was missed (struct kt_failure): the host compares
 * that with the time that it took away from the vCPUs, and may turn the failure into INCONCLUSIVE.
 */
void kt_ctx_fail_limit(struct kt_ctx *ctx, struct kt_where where, const char *what,
		       const char *expected, const char *got, uint64_t excess_ns,
		       double excess_share);

/*
 * Calls @fn, a function of the test; NULL is allowed and returns 0. When it returns other than 0
 * without having recorded anything, that is recorded as a failure. @what is the member of struct
 * kt_test that it comes from: "run". Returns what @fn returns.
 */
int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what);
