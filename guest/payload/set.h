/* SPDX-License-Identifier: MIT */
#pragma once
/* The payloads of a scenario that run, by what they are and where they run. */

#include <jansson.h>

#include "guest/payload/payload.h"
#include "guest/test/ctx.h"

struct kt_live_payload {
	struct kt_live_payload *next; /* started before this */
	const struct kt_payload *payload;
	char *cgroup; /* "": where PID 1 is */
	struct kt_payload_run *run;
};

struct kt_payload_set {
	struct kt_ctx *ctx;
	struct kt_live_payload *first; /* the newest */
	json_t *done;                  /* array: what came out of those that have ended */
};

void kt_payload_set_init(struct kt_payload_set *set, struct kt_ctx *ctx);

/* All must have ended. */
void kt_payload_set_deinit(struct kt_payload_set *set);

/* -EEXIST: the same one runs there already, and could not be told from it. */
int kt_payload_set_start(struct kt_payload_set *set, const struct kt_payload *payload,
			 const char *const *args, const char *cgroup, struct kt_err *reterr);

/*
 * The one in @cgroup, or with NULL the only one of that payload. -ENOENT when there is none, -ENOTUNIQ when
 * there are several.
 */
int kt_payload_set_find(struct kt_payload_set *set, const struct kt_payload *payload,
			const char *cgroup, struct kt_live_payload **ret_live,
			struct kt_err *reterr);

/* Waits for its end, and records as failures of the test what is not as the payload says. */
int kt_payload_set_wait(struct kt_payload_set *set, struct kt_live_payload *live,
			unsigned int timeout_ms, struct kt_err *reterr);

/* Kills it, and checks what it has said until then, but not its exit code. */
int kt_payload_set_kill(struct kt_payload_set *set, struct kt_live_payload *live,
			struct kt_err *reterr);

/* Kills all for which @is_ending says so; what they have said is noted, and not checked. */
void kt_payload_set_end(struct kt_payload_set *set,
			bool (*is_ending)(void *data, const char *cgroup), void *data);

/* Those of a cgroup belong to another one from now on. */
int kt_payload_set_move(struct kt_payload_set *set, const char *from, const char *to);

/* Whether the process is one of them, whose end is not to be taken away. */
bool kt_payload_set_has(const struct kt_payload_set *set, pid_t pid);
