/* SPDX-License-Identifier: MIT */
/*
 * The functions of <ktest/ctx.h> and <ktest/scheduler.h> that look at or change the running
 * scenario. A test's own functions call them in the guest. On the host, where .post_vm runs, there
 * is no scenario: queries find nothing and operations fail with a message.
 */
#include <errno.h>
#include <string.h>

#include "guest/scenario/op.h"
#include "guest/scenario/state.h"
#include "guest/scheduler/bpf_map.h"
#include "util/cleanup.h"
#include "util/clock.h"

const struct kt_cgroup_usage *kt_step_usage(const struct kt_ctx *ctx, unsigned int step,
					    const char *cgroup)
{
	const struct kt_cgroup_record *record =
		ctx->scenario ? kt_record_find(&ctx->scenario->records, step, cgroup) : NULL;

	return record ? &record->usage : NULL;
}

const struct kt_worker_report *kt_worker_reports(const struct kt_ctx *ctx, size_t *ret_n)
{
	const struct kt_reports *reports = ctx->scenario ? &ctx->scenario->live.reports : NULL;

	*ret_n = reports ? reports->n : 0;
	return reports ? reports->at : NULL;
}

bool kt_sum_reports(const struct kt_ctx *ctx, const char *cgroup, struct kt_worker_report *ret_sum)
{
	return ctx->scenario && kt_reports_sum(&ctx->scenario->live.reports, cgroup, ret_sum);
}

const pid_t *kt_captured(const struct kt_ctx *ctx, const char *tag, size_t *ret_n)
{
	const struct kt_pid_list *list =
		ctx->scenario ? kt_pid_list_find(ctx->scenario->captures, tag) : NULL;

	*ret_n = list ? list->n : 0;
	return list ? list->pids : NULL;
}

const struct kt_scheduler *kt_scheduler_attached(const struct kt_ctx *ctx)
{
	return ctx->scenario ? ctx->scenario->schedulers.scheduler : NULL;
}

const struct kt_scheduler_end *kt_scheduler_ended(const struct kt_ctx *ctx)
{
	return ctx->scenario && ctx->scenario->schedulers.has_ended ? &ctx->scenario->schedulers.end
								    : NULL;
}

int kt_hold_ms(struct kt_ctx *ctx, unsigned int ms)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!ctx->scenario)
		return -ENOTSUP;
	r = kt_scenario_hold(ctx->scenario, ms * KT_NSEC_PER_MSEC, &err);
	return r < 0 && r != KT_FAILED ? kt_scenario_fail(ctx->scenario, &err, "hold") : r;
}

int kt_apply_op(struct kt_ctx *ctx, struct kt_where where, const struct kt_op *op)
{
	KT_FREE char *text = NULL;
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!ctx->scenario)
		return kt_fail(ctx, where, "the guest has ended before .post_vm");
	r = kt_op_apply(ctx->scenario, op, -1, &err);
	if (r == 0 || r == KT_FAILED)
		return r;
	text = kt_op_text(op);
	return kt_fail(ctx, where, "%s: %s", text ?: "operation", err.text);
}

/* ---- BPF maps -------------------------------------------------------------------------------- */

bool kt_bpf_captured(const struct kt_ctx *ctx, const char *tag, uint64_t *ret_value)
{
	const struct kt_bpf_number *at = ctx->scenario ? ctx->scenario->schedulers.numbers : NULL;

	while (at && strcmp(at->tag, tag))
		at = at->next;
	if (at)
		*ret_value = at->value;
	return at;
}

static int open_map(const struct kt_ctx *ctx, const struct kt_bpf_ref *ref, int *ret_fd,
		    struct kt_err *reterr)
{
	if (!ctx->scenario)
		return kt_err_set(reterr, -ENOTSUP, "the guest has ended before .post_vm");
	return kt_scheduler_set_open_map(&ctx->scenario->schedulers, ref, ret_fd, reterr);
}

int kt_bpf_read_number(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
		       uint64_t *ret_value)
{
	struct kt_err err = KT_ERR_NULL;
	KT_CLOSE int fd = -1;
	int r = open_map(ctx, &ref, &fd, &err) ?: kt_bpf_map_read_number(fd, &ref, ret_value, &err);

	return r < 0 ? kt_fail(ctx, where, "%s", err.text) : 0;
}

int kt_bpf_write_number(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
			uint64_t value)
{
	struct kt_err err = KT_ERR_NULL;
	KT_CLOSE int fd = -1;
	int r = open_map(ctx, &ref, &fd, &err) ?: kt_bpf_map_write_number(fd, &ref, value, &err);

	return r < 0 ? kt_fail(ctx, where, "%s", err.text) : 0;
}

int kt_bpf_read_data(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref, void *data,
		     size_t len)
{
	struct kt_err err = KT_ERR_NULL;
	KT_CLOSE int fd = -1;
	int r = open_map(ctx, &ref, &fd, &err) ?: kt_bpf_map_read_bytes(fd, &ref, data, len, &err);

	return r < 0 ? kt_fail(ctx, where, "%s", err.text) : 0;
}

int kt_bpf_write_data(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
		      const void *data, size_t len)
{
	struct kt_err err = KT_ERR_NULL;
	KT_CLOSE int fd = -1;
	int r = open_map(ctx, &ref, &fd, &err) ?: kt_bpf_map_write_bytes(fd, &ref, data, len, &err);

	return r < 0 ? kt_fail(ctx, where, "%s", err.text) : 0;
}
