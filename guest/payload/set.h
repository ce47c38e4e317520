/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The payloads that run in a scenario, each known by its declaration and its cgroup, and what came
 * out of those that have ended.
 */

#include <jansson.h>

#include "guest/payload/payload.h"
#include "guest/test/ctx.h"

/* A payload that runs. Owned by the set. */
struct kt_live_payload {
	struct kt_live_payload *next; /* started before this one */
	const struct kt_payload *payload;
	char *cgroup; /* owned; "": the cgroup of PID 1 */
	struct kt_payload_run *run;
	bool has_failed; /* it was waited for in vain */
};

struct kt_payload_set {
	struct kt_ctx *ctx;            /* borrowed; failures are recorded in it */
	struct kt_live_payload *first; /* the newest; NULL: no payload runs */
	json_t *done;                  /* owned; array with an object for each payload that has
					  ended: name, cgroup, status, duration_ns, metrics, and of
					  one that failed stdout and stderr; NULL: none has ended */
	size_t n_done;                 /* also those that @done has no room for */
};

void kt_payload_set_init(struct kt_payload_set *set, struct kt_ctx *ctx);

/* Frees @done. No payload may run any more: see kt_payload_set_end(). */
void kt_payload_set_deinit(struct kt_payload_set *set);

/*
 * Starts @payload with additional arguments @args (NULL: none) in @cgroup ("": that of PID 1).
 * -EEXIST when the same payload runs in that cgroup already; other errors as for
 * kt_payload_start().
 */
int kt_payload_set_start(struct kt_payload_set *set, const struct kt_payload *payload,
			 const char *const *args, const char *cgroup, struct kt_err *reterr);

/*
 * Finds the running @payload in @cgroup, or in any cgroup if @cgroup is NULL. -ENOENT when it does
 * not run there, -ENOTUNIQ when it runs in several cgroups. The entry stays valid until the payload
 * is waited for, killed or ended.
 */
int kt_payload_set_find(struct kt_payload_set *set, const struct kt_payload *payload,
			const char *cgroup, struct kt_live_payload **ret_live,
			struct kt_err *reterr);

/*
 * Waits until the payload ends by itself, and records each failed check as a failure of the test.
 * @timeout_ms is scaled on a slow machine. Returns 0, KT_FAILED when a check has failed or the
 * payload says that there is nothing to test (kt_payload_skips()), or an
 * error of kt_payload_wait(). After 0 and KT_FAILED @live is gone; after an error it stays in the
 * set.
 */
int kt_payload_set_wait(struct kt_payload_set *set, struct kt_live_payload *live,
			unsigned int timeout_ms, struct kt_err *reterr);

/*
 * Kills the payload and checks what it has printed up to then. Its exit status is not checked.
 * Returns as kt_payload_set_wait() does.
 */
int kt_payload_set_kill(struct kt_payload_set *set, struct kt_live_payload *live,
			struct kt_err *reterr);

/*
 * Kills each payload for whose cgroup @is_ending returns true. What came out of it is noted in
 * @done, but not checked.
 */
void kt_payload_set_end(struct kt_payload_set *set,
			bool (*is_ending)(void *data, const char *cgroup), void *data);

/*
 * Notes in @done what came out of a payload that ran outside the set, for example in
 * kt_payload_exec(). @cgroup may be NULL: that of PID 1. What a payload that @has_failed has
 * written is noted and printed. Any thread may call this.
 */
void kt_payload_set_note(struct kt_payload_set *set, const struct kt_payload *payload,
			 const char *cgroup, const struct kt_payload_outcome *outcome,
			 bool has_failed);

/*
 * Payloads that are listed under cgroup @from are listed under @to from now on: the processes
 * themselves have been moved by the caller. 0 or -ENOMEM.
 */
int kt_payload_set_move(struct kt_payload_set *set, const char *from, const char *to);

/* Whether @pid is the first process of a payload, which only its run may reap. */
bool kt_payload_set_has(const struct kt_payload_set *set, pid_t pid);
