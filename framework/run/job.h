/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A job: a forked process that works on one outcome, seen from the runner.
 *
 * It is in a process group of its own, with everything it starts, and dies with the runner. A pipe
 * tells its phases and at last its outcome; captures survive it. It has ended when both the process
 * and the pipe have. What is missing then is the process's death, an ERROR.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "framework/outcome/outcome.h"
#include "util/buffer.h"
#include "util/loop.h"

struct kt_job;

struct kt_job_events {
	void (*phase)(struct kt_job *job); /* a phase has begun: job->phase; may be NULL */
	void (*ended)(struct kt_job *job); /* job->outcome is complete; may free the job */
};

struct kt_job {
	struct kt_loop *loop;
	const struct kt_job_events *events;
	struct kt_outcome outcome;
	enum kt_phase phase;
	int step; /* running, -1: none */
	uint64_t began_ns;
	int exit_code; /* of the process; -1 until it has exited by itself */

	/* private */
	pid_t pid;
	int go_fd;  /* write end; -1: the test does not wait for it */
	int status; /* as wait(2) */
	bool has_outcome;
	bool hung; /* killed by the watchdog */
	struct kt_source process;
	struct kt_source pipe;
	struct kt_timer watchdog;
	struct kt_buffer in;
};

/* What the process does; its result is the exit status. */
typedef int (*kt_job_entry_fn)(struct kt_job *job, int report_fd, int go_fd);

/* Makes the captures. @name is that of the outcome; @first_phase is where the process begins. */
int kt_job_init(struct kt_job *job, struct kt_loop *loop, const struct kt_job_events *events,
		const struct kt_test *test, const char *name, const struct kt_kernel *kernel,
		enum kt_phase first_phase, struct kt_err *reterr);
void kt_job_deinit(struct kt_job *job);

/* @live: the process keeps this one's standard output; else its own output is captured. */
int kt_job_start(struct kt_job *job, kt_job_entry_fn entry, bool live, bool waits_for_go,
		 struct kt_err *reterr);

/* Lets the test of a waiting job begin. */
void kt_job_go(struct kt_job *job);

/* Kills everything of it unless it says something within so long; each call counts anew. */
void kt_job_watch(struct kt_job *job, uint64_t limit_ns);

/* SIGKILL goes to everything in its group, others to the process itself. */
void kt_job_signal(const struct kt_job *job, int signal);
