/* SPDX-License-Identifier: MIT */
/* HELO, from a guest: a decoded message survives being encoded and decoded again. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "wire/hello.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_hello hello, again;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;

	if (kt_hello_decode(data, size, &hello, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	if (hello.version != KT_WIRE_VERSION)
		return 0;
	text = kt_hello_encode(&hello);
	KT_FUZZ_ASSERT(text && kt_hello_decode(text, strlen(text), &again, &err) == 0);
	KT_FUZZ_ASSERT(!strcmp(hello.release, again.release) &&
		       !strcmp(hello.build_id, again.build_id));
	KT_FUZZ_ASSERT(hello.boot_ns == again.boot_ns && hello.cpus == again.cpus &&
		       hello.threads == again.threads && hello.memory_nodes == again.memory_nodes &&
		       !memcmp(hello.llc_cores, again.llc_cores, sizeof(hello.llc_cores)) &&
		       hello.text == again.text && hello.kprobe_table == again.kprobe_table);
	return 0;
}
