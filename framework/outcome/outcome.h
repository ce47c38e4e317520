/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * An outcome is everything that is known about one attempt of one test: the result, which the guest
 * has sent, and what the session observed from outside. The runner creates it, the session fills
 * it, reporters read it.
 */

#include <ktest/test.h>

#include "framework/outcome/capture.h"
#include "framework/outcome/snapshots.h"
#include "wire/result.h"

/* The phases of an attempt, in order; an attempt has either BOOT or FORK. Each has a deadline. */
enum kt_phase {
	KT_PHASE_BOOT,     /* from the start of a booted machine until RUN is sent */
	KT_PHASE_FORK,     /* the same of a machine that is restored from a template */
	KT_PHASE_READY,    /* a machine that was prepared ahead waits for its turn */
	KT_PHASE_RUN,      /* from RUN until RSLT */
	KT_PHASE_TEARDOWN, /* until the machine is gone */
	KT_N_PHASES,
};

/* "boot", "fork", "ready", "run", "teardown". */
const char *kt_phase_name(enum kt_phase phase);

struct kt_kernel; /* framework/kernel/kernel.h */

struct kt_outcome {
	const struct kt_test *test;
	const char *name; /* of the test; NAME[LABEL] where there are several kernels; borrowed */
	const struct kt_kernel *kernel; /* of the machine; borrowed */
	unsigned int iteration;         /* of --stress-count, from 1 */
	unsigned int attempt;           /* of --retries, from 1 */
	unsigned int slot;              /* from 0; no two attempts have one at the same time */
	uint64_t began_ns;              /* CLOCK_MONOTONIC; 0: no machine was begun for it */
	uint64_t seed;                  /* for --seed: a run with it repeats this attempt */
	uint64_t template_ram;          /* ram_hash of the machine's template; 0: it was booted */
	bool template_is_own;           /* the template is that of any run with the seed */
	unsigned int mips;              /* of the machine in virtual time; 0: it had real time */
	struct kt_result result;
	uint64_t phase_ns[KT_N_PHASES]; /* time spent in each phase */
	uint64_t phase_began_ns[KT_N_PHASES]; /* CLOCK_MONOTONIC; 0: it was not begun */
	uint64_t total_ns;              /* from start to end of the attempt, without READY */
	/* From the moment at which the runner wants the machine to the first instruction. */
	uint64_t begin_ns;             /* 0: the test has not begun */
	struct kt_capture out;         /* standard output of the guest */
	struct kt_capture err;         /* standard error of the guest */
	struct kt_capture console;     /* serial console */
	struct kt_capture dmesg;       /* kernel log of the test, if it failed */
	struct kt_capture scx_log;     /* what its schedulers have printed */
	struct kt_capture scx_dump;    /* what the kernel has dumped about them */
	json_t *machine; /* what its machine has counted, as kt_machine_figures(); NULL: nothing */
	struct kt_capture trace;       /* of the guest, with --trace-sched: text of ftrace */
	json_t *freeze; /* hits of watches, what is known of schedulers; NULL: none was watched */
	struct kt_capture host;        /* what the session process has printed, from .post_vm too */
	struct kt_snapshots snapshots; /* of its machine, that it has asked for */
	char *capsule;                 /* file of the machine's last moment; NULL: none; owned */
	uint64_t capsule_bytes;        /* its length */
	char *no_capsule;              /* why there is none that was wanted; NULL else; owned */
	char *rerun; /* the command that runs it again, as a file has it; NULL: it follows; owned */
	struct kt_outcome *previous;   /* earlier attempts of the test, latest first; not owned */
};

#define KT_OUTCOME_NULL                                                                            \
	((struct kt_outcome){                                                                      \
		.iteration = 1,                                                                    \
		.attempt = 1,                                                                      \
		.result = KT_RESULT_NULL,                                                          \
		.out = KT_CAPTURE_NULL,                                                            \
		.err = KT_CAPTURE_NULL,                                                            \
		.console = KT_CAPTURE_NULL,                                                        \
		.dmesg = KT_CAPTURE_NULL,                                                          \
		.scx_log = KT_CAPTURE_NULL,                                                        \
		.scx_dump = KT_CAPTURE_NULL,                                                       \
		.trace = KT_CAPTURE_NULL,                                                          \
		.host = KT_CAPTURE_NULL,                                                           \
		.snapshots = KT_SNAPSHOTS_NULL,                                                    \
	})

/*
 * Creates the captures of an outcome of @test. The caller calls kt_outcome_deinit() also after a
 * failure.
 */
int kt_outcome_init(struct kt_outcome *outcome, const struct kt_test *test, struct kt_err *reterr);

/* Frees the result and the captures, but not @previous. */
void kt_outcome_deinit(struct kt_outcome *outcome);

/* Writes to @fds the descriptors that the outcome owns: those that a session writes to. */
#define KT_OUTCOME_FDS 9
void kt_outcome_fds(const struct kt_outcome *outcome, int fds[static KT_OUTCOME_FDS]);

/* Whether reports tell what went wrong: the verdict is neither PASS nor SKIP. */
bool kt_outcome_is_failure(const struct kt_outcome *outcome);

/*
 * Decides whether a slow host explains the failure of a test. The host has run other things for
 * @stolen_ns of the @run_ns that the test took. If every failure is of a limit that was missed by
 * no more than that, the test says nothing about the kernel: the verdict becomes INCONCLUSIVE, with
 * a reason, and the failures stay.
 */
void kt_outcome_judge_host(struct kt_outcome *outcome, uint64_t stolen_ns, uint64_t run_ns);

/*
 * Moves @outcome with all that it owns to a new one on the heap and leaves KT_OUTCOME_NULL. The
 * caller deinitializes and frees the new one. NULL when out of memory: then nothing has moved.
 */
struct kt_outcome *kt_outcome_take(struct kt_outcome *outcome);

/*
 * What the session tells the runner: result, times and capsule as one line of JSON, to be
 * freed. The runner knows the rest itself and shares the captures. NULL when out of memory.
 */
char *kt_outcome_encode(const struct kt_outcome *outcome);

/*
 * Reads that line into @outcome, whose result must own nothing yet. -EBADMSG when it is malformed;
 * some times may then be set, but the result is unchanged.
 */
int kt_outcome_decode(const void *data, size_t len, struct kt_outcome *outcome,
		      struct kt_err *reterr);
