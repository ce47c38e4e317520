/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A job: a forked process that works on one outcome, as the runner sees it.
 *
 * The process leads a process group of its own, with everything that it starts, and dies with the
 * runner. It reports its phases, its steps and at last its outcome through a pipe. The captured
 * output is in files that outlive the process.
 *
 * A job has ended when the process has exited and the pipe is closed. If no outcome came through
 * the pipe, the outcome is ERROR and says how the process died.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "framework/outcome/outcome.h"
#include "util/buffer.h"
#include "util/loop.h"
#include "util/steal.h"

struct kt_job;

struct kt_job_events {
	void (*phase)(struct kt_job *job);  /* job->phase has begun; may be NULL */
	void (*paused)(struct kt_job *job); /* kt_job_pause() was obeyed; may be NULL */
	void (*ended)(struct kt_job *job);  /* job->outcome is complete; it may free the job */
};

struct kt_job {
	struct kt_loop *loop;
	const struct kt_job_events *events;
	struct kt_outcome outcome;
	enum kt_phase phase;
	int step;          /* index of the running step; -1: none */
	uint64_t began_ns; /* CLOCK_MONOTONIC, of kt_job_init() */
	int exit_code;     /* of the process; -1 while it runs, or if a signal killed it */

	/* private */
	pid_t pid;
	int go_fd;                /* write end of the pipe of kt_job_go(); -1: not waited for */
	int status;               /* as of wait(2) */
	bool has_outcome;         /* it came through the pipe */
	bool hung;                /* the watchdog has killed it */
	bool suspended;           /* from kt_job_pause() to kt_job_continue() */
	uint64_t left_ns;         /* of the watchdog's time, at the suspension; 0: it was unarmed */
	bool paused;              /* it said so, or was stopped */
	bool in_post_vm;          /* the test's .post_vm has begun */
	struct kt_source process; /* a pidfd; owned */
	struct kt_source pipe;    /* the read end; owned */
	struct kt_timer watchdog;
	struct kt_steal steal; /* of the group, when the watchdog has looked last */
	struct kt_buffer in; /* the beginning of a line from the pipe */
};

/*
 * What the process does; the result is its exit status. It reports to @report_fd, and reads
 * @go_fd before its test begins, unless that is -1.
 */
typedef int (*kt_job_entry_fn)(struct kt_job *job, int report_fd, int go_fd);

/*
 * Makes the files for the captured output. @name, @test and @kernel are borrowed by the outcome.
 * The process will begin in @first_phase. Returns 0, or a negative errno; only job->outcome is to
 * be freed then.
 */
int kt_job_init(struct kt_job *job, struct kt_loop *loop, const struct kt_job_events *events,
		const struct kt_test *test, const char *name, const struct kt_kernel *kernel,
		enum kt_phase first_phase, struct kt_err *reterr);

/* Frees what the job owns. It must have ended, or never have started. */
void kt_job_deinit(struct kt_job *job);

/*
 * Forks the process, which calls @entry. With @live it writes to the standard output of the
 * runner; otherwise its output is captured. With @waits_for_go it waits for kt_job_go() before
 * its test begins.
 *
 * Returns 0, or a negative errno.
 */
int kt_job_start(struct kt_job *job, kt_job_entry_fn entry, bool live, bool waits_for_go,
		 struct kt_err *reterr);

/* Lets the test of a job that waits begin; to be called once. */
void kt_job_go(struct kt_job *job);

/*
 * Kills the process group of the job after @limit_ns, as hung; time that the host steals from it
 * does not count. Each call replaces the deadline of the last. The deadline does not move when the
 * job reports something.
 */
void kt_job_watch(struct kt_job *job, uint64_t limit_ns);

/* Sends SIGKILL to the whole process group, any other signal to the process alone. */
void kt_job_signal(const struct kt_job *job, int signal);

/*
 * Asks the session to pause its machine, after which kt_job_is_paused() is true and the event
 * "paused" is called. A job in .post_vm has no machine, and is stopped at once (kt_job_stop()).
 */
void kt_job_pause(struct kt_job *job);

/* Stops the whole process group of the job (SIGSTOP). It counts as paused. */
void kt_job_stop(struct kt_job *job);

/* Whether the job does nothing until kt_job_continue(). */
bool kt_job_is_paused(const struct kt_job *job);

/* Lets a job go on that was paused or stopped. */
void kt_job_continue(struct kt_job *job);
