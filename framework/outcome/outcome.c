/* SPDX-License-Identifier: MIT */
#include "framework/outcome/outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * An outcome crosses a process boundary twice: as memory that the runner passes to the session by
 * fork(2), and back as one line of JSON. The captures need no encoding, since both processes have
 * their descriptors.
 */

static const char *const phase_names[KT_N_PHASES] = {
	[KT_PHASE_BOOT] = "boot", [KT_PHASE_FORK] = "fork",         [KT_PHASE_READY] = "ready",
	[KT_PHASE_RUN] = "run",   [KT_PHASE_TEARDOWN] = "teardown",
};

const char *kt_phase_name(enum kt_phase phase)
{
	return phase_names[phase];
}

int kt_outcome_init(struct kt_outcome *outcome, const struct kt_test *test, struct kt_err *reterr)
{
	*outcome = KT_OUTCOME_NULL;
	outcome->test = test;
	return kt_capture_init(&outcome->out, "ktest-stdout", reterr) ?:
	       kt_capture_init(&outcome->err, "ktest-stderr", reterr) ?:
	       kt_capture_init(&outcome->console, "ktest-console", reterr) ?:
	       kt_capture_init(&outcome->dmesg, "ktest-dmesg", reterr) ?:
	       kt_capture_init(&outcome->scx_log, "ktest-scheduler", reterr) ?:
	       kt_capture_init(&outcome->scx_dump, "ktest-dump", reterr) ?:
	       kt_capture_init(&outcome->trace, "ktest-trace", reterr) ?:
	       kt_capture_init(&outcome->host, "ktest-host", reterr) ?:
	       kt_snapshots_init(&outcome->snapshots, reterr);
}

void kt_outcome_deinit(struct kt_outcome *outcome)
{
	kt_result_deinit(&outcome->result);
	json_decref(outcome->freeze);
	json_decref(outcome->machine);
	kt_capture_deinit(&outcome->out);
	kt_capture_deinit(&outcome->err);
	kt_capture_deinit(&outcome->console);
	kt_capture_deinit(&outcome->dmesg);
	kt_capture_deinit(&outcome->scx_log);
	kt_capture_deinit(&outcome->scx_dump);
	kt_capture_deinit(&outcome->trace);
	kt_capture_deinit(&outcome->host);
	kt_snapshots_deinit(&outcome->snapshots);
	free(kt_steal(outcome->capsule));
	free(kt_steal(outcome->no_capsule));
	free(kt_steal(outcome->rerun));
}

void kt_outcome_fds(const struct kt_outcome *outcome, int fds[static KT_OUTCOME_FDS])
{
	const int owned[KT_OUTCOME_FDS] = {
		outcome->out.fd,   outcome->err.fd,     outcome->console.fd,
		outcome->dmesg.fd, outcome->scx_log.fd, outcome->scx_dump.fd,
		outcome->trace.fd, outcome->host.fd,    outcome->snapshots.fd,
	};

	memcpy(fds, owned, sizeof(owned));
}

struct kt_outcome *kt_outcome_take(struct kt_outcome *outcome)
{
	struct kt_outcome *taken = malloc(sizeof(*taken));

	if (!taken)
		return NULL;
	/* The captures own descriptors, so the old outcome must forget them. */
	*taken = *outcome;
	*outcome = KT_OUTCOME_NULL;
	return taken;
}

static json_t *text_or_none(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : NULL;
}

char *kt_outcome_encode(const struct kt_outcome *outcome)
{
	KT_JSON json_t *json = json_pack(
		"{so sI sI so* so* sO* sO*}", "result", kt_result_to_json(&outcome->result),
		"begin", (json_int_t)outcome->begin_ns, "capsule_bytes",
		(json_int_t)outcome->capsule_bytes, "capsule", text_or_none(outcome->capsule),
		"no_capsule", text_or_none(outcome->no_capsule), "freeze", outcome->freeze,
		"machine", outcome->machine);

	for (int i = 0; json && i < KT_N_PHASES; i++)
		(void)json_object_set_new(json, phase_names[i],
					  json_integer((json_int_t)outcome->phase_ns[i]));
	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

/* Times do not affect the verdict: a time that is missing or negative is read as 0. */
static uint64_t get_ns(const json_t *json, const char *name)
{
	int64_t ns;

	return kt_json_get_int(json, name, 0, INT64_MAX, &ns) < 0 ? 0 : (uint64_t)ns;
}

/* A text that is missing, or for which there is no memory, leaves *@text as it is. */
static void take_text(const json_t *json, const char *name, char **text)
{
	const char *value = json_string_value(json_object_get(json, name));
	char *copy = value ? strdup(value) : NULL;

	if (copy) {
		free(*text);
		*text = copy;
	}
}

static void take_object(const json_t *json, const char *name, json_t **object)
{
	json_t *value = json_object_get(json, name);

	if (json_is_object(value)) {
		json_decref(*object);
		*object = json_incref(value);
	}
}

int kt_outcome_decode(const void *data, size_t len, struct kt_outcome *outcome,
		      struct kt_err *reterr)
{
	KT_JSON json_t *json = NULL;
	int r;

	r = kt_json_parse(data, len, "outcome", &json, reterr);
	if (r < 0)
		return r;
	outcome->begin_ns = get_ns(json, "begin");
	outcome->capsule_bytes = get_ns(json, "capsule_bytes");
	take_text(json, "capsule", &outcome->capsule);
	take_text(json, "no_capsule", &outcome->no_capsule);
	take_object(json, "freeze", &outcome->freeze);
	take_object(json, "machine", &outcome->machine);
	for (int i = 0; i < KT_N_PHASES; i++)
		outcome->phase_ns[i] = get_ns(json, phase_names[i]);
	return kt_result_from_json(json_object_get(json, "result"), &outcome->result, reterr);
}

/* Whether the time that the host took explains the failure: as a time, or as a share of the run. */
static bool host_explains(const struct kt_failure *failure, uint64_t stolen_ns, uint64_t run_ns)
{
	if (failure->excess_ns)
		return stolen_ns >= failure->excess_ns;
	return failure->excess_share > 0 && run_ns &&
	       (double)stolen_ns / (double)run_ns >= failure->excess_share;
}

bool kt_outcome_is_failure(const struct kt_outcome *outcome)
{
	enum kt_verdict verdict = outcome->result.verdict;

	return verdict != KT_VERDICT_PASS && verdict != KT_VERDICT_SKIP;
}

void kt_outcome_judge_host(struct kt_outcome *outcome, uint64_t stolen_ns, uint64_t run_ns)
{
	struct kt_result *result = &outcome->result;
	KT_FREE char *reason = NULL;

	/* A verdict without failures has another cause, for example a timeout. */
	if (result->verdict != KT_VERDICT_FAIL || !result->n_failures)
		return;
	for (size_t i = 0; i < result->n_failures; i++) {
		/* A single failure with another cause keeps the verdict. */
		if (!host_explains(&result->failures[i], stolen_ns, run_ns))
			return;
	}
	reason = kt_format(
		"the host kept the machine waiting %.0f ms of %.0f, which is more than the "
		"limits were missed by",
		(double)stolen_ns / KT_NSEC_PER_MSEC, (double)run_ns / KT_NSEC_PER_MSEC);
	/* kt_result_merge() never lowers a verdict, so this is done by hand. */
	result->verdict = KT_VERDICT_INCONCLUSIVE;
	kt_result_set_reason(result, reason);
}
