/* SPDX-License-Identifier: MIT */
/*
 * KOPQ, from the guest, and KOPR, from the host: what is decoded is within the bounds, and is
 * encoded to the same bytes. A request is also served, on a kernel that never ran.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tiny_kernel.h"
#include "util/cleanup.h"
#include "vmm/kernel_access.h"
#include "wire/frame.h"
#include "wire/kernel_op.h"

static struct kt_inspect *kernel(void)
{
	static struct tiny_kernel tiny;
	static struct kt_inspect *inspect;

	if (!inspect) {
		tiny_kernel_init(&tiny, NULL);
		KT_FUZZ_ASSERT(kt_inspect_open(tiny.ram, NULL, &inspect, NULL) == 0);
	}
	return inspect;
}

static void try_reply(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_kop_reply reply;
	KT_FREE void *again = NULL;
	size_t len;

	if (kt_kop_reply_decode(data, size, &reply, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return;
	}
	KT_FUZZ_ASSERT(reply.n <= KT_KOP_ITEMS_MAX);
	KT_FUZZ_ASSERT(kt_kop_reply_encode(&reply, &again, &len) == 0);
	kt_kop_reply_deinit(&reply);
}

/* A reply fits into a frame, whatever was asked for. */
static void serve(const struct kt_kop_request *request, bool stands)
{
	struct kt_kop_reply reply;
	KT_FREE void *data = NULL;
	size_t len;

	KT_FUZZ_ASSERT(kt_kop_reply_new(request, &reply) == 0);
	kt_kernel_access_serve(kernel(), stands, request, &reply);
	KT_FUZZ_ASSERT(kt_kop_reply_encode(&reply, &data, &len) == 0);
	KT_FUZZ_ASSERT(len <= KT_FRAME_PAYLOAD_MAX);
	for (uint32_t i = 0; i < reply.n; i++)
		KT_FUZZ_ASSERT(reply.answers[i].result <= 0 &&
			       (reply.answers[i].result == 0 || reply.answers[i].data));
	try_reply(data, len);
	kt_kop_reply_deinit(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kop_request request;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *again = NULL;
	size_t len;

	try_reply(data, size);
	if (kt_kop_request_decode(data, size, &request, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(request.n && request.n <= KT_KOP_ITEMS_MAX);
	KT_FUZZ_ASSERT(kt_kop_request_encode(&request, &again, &len) == 0);
	KT_FUZZ_ASSERT(len == size && !memcmp(again, data, len));
	/* Writes would change what later inputs find. */
	if (!request.write)
		serve(&request, request.cold);
	kt_kop_request_deinit(&request);
	return 0;
}
