/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WTRQ and WTRP: what the guest asks of the host's freeze coordinator (vmm/freeze/). In virtual
 * time the guest stands still until the reply is there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_WOP_NAME_MAX  63u  /* bytes of the name of a watch */
#define KT_WOP_PATH_MAX  511u /* bytes of a path */
#define KT_WOP_ERROR_MAX 600u /* bytes of an error text; what is longer is cut */

enum kt_wop {
	KT_WOP_SCHEDULERS = 1, /* schedulers may come, or have gone: watch their ends */
	KT_WOP_WATCH,
	KT_WOP_UNWATCH, /* @name counts */
	KT_WOP_END,
};

/* Comparisons, with the values of enum kt_watch_compare (vmm/watch.h). */
#define KT_WOP_COMPARES 7u

struct kt_wop_request {
	uint32_t id; /* the reply has the same */
	enum kt_wop op;
	bool on_access;       /* reads too; else writes only */
	uint32_t compare;     /* 0: no condition */
	uint32_t len;         /* bytes; 0: as the type of the path says */
	uint64_t number;      /* that values are compared with */
	uint64_t interval_ns; /* between captures */
	uint64_t n_max;       /* captures in all */
	uint64_t elapsed_ns;  /* since the test began: the host counts on from here */
	char name[KT_WOP_NAME_MAX + 1];
	char path[KT_WOP_PATH_MAX + 1];
};

struct kt_wop_reply {
	uint32_t id;
	int32_t result; /* 0 or a negative errno */
	char text[KT_WOP_ERROR_MAX + 1];
};

/* Make a payload, to be freed. 0 or -ENOMEM. */
int kt_wop_request_encode(const struct kt_wop_request *request, void **ret_data, size_t *ret_len);
int kt_wop_reply_encode(const struct kt_wop_reply *reply, void **ret_data, size_t *ret_len);

/* -EBADMSG when the payload is malformed; then nothing is stored. */
int kt_wop_request_decode(const void *data, size_t len, struct kt_wop_request *ret_request,
			  struct kt_err *reterr);
int kt_wop_reply_decode(const void *data, size_t len, struct kt_wop_reply *ret_reply,
			struct kt_err *reterr);
