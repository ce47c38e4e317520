/* SPDX-License-Identifier: MIT */
/* The kernel log of a guest: complaints, and how a scheduler ended. */
#include <string.h>

#include "guest/scheduler/exit.h"
#include "guest/test/kmsg.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *log = kt_fuzz_text(data, size);
	KT_FREE char *complaint = kt_kmsg_complaint(log);
	struct kt_scx_exit_info info;

	KT_FUZZ_ASSERT(!complaint || (*complaint && !strchr(complaint, '\n')));
	if (kt_scx_exit_parse(log, &info) < 0)
		return 0;
	KT_FUZZ_ASSERT(info.reason && info.message && info.backtrace);
	kt_scx_exit_deinit(&info);
	return 0;
}
