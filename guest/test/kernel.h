/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Accesses of a test to the memory of the guest's kernel (ktest/kernel.h): what the operations and
 * the functions that a test calls have in common. Both ask a service, which is the host.
 */

#include <jansson.h>
#include <pthread.h>

#include <ktest/kernel.h>

#include "guest/port/port.h"
#include "util/err.h"
#include "wire/kernel_op.h"

struct kt_ctx;

/* Who makes the accesses: in the guest the host behind the port; in .post_vm the session. */
struct kt_kernel_service {
	/* NULL: nobody. Answers every item, with errors where it must; or a negative errno. */
	int (*serve)(void *data, const struct kt_kop_request *request,
		     struct kt_kop_reply *ret_reply, struct kt_err *reterr);
	void *data;
};

/* What a read has brought, under its tag. */
struct kt_kernel_capture {
	struct kt_kernel_capture *next;
	char *tag;
	struct kt_kop_answer answer; /* the latest */
	enum kt_kernel_value_kind form;
	uint64_t n_reads;
};

struct kt_kernel_memory {
	struct kt_kernel_service service;
	pthread_mutex_t lock; /* of one request and its reply, and of the members below */
	uint32_t id;          /* of the last request */
	struct kt_port *port; /* borrowed; NULL: on the host, and in tests */
	struct kt_kernel_capture *captures, **captures_end; /* owned; in the order of first reads */
};

void kt_kernel_memory_init(struct kt_kernel_memory *memory);
void kt_kernel_memory_deinit(struct kt_kernel_memory *memory);

/* Requests of @ctx go over @port from now on; NULL: nowhere. */
void kt_kernel_memory_use_port(struct kt_ctx *ctx, struct kt_port *port);

/* Judges the pairs of an operation by themselves. -EINVAL with a message. */
int kt_kernel_pairs_check(const struct kt_kernel_pair *pairs, bool is_write, struct kt_err *reterr);

/*
 * Makes the accesses, and keeps what is read. The error names the first access that failed, by its
 * place.
 */
int kt_kernel_pairs_apply(struct kt_ctx *ctx, const struct kt_kernel_pair *pairs, bool is_write,
			  bool cold, struct kt_err *reterr);

/* The number of pairs in a list. */
size_t kt_kernel_pairs_count(const struct kt_kernel_pair *pairs);

/* "runqueues[cpu 1].clock", "task 12: scx.dsq_vtime"; to be freed, NULL: out of memory. */
char *kt_kernel_target_text(const struct kt_kernel_target *target);

/* An object: by tag, the latest value and how often it was read. NULL when nothing was read. */
json_t *kt_kernel_captures_to_json(const struct kt_kernel_memory *memory);
