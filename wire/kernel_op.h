/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * KOPQ and KOPR: accesses to the memory of the guest's kernel, which the host makes.
 *
 * A request is a batch of reads or of writes; its reply has one answer for each, in their order. In
 * virtual time the guest asks by a host call and stands still until the reply is there.
 *
 * Neither side trusts the other: decoding checks all lengths and counts before it allocates.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_KOP_ITEMS_MAX 512u         /* of one request */
#define KT_KOP_NAME_MAX  511u         /* bytes of a path, a symbol or a field */
#define KT_KOP_WRITE_MAX 192u         /* bytes of one write, which lands whole or not at all */
#define KT_KOP_READ_MAX  4096u        /* bytes of one read */
#define KT_KOP_DATA_MAX  (256u << 10) /* bytes of all reads of a request */
#define KT_KOP_ERROR_MAX 600u         /* bytes of an error text; what is longer is cut */
#define KT_KOP_TEXT_MAX  1024u        /* bytes of a typed value as a text, likewise */

/* What is accessed. The values are those of enum kt_kernel_target_kind (ktest/kernel.h). */
enum kt_kop_target {
	KT_KOP_PATH = 1,      /* @name is a typed path */
	KT_KOP_SYMBOL,        /* @name is a symbol */
	KT_KOP_DIRECT,        /* @address is in the direct map */
	KT_KOP_KVA,           /* @address is any kernel address */
	KT_KOP_PER_CPU_FIELD, /* @field of @cpu's copy of the per-CPU variable @name */
	KT_KOP_TASK_FIELD,    /* @field of the task @pid that began at @start_ns */
	KT_KOP_TARGETS_END,
};

/* As what. The values are those of enum kt_kernel_value_kind. */
enum kt_kop_value {
	KT_KOP_TYPED = 1, /* a scalar, as wide as its type says */
	KT_KOP_U32,
	KT_KOP_U64,
	KT_KOP_BYTES,  /* @len bytes */
	KT_KOP_OR_U32, /* writes only: sets the bits of @number */
	KT_KOP_OR_U64,
	KT_KOP_TEXT, /* reads only: the typed value for people */
	KT_KOP_VALUES_END,
};

struct kt_kop_item {
	enum kt_kop_target target;
	enum kt_kop_value value;
	uint64_t address;
	uint64_t number;   /* writes: what is written */
	uint64_t start_ns; /* KT_KOP_TASK_FIELD: task_struct.start_time */
	uint32_t pid;
	uint32_t cpu;
	bool any_class;   /* KT_KOP_TASK_FIELD: the task need not be sched_ext's */
	uint32_t len;     /* KT_KOP_BYTES */
	const char *name; /* NULL where it does not count, like @field */
	const char *field;
	const void *bytes; /* writes of KT_KOP_BYTES */
};

struct kt_kop_request {
	uint32_t id; /* the reply has the same */
	bool write;
	bool cold; /* all vCPUs stand still during the batch */
	uint32_t n;
	struct kt_kop_item *items; /* owned by a decoded request, like what they point to */
	void *storage;
};

#define KT_KOP_REQUEST_NULL ((struct kt_kop_request){ .n = 0 })

struct kt_kop_answer {
	int result;      /* 0 or a negative errno */
	bool is_signed;  /* @number is an int64_t */
	uint64_t number; /* of a scalar */
	/* Bytes; the text of a typed value; or of the error. Owned; a NUL follows. NULL: none. */
	char *data;
	uint32_t len;
};

struct kt_kop_reply {
	uint32_t id;
	uint32_t n;                    /* as many as the request has items */
	struct kt_kop_answer *answers; /* owned */
};

#define KT_KOP_REPLY_NULL ((struct kt_kop_reply){ .n = 0 })

/* Makes the payload of KOPQ, to be freed. 0 or -ENOMEM. @request is within the bounds above. */
int kt_kop_request_encode(const struct kt_kop_request *request, void **ret_data, size_t *ret_len);

/* -EBADMSG when the payload is malformed, -ENOMEM. */
int kt_kop_request_decode(const void *data, size_t len, struct kt_kop_request *ret_request,
			  struct kt_err *reterr);

/* Frees what a decoded request owns. */
void kt_kop_request_deinit(struct kt_kop_request *request);

/* Makes a reply to @request whose answers are all 0. -ENOMEM. */
int kt_kop_reply_new(const struct kt_kop_request *request, struct kt_kop_reply *ret_reply);
void kt_kop_reply_deinit(struct kt_kop_reply *reply);

/* Sets the data of an answer to a copy; an answer that there is no memory for becomes -ENOMEM. */
void kt_kop_answer_set(struct kt_kop_answer *answer, const void *data, size_t len);

/* Makes the answer an error; returns @code, which is negative. */
int kt_kop_answer_fail(struct kt_kop_answer *answer, int code, const char *text);

/* The payload of KOPR, as above. */
int kt_kop_reply_encode(const struct kt_kop_reply *reply, void **ret_data, size_t *ret_len);
int kt_kop_reply_decode(const void *data, size_t len, struct kt_kop_reply *ret_reply,
			struct kt_err *reterr);
