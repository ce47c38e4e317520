/* SPDX-License-Identifier: MIT */
/*
 * The payloads that run in a scenario at this moment, and what came out of those that have ended.
 *
 * The operations of guest/scenario/op.c start, wait for, kill and move payloads here. A payload is
 * known by its declaration and its cgroup, so the same payload runs at most once in each cgroup. A
 * payload that ends leaves the list and an entry in @done, and its failed checks become failures of
 * the test. Payloads that the scenario itself ends are not checked. At the end of the scenario the
 * list must be empty.
 */
#include "guest/payload/set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "wire/json.h"

#define REPORTED_METRICS_MAX 300u /* of each payload: a result must fit into one frame */
#define REPORTED_MAX         500u /* payloads; .run may execute any number */

void kt_payload_set_init(struct kt_payload_set *set, struct kt_ctx *ctx)
{
	*set = (struct kt_payload_set){ .ctx = ctx };
}

void kt_payload_set_deinit(struct kt_payload_set *set)
{
	json_decref(set->done);
	set->done = NULL;
}

/* Removes @live from the list and frees it. Kills the payload if it still runs. */
static void live_free(struct kt_payload_set *set, struct kt_live_payload *live)
{
	struct kt_live_payload **at = &set->first;

	while (*at != live)
		at = &(*at)->next;
	*at = live->next;
	(void)kt_payload_free(live->run);
	free(live->cgroup);
	free(live);
}

int kt_payload_set_start(struct kt_payload_set *set, const struct kt_payload *payload,
			 const char *const *args, const char *cgroup, struct kt_err *reterr)
{
	struct kt_live_payload *live, *same;
	int r;

	if (kt_payload_set_find(set, payload, cgroup, &same, NULL) == 0)
		return kt_err_set(reterr, -EEXIST, "payload %s runs in cgroup '%s' already",
				  payload->name, cgroup);
	live = calloc(1, sizeof(*live));
	if (!live)
		return kt_err_oom(reterr);
	live->payload = payload;
	live->cgroup = strdup(cgroup);
	live->next = set->first;
	set->first = live;
	r = live->cgroup
		    ? kt_payload_start(payload, args, *cgroup ? cgroup : NULL, &live->run, reterr)
		    : kt_err_oom(reterr);
	if (r < 0)
		live_free(set, live);
	return r;
}

int kt_payload_set_find(struct kt_payload_set *set, const struct kt_payload *payload,
			const char *cgroup, struct kt_live_payload **ret_live,
			struct kt_err *reterr)
{
	struct kt_live_payload *found = NULL;

	for (struct kt_live_payload *at = set->first; at; at = at->next) {
		if (at->payload != payload || (cgroup && strcmp(at->cgroup, cgroup)))
			continue;
		if (found)
			return kt_err_set(reterr, -ENOTUNIQ,
					  "payload %s runs in '%s' and in '%s': say which cgroup",
					  payload->name, found->cgroup, at->cgroup);
		found = at;
	}
	if (!found)
		return kt_err_set(reterr, -ENOENT, "payload %s does not run%s%s%s", payload->name,
				  cgroup ? " in cgroup '" : "", cgroup ?: "", cgroup ? "'" : "");
	*ret_live = found;
	return 0;
}

/* Metrics beyond REPORTED_METRICS_MAX are left out; the checks have seen all of them. */
static json_t *metrics_to_json(const struct kt_metrics *metrics)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < KT_MIN(metrics->n, REPORTED_METRICS_MAX); i++)
		(void)json_object_set_new(object, metrics->at[i].name,
					  json_real(metrics->at[i].value));
	return object;
}

static void add_excerpt(json_t *entry, const char *name, const struct kt_payload_text *text)
{
	if (text->excerpt && text->excerpt_len)
		(void)json_object_set_new(entry, name,
					  kt_json_text(text->excerpt, text->excerpt_len));
}

/*
 * Without memory the entry is missing, which fails nothing. A child of the test has a copy of the
 * set, which nobody reads, and of a lock that may never be released.
 */
static void append(struct kt_payload_set *set, json_t *entry)
{
	if (set->ctx->owner == getpid()) {
		(void)pthread_mutex_lock(&set->ctx->lock);
		if (!set->done)
			set->done = json_array();
		if (set->n_done++ < REPORTED_MAX && set->done)
			(void)json_array_append(set->done, entry);
		(void)pthread_mutex_unlock(&set->ctx->lock);
	}
	json_decref(entry);
}

