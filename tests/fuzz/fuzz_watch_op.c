/* SPDX-License-Identifier: MIT */
/* Requests of watches, which come from the guest, and the replies to them. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "wire/watch_op.h"

/* What was decoded is encoded to the same bytes, but for those without a meaning. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE void *request_data = NULL, *reply_data = NULL;
	struct kt_wop_request request, again;
	struct kt_wop_reply reply;
	struct kt_err err = KT_ERR_NULL;
	size_t len;

	if (kt_wop_request_decode(data, size, &request, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
	} else {
		KT_FUZZ_ASSERT(strlen(request.name) <= KT_WOP_NAME_MAX);
		KT_FUZZ_ASSERT(strlen(request.path) <= KT_WOP_PATH_MAX);
		KT_FUZZ_ASSERT(kt_wop_request_encode(&request, &request_data, &len) == 0);
		KT_FUZZ_ASSERT(len == size);
		KT_FUZZ_ASSERT(kt_wop_request_decode(request_data, len, &again, &err) == 0);
		KT_FUZZ_ASSERT(!strcmp(again.path, request.path) && again.op == request.op);
	}
	if (kt_wop_reply_decode(data, size, &reply, &err) < 0)
		return 0;
	KT_FUZZ_ASSERT(strlen(reply.text) <= KT_WOP_ERROR_MAX);
	KT_FUZZ_ASSERT(kt_wop_reply_encode(&reply, &reply_data, &len) == 0 && len <= size);
	return 0;
}
