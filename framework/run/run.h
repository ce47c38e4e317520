/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One run, as its parts share it: the queue, the jobs that are going on, the budget and the
 * verdicts.
 *
 * The parts call each other in one direction only: runner > schedule > pool > {attempt, build} >
 * run. A job that ends makes room for others; its event calls run->schedule() for that, which is
 * the way up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "framework/report/report.h"
#include "framework/run/baseline.h"
#include "framework/run/budget.h"
#include "framework/run/group.h"
#include "framework/run/job.h"
#include "framework/run/keys.h"
#include "framework/run/progress.h"
#include "framework/run/queue.h"
#include "framework/select/plan.h"
#include "framework/setup/setup.h"
#include "util/loop.h"

#define KT_SESSION_SLACK_NS (60 * KT_NSEC_PER_SEC) /* beyond the session's own deadlines */

enum kt_suspension {
	KT_SUSPENSION_NONE,
	KT_SUSPENSION_PAUSES,   /* the jobs are asked to pause; then the runner stops itself */
	KT_SUSPENSION_RECLAIMS, /* it was continued, and waits for its share of the budget */
};

enum kt_run_job_kind {
	KT_RUN_JOB_ATTEMPT,
	KT_RUN_JOB_TEMPLATE,
};

/* A job of a run, in the list of its run from kt_run_job_new() to kt_run_job_free(). */
struct kt_run_job {
	struct kt_job job; /* first: the events of a job get a pointer to this */
	struct kt_run_job *next;
	struct kt_run *run;
	enum kt_run_job_kind kind;
	struct kt_item *item; /* what an attempt runs; owned; NULL for a template */
	struct kt_group *group;
	struct kt_share share; /* what the job holds of the budget */
	uint64_t told_ns;      /* when the reports were told that its test begins; 0: not yet */
	struct kt_timer slow;  /* the next notice that its test is slow */
	bool is_warm;          /* its machine is restored, or being restored, for the pool */
	bool is_discarded;     /* killed, and made again: in the pool, or a template at a stop */
};

struct kt_run {
	/* borrowed from the caller of kt_runner_run() */
	const struct kt_plan *plan;
	struct kt_setup *setup;
	const struct kt_options *options;
	struct kt_reporter *reporters;

	struct kt_baseline baseline; /* for the gates of tests */
	struct kt_loop *loop;
	struct kt_budget *budget;
	struct kt_source signals;       /* those of runner.c, as a signalfd */
	struct kt_source budget_source; /* fd -1 until another run is in the way */
	struct kt_timer recheck, redraw, kill, global, tell, stop;
	struct kt_progress progress;
	struct kt_keys keys; /* of the terminal */

	void (*schedule)(struct kt_run *run); /* starts what can start now; may end the loop */
	struct kt_group *groups;              /* all that the queue has referred to; owned */
	struct kt_queue queue;
	struct kt_run_job *jobs, **jobs_end; /* in the order of their start; owned */

	unsigned int n_planned; /* attempts of all rounds; 0: without end */
	uint64_t began_ns;      /* CLOCK_MONOTONIC, as all times here */
	uint64_t first_ns;      /* start of the first attempt, after its template; 0: none yet */
	struct kt_counts counts;
	bool started;      /* an attempt of the current round has started */
	bool paced;        /* more could start, but the loop has its turn */
	bool stopping;     /* nothing new is started */
	bool timed_out;    /* --global-timeout has passed */
	bool failed_enough; /* for --max-fail */
	bool ending;        /* the jobs were asked to end */
	bool told_waiting; /* the warning of a full host has been written */
	enum kt_suspension suspended;
	uint64_t suspended_ns;   /* when that began */
	uint64_t global_left_ns; /* of --global-timeout, then; 0: there is none */
	int signal;              /* that asked the run to end; 0: none */
	int fault;               /* the first error of a reporter or of memory; 0: none */
};

/*
 * Makes a job without starting it, and puts it at the end of run->jobs. An attempt begins in the
 * phase FORK if its machine is restored, else in BOOT. @name is borrowed. Returns 0 or a negative
 * errno with a text: -ENOMEM, or -EMFILE and -ENFILE when there are too few descriptors.
 */
int kt_run_job_new(struct kt_run *run, enum kt_run_job_kind kind, struct kt_group *group,
		   const struct kt_test *test, const char *name, const struct kt_job_events *events,
		   struct kt_run_job **ret_job, struct kt_err *reterr);

/* Takes the job out of run->jobs, gives its share back and frees it with its item. */
void kt_run_job_free(struct kt_run_job *job);

/* Stops the run if @r is a negative errno: nothing new starts, and the run returns it. */
void kt_run_note_fault(struct kt_run *run, int r);

/* Writes a warning about the run itself to standard error, above the progress. */
void kt_run_warn(struct kt_run *run, const char *text);

/* Counts and reports the last outcome of a test; stops the run after --max-fail failures. */
void kt_run_report(struct kt_run *run, const struct kt_outcome *outcome);

/* Reports an item that ends without a process, with @reason. The item stays the caller's. */
void kt_run_report_item(struct kt_run *run, const struct kt_item *item, enum kt_verdict verdict,
			const char *reason);
