/* SPDX-License-Identifier: MIT */
/* VMCOREINFO, a text in the guest's memory. */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/inspect/vmcoreinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_vmcoreinfo info;
	struct kt_err err = KT_ERR_NULL;
	int r = kt_vmcoreinfo_parse((const char *)data, size, &info, &err);

	if (r < 0) {
		KT_FUZZ_ASSERT(r == -EAGAIN || r == -EPROTO);
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(info.release[0] && strnlen(info.release, 65) < 65);
	KT_FUZZ_ASSERT(info.build_id[0] && strspn(info.build_id, "0123456789abcdef") < 41);
	KT_FUZZ_ASSERT(info.levels == 4 || info.levels == 5);
	return 0;
}
