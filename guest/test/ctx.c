/* SPDX-License-Identifier: MIT */
/*
 * What a test's functions can ask and record. Two processes use it: init in the guest, for .run and
 * .check, and the session on the host, for .post_vm. What only one of them has (ctx->scenario,
 * ctx->view) is NULL in the other one.
 *
 * A failure does not end a function by itself: it is recorded, and the macros of ktest/assert.h
 * return KT_FAILED. Threads may record failures at the same time; ctx->lock guards the result.
 */

#include "guest/test/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ktest/scheduler.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define DEFAULT_DURATION_MS 2000u

void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test)
{
	*ctx = (struct kt_ctx){
		.test = test,
		.topology = kt_test_topology(test),
		.began_ns = kt_now_ns(),
		.time_scale_percent = 100,
		.step = -1,
		.result = KT_RESULT_NULL,
	};
	(void)pthread_mutex_init(&ctx->lock, NULL);
}

void kt_ctx_deinit(struct kt_ctx *ctx)
{
	kt_result_deinit(&ctx->result);
	(void)pthread_mutex_destroy(&ctx->lock);
}

struct kt_topology kt_test_topology(const struct kt_test *test)
{
	static const struct kt_topology unset;
	struct kt_topology topology = test->topology;
	const struct kt_topology *other = test->scheduler ? &test->scheduler->topology : &unset;

	topology.llcs = topology.llcs ?: other->llcs;
	topology.cores = topology.cores ?: other->cores;
	topology.threads = topology.threads ?: other->threads;
	topology.numa_nodes = topology.numa_nodes ?: other->numa_nodes;
	if (!topology.llcs && !topology.cores && !topology.threads && !topology.numa_nodes) {
		topology.llcs = 1;
		topology.cores = 2;
	}
	topology.threads = topology.threads ?: 1;
	topology.numa_nodes = topology.numa_nodes ?: 1;
	return topology;
}

unsigned int kt_test_duration_ms(const struct kt_test *test)
{
	return test->duration_ms ?: DEFAULT_DURATION_MS;
}

/* Deadlines are scaled, so that callers use the same ones on every machine. */
uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms)
{
	return kt_now_ns() + ms * KT_NSEC_PER_MSEC * ctx->time_scale_percent / 100;
}

const struct kt_topology *kt_topology(const struct kt_ctx *ctx)
{
	return &ctx->topology;
}

uint64_t kt_seed(const struct kt_ctx *ctx)
{
	return ctx->seed;
}

uint64_t kt_elapsed_ns(const struct kt_ctx *ctx)
{
	return kt_now_ns() - ctx->began_ns;
}

const char *kt_vm_stdout(const struct kt_ctx *ctx)
{
	return ctx->view ? ctx->view->out : NULL;
}

const char *kt_vm_stderr(const struct kt_ctx *ctx)
{
	return ctx->view ? ctx->view->err : NULL;
}

const char *kt_vm_scheduler_log(const struct kt_ctx *ctx)
{
	return ctx->view ? ctx->view->scheduler_log : NULL;
}

const char *kt_vm_scheduler_dump(const struct kt_ctx *ctx)
{
	return ctx->view ? ctx->view->scheduler_dump : NULL;
}

const char *kt_vm_console(const struct kt_ctx *ctx)
{
	return ctx->view ? ctx->view->console : NULL;
}

bool kt_vm_failed(const struct kt_ctx *ctx)
{
	return ctx->view && ctx->result.verdict > KT_VERDICT_PASS;
}

/*
 * Errors are ignored: without memory, or room for more failures, the verdict is FAIL all the same
 * and only the text is missing.
 */
static void add_failure(struct kt_ctx *ctx, const struct kt_failure *failure)
{
	(void)pthread_mutex_lock(&ctx->lock);
	(void)kt_result_add_failure(&ctx->result, failure);
	(void)pthread_mutex_unlock(&ctx->lock);
}

void kt_ctx_fail_limit(struct kt_ctx *ctx, struct kt_where where, const char *what,
		       const char *expected, const char *got, uint64_t excess_ns,
		       double excess_share)
{
	const struct kt_failure failure = {
		.file = (char *)where.file,
		.line = where.line,
		.what = (char *)what,
		.expected = (char *)expected,
		.got = (char *)got,
		.step = -1, /* it is about the whole test */
		.elapsed_ns = kt_elapsed_ns(ctx),
		.excess_ns = excess_ns,
		.excess_share = excess_share,
	};

	add_failure(ctx, &failure);
}

int kt_fail_values(struct kt_ctx *ctx, struct kt_where where, const char *what,
		   const char *expected, const char *got)
{
	const struct kt_failure failure = {
		.file = (char *)where.file,
		.line = where.line,
		.what = (char *)what,
		.expected = (char *)expected,
		.got = (char *)got,
		.step = ctx->step,
		.elapsed_ns = kt_elapsed_ns(ctx),
	};

	add_failure(ctx, &failure);
	return KT_FAILED;
}

int kt_fail(struct kt_ctx *ctx, struct kt_where where, const char *format, ...)
{
	struct kt_err text;
	va_list ap;

	va_start(ap, format);
	(void)kt_err_vset(&text, 0, format, ap);
	va_end(ap);
	return kt_fail_values(ctx, where, text.text, NULL, NULL);
}

/* A verdict that is more severe stays, with its reason (kt_result_merge()). */
static int end_as(struct kt_ctx *ctx, enum kt_verdict verdict, const char *format, va_list ap)
{
	struct kt_err reason;

	(void)kt_err_vset(&reason, 0, format, ap);
	(void)pthread_mutex_lock(&ctx->lock);
	kt_result_merge(&ctx->result, verdict, reason.text);
	(void)pthread_mutex_unlock(&ctx->lock);
	return KT_FAILED;
}

int kt_skip(struct kt_ctx *ctx, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = end_as(ctx, KT_VERDICT_SKIP, format, ap);
	va_end(ap);
	return r;
}

int kt_inconclusive(struct kt_ctx *ctx, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = end_as(ctx, KT_VERDICT_INCONCLUSIVE, format, ap);
	va_end(ap);
	return r;
}

int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what)
{
	const struct kt_where where = { ctx->test->file, ctx->test->line };
	int r;

	if (!fn)
		return 0;
	r = fn(ctx);
	/* KT_FAILED comes from an assertion, which has recorded why. */
	if (r && ctx->result.verdict == KT_VERDICT_PASS)
		(void)kt_fail(ctx, where, ".%s of %s returned %d (%s)", what, ctx->test->name, r,
			      r < 0 ? strerror(-r) : "not a negative errno");
	return r;
}