void kt_payload_set_note(struct kt_payload_set *set, const struct kt_payload *payload,
			 const char *cgroup, const struct kt_payload_outcome *outcome,
			 bool has_failed)
{
	json_t *entry = json_pack("{ss ss si sI so}", "name", payload->name, "cgroup", cgroup ?: "",
				  "status", outcome->status, "duration_ns",
				  (json_int_t)outcome->duration_ns, "metrics",
				  metrics_to_json(&outcome->metrics));

	if (has_failed) {
		add_excerpt(entry, "stdout", &outcome->out);
		add_excerpt(entry, "stderr", &outcome->err);
		kt_payload_print(payload, outcome);
	}
	append(set, entry);
}

/* A failed check is a failure at the line of the test. */
static void on_failure(void *data, const char *what)
{
	const struct kt_payload_set *set = data;
	const struct kt_test *test = set->ctx->test;

	(void)kt_fail(set->ctx, (struct kt_where){ test->file, test->line }, "%s", what);
}

/*
 * Judges a payload that was killed by its checks of metrics: the status shows the kill, and TAP has
 * no end. A copy of the declaration without the other checks is passed on.
 */
static unsigned int check_killed(struct kt_payload_set *set, const struct kt_payload *payload,
				 const struct kt_payload_outcome *outcome)
{
	struct kt_payload_outcome ended = *outcome;
	struct kt_payload without = *payload;
	KT_FREE struct kt_check *checks = NULL;
	size_t n = 0, kept = 0;

	while (payload->checks && !payload->checks[n].end)
		n++;
	checks = calloc(n + 1, sizeof(*checks));
	if (!checks)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (payload->checks[i].kind != KT_CHECK_EXIT_CODE)
			checks[kept++] = payload->checks[i];
	}
	checks[kept].end = true;
	without.checks = checks;
	without.output &= KT_OUTPUT_JSON;
	ended.status = 0;
	return kept ? kt_payload_check(&without, &ended, on_failure, set) : 0;
}

int kt_payload_set_wait(struct kt_payload_set *set, struct kt_live_payload *live,
			unsigned int timeout_ms, struct kt_err *reterr)
{
	KT_CLEANUP(kt_payload_outcome_deinit)
	struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	struct kt_err reason;
	int r = kt_payload_wait(live->run, kt_ctx_deadline_ns(set->ctx, timeout_ms), &outcome,
				reterr);

	live->has_failed = r < 0;
	if (r < 0)
		return r;
	if (kt_payload_check(live->payload, &outcome, on_failure, set))
		r = KT_FAILED;
	kt_payload_set_note(set, live->payload, live->cgroup, &outcome, r);
	if (!r && kt_payload_skips(live->payload, &outcome, &reason))
		r = kt_skip(set->ctx, "%s", reason.text);
	live_free(set, live);
	return r;
}

int kt_payload_set_kill(struct kt_payload_set *set, struct kt_live_payload *live,
			struct kt_err *reterr)
{
	KT_CLEANUP(kt_payload_outcome_deinit)
	struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	unsigned int n_failures;
	int r = kt_payload_kill(live->run, &outcome, reterr);

	if (r < 0)
		return r;
	n_failures = check_killed(set, live->payload, &outcome);
	kt_payload_set_note(set, live->payload, live->cgroup, &outcome, n_failures);
	live_free(set, live);
	return n_failures ? KT_FAILED : 0;
}

void kt_payload_set_end(struct kt_payload_set *set,
			bool (*is_ending)(void *data, const char *cgroup), void *data)
{
	struct kt_live_payload *next;

	for (struct kt_live_payload *at = set->first; at; at = next) {
		KT_CLEANUP(kt_payload_outcome_deinit)
		struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;

		next = at->next;
		if (!is_ending(data, at->cgroup))
			continue;
		if (kt_payload_kill(at->run, &outcome, NULL) == 0)
			kt_payload_set_note(set, at->payload, at->cgroup, &outcome, at->has_failed);
		live_free(set, at);
	}
}

int kt_payload_set_move(struct kt_payload_set *set, const char *from, const char *to)
{
	for (struct kt_live_payload *at = set->first; at; at = at->next) {
		char *moved;

		if (strcmp(at->cgroup, from))
			continue;
		moved = strdup(to);
		if (!moved)
			return -ENOMEM;
		free(at->cgroup);
		at->cgroup = moved;
	}
	return 0;
}

bool kt_payload_set_has(const struct kt_payload_set *set, pid_t pid)
{
	const struct kt_live_payload *at = set->first;

	while (at && kt_payload_pid(at->run) != pid)
		at = at->next;
	return at != NULL;
}
