/* SPDX-License-Identifier: MIT */
#pragma once
/* RUN: what the guest is to do. Everything that is about one test comes this way, nothing earlier.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/message.h"

enum kt_run_mode {
	KT_RUN_TEST,  /* run the KTEST named @test */
	KT_RUN_SHELL, /* an interactive shell on a pseudo terminal */
	KT_RUN_EXEC,  /* one command, with pipes */
	KT_N_RUN_MODES,
};

struct kt_run_request {
	enum kt_run_mode mode;
	const char *test;     /* name of the KTEST; NULL in a shell that follows none */
	const char *command;  /* KT_RUN_EXEC: for sh -c, or the program when there is no shell */
	const char *terminal; /* KT_RUN_SHELL: value of TERM */
	uint16_t rows;        /* KT_RUN_SHELL: size of the terminal */
	uint16_t columns;
	uint64_t seed;                  /* of everything random in the test */
	uint32_t work_type;             /* enum kt_work_type of swappable workers; 0: their own */
	uint32_t attempt;            /* counts from 1 */
	uint32_t time_scale_percent; /* how much longer than on hardware waits may take, >= 100 */
	struct kt_msg_wake wake;     /* for a guest that has not had WAKE */
	const char *const *environment; /* KEY=value, NULL-terminated */
	void *storage;                  /* of a decoded request: all its texts */
};

#define KT_RUN_REQUEST_NULL ((struct kt_run_request){ .mode = KT_RUN_TEST })

/* Frees what a decoded request holds. */
void kt_run_request_deinit(struct kt_run_request *run);

/* *@ret_data is a payload for RUN, to be freed. */
int kt_run_request_encode(const struct kt_run_request *run, void **ret_data, size_t *ret_len);

int kt_run_request_decode(const void *data, size_t len, struct kt_run_request *ret_run,
			  struct kt_err *reterr);
