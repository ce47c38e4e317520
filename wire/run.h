/* SPDX-License-Identifier: MIT */
#pragma once
/* RUN: what the guest is to do. Everything that is about one test comes this way, nothing earlier.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum kt_run_mode {
	KT_RUN_TEST,  /* run the KTEST named @test */
	KT_RUN_SHELL, /* an interactive shell on a pseudo terminal */
	KT_RUN_EXEC,  /* one command, with pipes */
};

struct kt_run_request {
	enum kt_run_mode mode;
	const char *test;     /* name of the KTEST; NULL in a shell that follows none */
	const char *command;  /* KT_RUN_EXEC: for sh -c, or the program when there is no shell */
	const char *terminal; /* KT_RUN_SHELL: value of TERM */
	uint16_t rows;        /* KT_RUN_SHELL: size of the terminal */
	uint16_t columns;
	uint64_t seed;               /* of everything random in the test */
	uint32_t attempt;            /* counts from 1 */
	uint64_t realtime_ns;        /* the host's CLOCK_REALTIME at sending */
	uint32_t time_scale_percent; /* how much longer than on hardware waits may take, >= 100 */
	const char *const *environment; /* KEY=value, NULL-terminated */
};

#define KT_RUN_REQUEST_NULL ((struct kt_run_request){ .mode = KT_RUN_TEST })

/* Frees the strings of a decoded request. */
void kt_run_request_deinit(struct kt_run_request *run);

/* A JSON object; the result is to be freed. NULL when out of memory. */
char *kt_run_request_encode(const struct kt_run_request *run);

int kt_run_request_decode(const void *data, size_t len, struct kt_run_request *ret_run,
			  struct kt_err *reterr);
