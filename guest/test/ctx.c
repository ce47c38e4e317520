/* SPDX-License-Identifier: MIT */
/*
 * What a test's functions can ask and record. Two processes use it: init in the guest, for .run and
 * .check, and the session on the host, for .post_vm. What only one of them has (ctx->scenario,
 * ctx->view) is NULL in the other one.
 *
 * A failure does not end a function by itself: it is recorded, and the macros of ktest/assert.h
 * return KT_FAILED. Threads may record failures at the same time; ctx->lock guards the result.
 * A forked child has a copy of the context. It never touches the lock; its failures go through the
 * child log (child.h).
 */

#include "guest/test/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ktest/scheduler.h>

#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"

void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test)
{
	*ctx = (struct kt_ctx){
		.test = test,
		.topology = kt_test_topology(test),
		.began_ns = kt_now_ns(),
		.asked_ns = kt_now_ns(),
		.time_scale_percent = 100,
		.step = -1,
		.owner = getpid(),
		.children = kt_child_log_new(),
		.result = KT_RESULT_NULL,
	};
	(void)pthread_mutex_init(&ctx->lock, NULL);
	kt_kernel_memory_init(&ctx->kernel);
}

void kt_ctx_deinit(struct kt_ctx *ctx)
{
	kt_kernel_memory_deinit(&ctx->kernel);
	kt_result_deinit(&ctx->result);
	ctx->children = kt_child_log_free(ctx->children);
	(void)pthread_mutex_destroy(&ctx->lock);
}

/*
 * The report needs time for processes that have to be killed, for a dump and a log to be sent, and
 * for the host's clock, which began to count before this one.
 */
static uint64_t reserve_ns(const struct kt_ctx *ctx)
{
	return KT_MIN(ctx->limit_ns / 4, 8 * KT_NSEC_PER_SEC);
}

uint64_t kt_ctx_report_ns(const struct kt_ctx *ctx)
{
	return ctx->limit_ns ? ctx->asked_ns + ctx->limit_ns - reserve_ns(ctx) : KT_NSEC_NEVER;
}

uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms)
{
	uint64_t now_ns = kt_now_ns();
	uint64_t ns = now_ns + ms * KT_NSEC_PER_MSEC * ctx->time_scale_percent / 100;

	/* Teardown after such a wait gets a quarter of the time that is reserved for the report. */
	return KT_MIN(ns, KT_MAX(kt_ctx_report_ns(ctx), now_ns + reserve_ns(ctx) / 4));
}

uint64_t kt_ctx_grace_ns(const struct kt_ctx *ctx)
{
	return ctx->limit_ns ? KT_MIN(reserve_ns(ctx) / 2, 3 * KT_NSEC_PER_SEC)
			     : 3 * KT_NSEC_PER_SEC;
}

uint64_t kt_ctx_patient_deadline_ns(const struct kt_ctx *ctx, unsigned int ms)
{
	uint64_t deadline_ns = kt_ctx_deadline_ns(ctx, ms);

	return ctx->limit_ns ? KT_MAX(deadline_ns, kt_ctx_report_ns(ctx)) : deadline_ns;
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

void kt_ctx_take_children(struct kt_ctx *ctx)
{
	(void)pthread_mutex_lock(&ctx->lock);
	kt_child_log_take(ctx->children, &ctx->result);
	(void)pthread_mutex_unlock(&ctx->lock);
}

/* A child does not touch the lock: another thread may have held it when the child was forked. */
static void add_failure(struct kt_ctx *ctx, const struct kt_failure *failure)
{
	if (getpid() != ctx->owner) {
		kt_child_log_add(ctx->children, failure);
		return;
	}
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
	if (getpid() != ctx->owner) {
		const struct kt_where where = { ctx->test->file, ctx->test->line };

		return kt_fail(ctx, where, "a forked child cannot end the test as \"%s\": %s",
			       kt_verdict_name(verdict), reason.text);
	}
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

/*
 * A child that the test forked has returned from the test's function. Past this point it would act
 * as PID 1 and send a verdict of its own.
 */
__attribute__((noreturn)) static void end_child(struct kt_ctx *ctx, const char *what)
{
	const struct kt_where where = { ctx->test->file, ctx->test->line };

	(void)kt_fail(ctx, where,
		      "a child that the test forked returned from .%s; end it with _exit()", what);
	(void)fflush(NULL);
	_exit(1);
}

int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what)
{
	const struct kt_where where = { ctx->test->file, ctx->test->line };
	int r;

	if (!fn)
		return 0;
	r = fn(ctx);
	if (getpid() != ctx->owner)
		end_child(ctx, what);
	if (r && ctx->result.verdict == KT_VERDICT_PASS)
		(void)kt_fail(ctx, where, ".%s of %s returned %d (%s)", what, ctx->test->name, r,
			      r < 0 ? strerror(-r) : "not a negative errno");
	return r;
}
