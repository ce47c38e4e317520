/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The scheduler of a scenario: attaches, detaches and replaces it, notices when it ends by itself,
 * and keeps the history of all schedulers that were attached. At most one is attached at a time.
 */

#include <jansson.h>

#include "guest/port/port.h"
#include "guest/scheduler/dump.h"
#include "guest/scheduler/exit.h"
#include "guest/scheduler/scheduler.h"
#include "guest/test/ctx.h"

/*
 * A BPF map that stays open, so that it can be read after its scheduler has ended. Owned by the
 * set.
 */
struct kt_pinned_map {
	struct kt_pinned_map *next;
	char *name;
	int fd;
};

/* A number that was read from a BPF map and is kept under @tag. Owned by the set. */
struct kt_bpf_number {
	struct kt_bpf_number *next; /* kept before this one */
	char *tag;
	uint64_t value;
};

struct kt_scheduler_set {
	struct kt_ctx *ctx;                   /* borrowed; failures are recorded in it */
	struct kt_port *port;                 /* borrowed; NULL: the host is told nothing */
	struct kt_scheduler_run *run;         /* owned; NULL: no scheduler is attached */
	const struct kt_scheduler *scheduler; /* of @run; NULL with it */
	char **args;                          /* owned; arguments of the last attach operation */
	int watch_fd;                         /* uevents; -1 until a scheduler is started */
	struct kt_scx_log log;         /* the kernel's, since a scheduler was started last */
	unsigned int dump_kib;         /* room for a dump; 0 until a scheduler is started */
	struct kt_scx_dump *dump;      /* NULL likewise, or if the kernel lacks the tracepoint */
	bool has_ended;                /* a scheduler has ended by itself */
	bool has_failed;               /* a scheduler was not attached: the test says so already */
	bool was_expected;             /* and the test expects that end */
	struct kt_scx_exit_info exit;  /* how the last one ended by itself; owns the texts */
	struct kt_scheduler_end end;   /* the same for the test; points into @exit */
	struct kt_pinned_map *pins;    /* the newest first */
	struct kt_bpf_number *numbers; /* the newest first */
	json_t *history; /* owned; array with an object for each scheduler that was attached */
};

/* @ctx and @port must outlive the set. */
void kt_scheduler_set_init(struct kt_scheduler_set *set, struct kt_ctx *ctx, struct kt_port *port);

/* Detaches the scheduler if one is attached, ignoring errors, and frees everything. */
void kt_scheduler_set_deinit(struct kt_scheduler_set *set);

/*
 * Starts @scheduler with the additional arguments @args (NULL: none) and waits until the kernel has
 * enabled it, as long as the test may take; 30 s, longer on a slow machine, when that is not known.
 *
 * Returns 0, also when the kernel has disabled the scheduler meanwhile as the test expects: nothing
 * is attached then. KT_FAILED when its process was started but no scheduler is there: the test
 * FAILs when the kernel has disabled it, and is an ERROR when it was never enabled. Both have the
 * reason, and the host has the log. -EBUSY when a scheduler is attached already, -ENOTSUP when the
 * kernel has no sched_ext; -ENOMEM.
 */
int kt_scheduler_set_attach(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			    const char *const *args, struct kt_err *reterr);

/*
 * Detaches the scheduler. -ESRCH when none is attached, or when it has just ended by itself as the
 * test expects; KT_FAILED when it has ended by itself otherwise; errors of kt_scheduler_stop().
 */
int kt_scheduler_set_detach(struct kt_scheduler_set *set, struct kt_err *reterr);

/*
 * Detaches the scheduler and attaches it again with the same arguments, or another one. Errors are
 * those of detaching and attaching; after a failed detach nothing is attached.
 */
int kt_scheduler_set_restart(struct kt_scheduler_set *set, struct kt_err *reterr);
int kt_scheduler_set_replace(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			     const char *const *args, struct kt_err *reterr);

/*
 * Checks whether the scheduler has ended by itself. If it has, its dump and its log go to the host,
 * and the end is noted. Returns KT_FAILED, with the failure recorded, when the test does not expect
 * this end; else 0.
 */
int kt_scheduler_set_check(struct kt_scheduler_set *set);

/*
 * Waits until the scheduler ends by itself, @timeout_ms at most, longer on a slow machine. Returns
 * 0 also when it has ended by itself before. -ESRCH when none was attached, -ETIMEDOUT, or as
 * kt_scheduler_set_check().
 */
int kt_scheduler_set_await_end(struct kt_scheduler_set *set, unsigned int timeout_ms,
			       struct kt_err *reterr);

/*
 * Descriptors to wait for: when one becomes readable, kt_scheduler_set_check() should be called.
 * Returns their number, 0 or 2. The set owns them.
 */
size_t kt_scheduler_set_fds(const struct kt_scheduler_set *set, int fds[2]);

/* Whether @pid is the process of the attached scheduler, which only its run may reap. */
bool kt_scheduler_set_has(const struct kt_scheduler_set *set, pid_t pid);

/*
 * At the end of the test: checks for an end by itself, detaches the scheduler, and checks that an
 * expected end has come. Failures are recorded in the context of the test.
 */
void kt_scheduler_set_finish(struct kt_scheduler_set *set);

/* Keeps the map called @map open until the set is freed. Errors are those of kt_bpf_map_open(). */
int kt_scheduler_set_pin(struct kt_scheduler_set *set, const char *map, struct kt_err *reterr);

/*
 * Opens the map of @ref for one access: with ref->pinned the pinned map of that name, else the
 * newest one. The caller closes *@ret_fd. -EINVAL when @ref names no map, -ENOENT when there is
 * none.
 */
int kt_scheduler_set_open_map(const struct kt_scheduler_set *set, const struct kt_bpf_ref *ref,
			      int *ret_fd, struct kt_err *reterr);

/* Keeps @value under @tag, before earlier values of that tag. 0 or -ENOMEM. */
int kt_scheduler_set_remember(struct kt_scheduler_set *set, const char *tag, uint64_t value,
			      struct kt_err *reterr);
