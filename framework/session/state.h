/* SPDX-License-Identifier: MIT */
#pragma once
/* What the files of this room share about the session that the process runs. */

#include "framework/outcome/outcome.h"
#include "framework/setup/setup.h"
#include "util/loop.h"
#include "vmm/freeze/freeze.h"
#include "vmm/link.h"
#include "vmm/memctx.h"
#include "vmm/template.h"

/* All times are nanoseconds of CLOCK_MONOTONIC unless they are durations. */
struct kt_session_state {
	/* As in struct kt_session; borrowed. */
	const struct kt_setup *setup;
	const struct kt_template *template;
	struct kt_template_id template_id;
	struct kt_outcome *outcome;
	int report_fd;

	struct kt_loop *loop;     /* owned */
	struct kt_link *link;     /* owned, with the machine; NULL before and after */
	struct kt_memctx *memctx; /* owned; NULL until the guest's kernel is asked for */
	struct kt_freeze *freeze; /* owned; NULL until the guest asks for watches */
	struct kt_timer freeze_timer;
	/* snapshots.h: the report that was looked at last; owned, NULL: none. */
	json_t *viewed;
	char viewed_name[KT_SNAPSHOT_NAME_MAX + 1];
	uint64_t viewed_offset;
	uint64_t clock_zero_ns; /* of run queues, when the test began; 0: unknown */
	bool looked;            /* look.h: values were printed */
	size_t n_unseen;        /* paths that could not be */
	bool kept;              /* capsule.h: a capsule was written, or could not be */
	struct kt_source signals;
	struct kt_source go; /* fd -1: the test begins as soon as the guest is ready */

	enum kt_phase phase;
	uint64_t phase_began_ns; /* 0: no phase yet */
	bool ended;              /* a verdict was given without the guest's result */
	int step;                /* index of the step in the guest; -1: none */

	bool awaits_hello; /* HELO is due: the guest boots, or a newer program starts in it */
	bool awaits_woke;  /* WOKE is due: WAKE was sent */
	bool sent_all;     /* the test's payloads were sent with the newer program */
	struct kt_packages packages; /* packages of the image that the test needs */

	char doing[KT_DOING_MAX + 1]; /* what PID 1 did shortly before the limit; "": unknown */

	uint64_t wanted_ns;    /* when the runner asked for the test to be run */
	uint64_t run_began_ns; /* when RUN was sent */
};
