/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * SNRQ and SNRP: snapshots of the whole machine, which the host takes and keeps. A request takes
 * one, or asks for a value in those that were taken: the report itself is too long for the guest,
 * so the host follows the steps of a view (ktest/snapshot.h) and answers with what is there.
 *
 * Both are JSON. Neither side trusts the other: decoding checks all lengths and counts.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_SNAPSHOTS_MAX     64u /* that a test keeps */
#define KT_SNAPSHOT_NAME_MAX 40u /* bytes of a name */
#define KT_VIEW_STEPS_MAX    12u
#define KT_VIEW_TEXT_MAX     255u /* bytes of a name or path in a step, or of a text that is read */
#define KT_VIEW_ERROR_MAX    600u /* bytes of an error text; what is longer is cut */

/* The name of a periodic snapshot is this and its number in three digits. */
#define KT_SNAPSHOT_PERIODIC "periodic_"

/* Whether a snapshot can have the name, a part of a file's name. -EINVAL with a message. */
int kt_snapshot_check_name(const char *name, struct kt_err *reterr);

enum kt_snapshot_op {
	KT_SNAPSHOT_CAPTURE = 1, /* take one */
	KT_SNAPSHOT_VIEW,        /* a value in the one called @name */
	KT_SNAPSHOT_SERIES,      /* the value in each periodic one, in their order */
	KT_SNAPSHOT_OPS_END,
};

/* The values are those of enum kt_view_step_kind (ktest/snapshot.h). */
enum kt_snapshot_step_kind {
	KT_SNAPSHOT_STEP_MAP = 1,   /* the BPF map called @text */
	KT_SNAPSHOT_STEP_VARIABLE,  /* the variable @text of a data section */
	KT_SNAPSHOT_STEP_ACTIVE,    /* from here on only maps of the scheduler that is enabled */
	KT_SNAPSHOT_STEP_AT,        /* entry or element @number */
	KT_SNAPSHOT_STEP_FIND,      /* the first entry whose @text is @number */
	KT_SNAPSHOT_STEP_FIND_TEXT, /* the first entry whose @text is @value */
	KT_SNAPSHOT_STEP_MAX,       /* the entry whose @text is the greatest */
	KT_SNAPSHOT_STEP_CPU,       /* the value of CPU @number */
	KT_SNAPSHOT_STEP_GET,       /* a member by its dotted path @text */
	KT_SNAPSHOT_STEPS_END,
};

struct kt_snapshot_step {
	enum kt_snapshot_step_kind kind;
	char text[KT_VIEW_TEXT_MAX + 1];
	char value[KT_VIEW_TEXT_MAX + 1];
	int64_t number;
};

/* As what a value is read. The values are those of enum kt_view_form. */
enum kt_snapshot_form {
	KT_SNAPSHOT_AS_U64 = 1,
	KT_SNAPSHOT_AS_I64,
	KT_SNAPSHOT_AS_DOUBLE,
	KT_SNAPSHOT_AS_BOOL,
	KT_SNAPSHOT_AS_TEXT,
	KT_SNAPSHOT_AS_COUNT, /* how many entries, elements or members there are */
	KT_SNAPSHOT_FORMS_END,
};

/* Why a value cannot be read. The values are those of enum kt_view_fault. */
enum kt_snapshot_fault {
	KT_SNAPSHOT_OK,
	KT_SNAPSHOT_NONE,        /* no snapshot has this name */
	KT_SNAPSHOT_PLACEHOLDER, /* it could not be taken */
	KT_SNAPSHOT_MISSING,     /* the report lacks this part, and says why */
	KT_SNAPSHOT_NO_SCHEDULER,
	KT_SNAPSHOT_NO_MAP,
	KT_SNAPSHOT_NO_VARIABLE,
	KT_SNAPSHOT_AMBIGUOUS, /* several maps or variables have the name */
	KT_SNAPSHOT_NO_FIELD,
	KT_SNAPSHOT_NO_STRUCT, /* it has no members */
	KT_SNAPSHOT_TYPE,      /* it is not of the form that is asked for */
	KT_SNAPSHOT_RANGE,     /* there is no entry with this index */
	KT_SNAPSHOT_NO_CPU,    /* there is no value of this CPU */
	KT_SNAPSHOT_PER_CPU,   /* it has a value for each CPU */
	KT_SNAPSHOT_NO_MATCH,
	KT_SNAPSHOT_UNTYPED, /* the kernel has no types for it, or a limit has left it out */
	KT_SNAPSHOT_EMPTY,   /* a component of the path is empty */
	KT_SNAPSHOT_FAULTS_END,
};

struct kt_snapshot_request {
	uint32_t id; /* the reply has the same */
	enum kt_snapshot_op op;
	char name[KT_SNAPSHOT_NAME_MAX + 1]; /* "" for a series */
	/* Of a capture. */
	bool periodic;
	int64_t elapsed_ns; /* since the test began */
	int step;           /* index; -1: none */
	/* Of a view and a series. */
	enum kt_snapshot_form form;
	size_t n_steps;
	struct kt_snapshot_step steps[KT_VIEW_STEPS_MAX];
};

/* A value in one snapshot. */
struct kt_snapshot_sample {
	char name[KT_SNAPSHOT_NAME_MAX + 1];
	int64_t elapsed_ns; /* since the test began; -1: unknown */
	enum kt_snapshot_fault fault;
	uint64_t number;                  /* of U64, I64 (as two's complement), BOOL, COUNT */
	double real;                      /* of DOUBLE */
	char text[KT_VIEW_ERROR_MAX + 1]; /* of TEXT, at most KT_VIEW_TEXT_MAX; or of the fault */
};

struct kt_snapshot_reply {
	uint32_t id;
	int result; /* 0, or a negative errno: the request could not be served, @error says why */
	bool replaced; /* a capture: one with the same name is gone */
	char error[KT_VIEW_ERROR_MAX + 1];
	size_t n; /* of a view 1 */
	struct kt_snapshot_sample samples[KT_SNAPSHOTS_MAX];
};

/* Make the payload, to be freed. 0 or -ENOMEM. */
int kt_snapshot_request_encode(const struct kt_snapshot_request *request, char **ret_data);
int kt_snapshot_reply_encode(const struct kt_snapshot_reply *reply, char **ret_data);

/* -EBADMSG when the payload is malformed; -ENOMEM. */
int kt_snapshot_request_decode(const void *data, size_t len,
			       struct kt_snapshot_request *ret_request, struct kt_err *reterr);
int kt_snapshot_reply_decode(const void *data, size_t len, struct kt_snapshot_reply *ret_reply,
			     struct kt_err *reterr);
