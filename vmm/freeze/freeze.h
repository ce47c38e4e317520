/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The freeze coordinator of a machine: it watches the ends of the schedulers of sched_ext and what
 * its owner wants watched, and tells the owner of each hit, while the machine stands still.
 *
 * captures.h, exit_watch.h and ../watch.h hold its decisions. One thread uses it. Functions that
 * return int return 0 or a negative errno, with a text for people.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/freeze/captures.h"
#include "vmm/inspect/inspect.h"
#include "vmm/machine.h"

struct kt_freeze;

enum kt_freeze_reason {
	KT_FREEZE_CLAIMED, /* a scheduler's error has just been claimed: its state is untouched */
	KT_FREEZE_TOLD,    /* the message of the error is complete */
	KT_FREEZE_MISSED,  /* a scheduler had erred before it was watched */
	KT_FREEZE_KILLED, /* the program of a scheduler was killed, and takes the scheduler along */
	KT_FREEZE_EARLY,  /* a task has waited for half of the watchdog's time */
	KT_FREEZE_WATCH,  /* a watch of the owner was hit */
};

/* "exit-claimed", "exit-told", "exit-missed", "program-killed", "half-watchdog", "watch" */
const char *kt_freeze_reason_name(enum kt_freeze_reason reason);

struct kt_freeze_event {
	enum kt_freeze_reason reason;
	bool captures;    /* a capture is wanted */
	const char *name; /* of the scheduler or the watch */
	const char *kind; /* of the exit, by its enumerator; NULL: none, or unknown */
	uint64_t value;   /* in memory after the access; EARLY: the ID of the task */
	unsigned int vcpu;
	uint64_t time_ns; /* latest clock of a runqueue */
};

/* All is borrowed for the life of the coordinator. */
struct kt_freeze_config {
	struct kt_machine *machine;
	unsigned int watches_max; /* kt_machine_watches_max() of it */
	bool wants_early;
	/* Gives the kernel of the machine's guest. */
	int (*inspect)(void *data, struct kt_inspect **ret_inspect, struct kt_err *reterr);
	/* The machine stands still until this returns what came of the capture. */
	enum kt_capture_quality (*hit)(void *data, const struct kt_freeze_event *event);
	void *data;
};

int kt_freeze_new(const struct kt_freeze_config *config, struct kt_freeze **ret_freeze);

/* Before the machine is destroyed; its watches stay. NULL is allowed. Returns NULL. */
struct kt_freeze *kt_freeze_free(struct kt_freeze *freeze);

/*
 * Looks which schedulers there are, while the machine stands still: watches the end of each, and no
 * longer that of those that are gone. The first call also watches where the kernel keeps its
 * schedulers, if the machine has watches enough, so that later calls are made by hits.
 */
int kt_freeze_tick(struct kt_freeze *freeze, uint64_t deadline_ns, struct kt_err *reterr);

/* Whether a tick would find something new, as far as can be seen of a machine that runs. */
bool kt_freeze_is_due(struct kt_freeze *freeze);

/* What an owner wants watched. */
struct kt_freeze_spec {
	const char *name; /* copied */
	const char *path; /* as in spot.h */
	uint32_t len;     /* bytes; 0: as the type of the path says */
	enum kt_watch_kind kind;
	struct kt_watch_condition when; /* sign and bits are taken from the type */
	uint64_t interval_ns, n_max;    /* struct kt_watch_limit */
};

#define KT_FREEZE_RESERVED 72u /* watches that the coordinator keeps for itself, with TCG */

/*
 * Arms a watch while the machine stands still. -EEXIST: one has this name; -ENOSPC: the machine can
 * have no more; -EINVAL: the place has no address, or a condition does not fit it; and errors of
 * vmm/inspect/path.h and kt_machine_watch().
 */
int kt_freeze_watch(struct kt_freeze *freeze, const struct kt_freeze_spec *spec,
		    uint64_t deadline_ns, struct kt_err *reterr);

/* Ends the watch of that name; -ENOENT: there is none. */
int kt_freeze_unwatch(struct kt_freeze *freeze, const char *name, uint64_t deadline_ns,
		      struct kt_err *reterr);

/* To be called from the machine's stopped(). */
void kt_freeze_on_stopped(struct kt_freeze *freeze, const struct kt_machine_stop *stop);

/* The test is over: no capture of an error is wanted any more. */
void kt_freeze_end(struct kt_freeze *freeze);

/*
 * {"schedulers": [{"name", "kind", "captures"}], "watches": [{"name", "path", "hits", "unmet",
 * "captures", "left_out"}], "stale": hits of schedulers that were gone, "error": what went wrong
 * last or absent}. NULL: out of memory.
 */
json_t *kt_freeze_json(const struct kt_freeze *freeze);
