/* SPDX-License-Identifier: MIT */
/*
 * SNRQ, from the guest, and SNRP, from the host: what is decoded is within the bounds, and encodes
 * to what decodes to the same. A view is also followed, in a report that the guest could have made:
 * the input up to its first NUL is the request, what follows is the report.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "vmm/snapshot/view.h"
#include "wire/json.h"

static void try_reply(const uint8_t *data, size_t size)
{
	static struct kt_snapshot_reply reply, again;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;

	if (kt_snapshot_reply_decode(data, size, &reply, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return;
	}
	KT_FUZZ_ASSERT(reply.n <= KT_SNAPSHOTS_MAX);
	KT_FUZZ_ASSERT(kt_snapshot_reply_encode(&reply, &text) == 0);
	KT_FUZZ_ASSERT(kt_snapshot_reply_decode(text, strlen(text), &again, NULL) == 0);
	KT_FUZZ_ASSERT(again.n == reply.n && again.id == reply.id);
}

static void look(const struct kt_snapshot_request *request, const char *text, size_t len)
{
	KT_JSON json_t *report = json_loadb(text, len, 0, NULL);
	struct kt_snapshot_reply *reply = calloc(1, sizeof(*reply));
	KT_FREE char *payload = NULL;

	KT_FUZZ_ASSERT(reply);
	reply->n = 1;
	if (json_is_object(report)) {
		kt_view_read(report, request, &reply->samples[0]);
		KT_FUZZ_ASSERT(reply->samples[0].fault < KT_SNAPSHOT_FAULTS_END);
		KT_FUZZ_ASSERT(reply->samples[0].fault == KT_SNAPSHOT_OK ||
			       reply->samples[0].text[0]);
		/* What is answered can be read. */
		KT_FUZZ_ASSERT(kt_snapshot_reply_encode(reply, &payload) == 0);
		KT_FUZZ_ASSERT(kt_snapshot_reply_decode(payload, strlen(payload), reply, NULL) ==
			       0);
	}
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kt_snapshot_request request;
	struct kt_err err = KT_ERR_NULL;
	const uint8_t *nul = memchr(data, 0, size);
	size_t len = nul ? (size_t)(nul - data) : size;
	KT_FREE char *again = NULL;

	try_reply(data, size);
	if (kt_snapshot_request_decode(data, len, &request, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(request.n_steps <= KT_VIEW_STEPS_MAX);
	KT_FUZZ_ASSERT(kt_snapshot_request_encode(&request, &again) == 0);
	KT_FUZZ_ASSERT(kt_snapshot_request_decode(again, strlen(again), &request, NULL) == 0);
	if (nul && request.form)
		look(&request, (const char *)nul + 1, size - len - 1);
	return 0;
}
