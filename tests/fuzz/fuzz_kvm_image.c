/* SPDX-License-Identifier: MIT */
/* The sections of a saved machine of KVM: each lies in the state, and the reading ends. */
#include "tests/fuzz/fuzz.h"
#include "vmm/kvm/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_kvm_piece piece;
	size_t at = 0, before = 0;
	int r;

	while ((r = kt_kvm_state_next(data, size, &at, &piece, &err)) > 0) {
		KT_FUZZ_ASSERT(at > before && at <= size);
		KT_FUZZ_ASSERT(piece.data >= data && piece.len <= size);
		KT_FUZZ_ASSERT(piece.data + piece.len == data + at);
		before = at;
	}
	KT_FUZZ_ASSERT(r == 0 ? at == size : err.text[0] != '\0');
	return 0;
}
