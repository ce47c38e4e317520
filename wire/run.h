/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * RUN: what the guest is to do. Everything that concerns one particular test is in this message, so
 * that a guest can be saved as a template, or prepared, before its test is known.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/message.h"
#include "wire/turns.h"

enum kt_run_mode {
	KT_RUN_TEST,  /* run the KTEST named @test */
	KT_RUN_SHELL, /* an interactive shell on a pseudo terminal */
	KT_RUN_EXEC,  /* one command, with pipes as its standard streams */
	KT_N_RUN_MODES,
};

struct kt_run_request {
	enum kt_run_mode mode;
	const char *test;     /* name of the KTEST; NULL in a shell without one */
	const char *command;  /* KT_RUN_EXEC: for sh -c, or the program when there is no shell */
	const char *terminal; /* KT_RUN_SHELL: the value of TERM; NULL: leave it unset */
	uint16_t rows;        /* KT_RUN_SHELL: size of the terminal */
	uint16_t columns;
	uint64_t seed;                  /* of all random numbers in the test */
	struct kt_turns turns;          /* of vCPUs in virtual time */
	uint32_t work_type;             /* enum kt_work_type of swappable workers; 0: their own */
	uint32_t attempt;               /* from 1 */
	uint32_t time_scale_percent;    /* factor for waits, 100 on hardware; at least 100 */
	uint64_t limit_ns;              /* from RUN to RSLT, as the host enforces it; 0: none */
	struct kt_msg_wake wake;        /* for a guest that has not got WAKE before */
	const char *const *environment; /* KEY=value, NULL-terminated; NULL: empty */
	void *storage;                  /* of a decoded request: owns all its texts */
};

#define KT_RUN_REQUEST_NULL ((struct kt_run_request){ .mode = KT_RUN_TEST })

/* Frees what a decoded request owns. Not for a request whose texts are borrowed. */
void kt_run_request_deinit(struct kt_run_request *run);

/* Makes the payload of RUN, *@ret_len bytes, to be freed. Returns 0 or -ENOMEM. */
int kt_run_request_encode(const struct kt_run_request *run, void **ret_data, size_t *ret_len);

/* Reads the payload of RUN. -EBADMSG when it is malformed; -ENOMEM. */
int kt_run_request_decode(const void *data, size_t len, struct kt_run_request *ret_run,
			  struct kt_err *reterr);
