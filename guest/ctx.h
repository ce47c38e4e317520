/* SPDX-License-Identifier: MIT */
#pragma once
/* The running test, behind the public struct kt_ctx: in the guest, and on the host for .post_vm. */

#include <pthread.h>

#include <ktest/ctx.h>
#include <ktest/test.h>

#include "wire/result.h"

struct kt_scenario;

/* What .post_vm may look at. */
struct kt_vm_view {
	const char *out;
	const char *err;
	const char *console;
};

struct kt_ctx {
	const struct kt_test *test;
	struct kt_topology topology; /* defaults filled in */
	uint64_t seed;
	uint64_t began_ns; /* CLOCK_MONOTONIC */
	unsigned int time_scale_percent;
	int step;             /* running now, -1 outside the steps */
	pthread_mutex_t lock; /* of result */
	struct kt_result result;
	struct kt_scenario *scenario;  /* guest only */
	const struct kt_vm_view *view; /* host only */
};

void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test);
void kt_ctx_deinit(struct kt_ctx *ctx);

/* The topology of @test with the defaults filled in. */
struct kt_topology kt_test_topology(const struct kt_test *test);

/* The duration of @test with the default filled in. */
unsigned int kt_test_duration_ms(const struct kt_test *test);

/* A deadline @ms from now, longer where the machine is slow. */
uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms);

/*
 * Calls one of the test's functions and turns what it returns into a verdict: a negative result
 * without a recorded failure is one. @what names the function, as "run".
 */
int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what);
