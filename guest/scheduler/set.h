/* SPDX-License-Identifier: MIT */
#pragma once
/* The scheduler of a scenario: which is attached, how it came and went, and what became of it. */

#include <jansson.h>

#include "guest/port/port.h"
#include "guest/scheduler/dump.h"
#include "guest/scheduler/exit.h"
#include "guest/scheduler/scheduler.h"
#include "guest/test/ctx.h"
#include "guest/test/kmsg.h"

/* A BPF map that is held. */
struct kt_pinned_map {
	struct kt_pinned_map *next;
	char *name;
	int fd;
};

/* A number of a map, by the name that it was to be remembered by. */
struct kt_bpf_number {
	struct kt_bpf_number *next; /* remembered before this */
	char *tag;
	uint64_t value;
};

struct kt_scheduler_set {
	struct kt_ctx *ctx;
	struct kt_port *port;                 /* NULL: nobody is told */
	struct kt_scheduler_run *run;         /* attached; NULL: none */
	const struct kt_scheduler *scheduler; /* of that */
	char **args;                          /* that it was started with, besides its own; owned */
	int watch_fd;                         /* for uevents; -1 until a scheduler is started */
	struct kt_kmsg *kmsg;
	unsigned int dump_kib;        /* room for it; 0: nobody has asked for any */
	struct kt_scx_dump *dump;     /* NULL: the kernel has no such tracepoint */
	bool has_ended;               /* one, by itself */
	bool was_expected;            /* and so it should have */
	struct kt_scx_exit_info exit; /* how, the last time */
	struct kt_scheduler_end end;
	struct kt_pinned_map *pins;
	struct kt_bpf_number *numbers;
	json_t *history; /* array: one object for each that was attached */
};

void kt_scheduler_set_init(struct kt_scheduler_set *set, struct kt_ctx *ctx, struct kt_port *port);

/* Detaches what is attached, without a word. */
void kt_scheduler_set_deinit(struct kt_scheduler_set *set);

/*
 * Starts a scheduler and waits until it is enabled. One that does not get there makes the test an ERROR, with
 * its last words; the rest of them goes to the host. Returns KT_FAILED then.
 */
int kt_scheduler_set_attach(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			    const char *const *args, struct kt_err *reterr);

/* -ESRCH when none is attached. */
int kt_scheduler_set_detach(struct kt_scheduler_set *set, struct kt_err *reterr);

/* The one that is attached, anew. */
int kt_scheduler_set_restart(struct kt_scheduler_set *set, struct kt_err *reterr);
int kt_scheduler_set_replace(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			     const char *const *args, struct kt_err *reterr);

/*
 * Looks whether the scheduler has ended by itself. If it has, all that is known of it goes to the host, and
 * unless the test expects it so it is a failure of the test: KT_FAILED.
 */
int kt_scheduler_set_check(struct kt_scheduler_set *set);

/* Waits until it has. */
int kt_scheduler_set_await_end(struct kt_scheduler_set *set, unsigned int timeout_ms,
			       struct kt_err *reterr);

/* What becomes readable when it may have: at most two; returns how many. */
size_t kt_scheduler_set_fds(const struct kt_scheduler_set *set, int fds[2]);

/* Whether it is the scheduler's process, whose end is not to be taken away. */
bool kt_scheduler_set_has(const struct kt_scheduler_set *set, pid_t pid);

/*
 * At the end of the test: a last look, the detaching, and whether an end that was expected has come. Failures
 * are recorded.
 */
void kt_scheduler_set_finish(struct kt_scheduler_set *set);

int kt_scheduler_set_pin(struct kt_scheduler_set *set, const char *map, struct kt_err *reterr);

/* A map for an access, to be closed: the pinned one of that name or the newest. */
int kt_scheduler_set_open_map(const struct kt_scheduler_set *set, const struct kt_bpf_ref *ref,
			      int *ret_fd, struct kt_err *reterr);

int kt_scheduler_set_remember(struct kt_scheduler_set *set, const char *tag, uint64_t value,
			      struct kt_err *reterr);
