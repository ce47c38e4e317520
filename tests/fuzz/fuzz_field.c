/* SPDX-License-Identifier: MIT */
/*
 * BTF that is not ours, and a path into it: "PATH=VALUE", a NUL, the BTF; its last type is the
 * value's.
 */
#include <bpf/libbpf.h>
#include <string.h>

#include "schedulers/field.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

#define VALUE_LEN 256u /* bytes, whatever the type says */

static void check_field(const struct btf *btf, uint32_t type_id, const char *path, const char *text)
{
	KT_FREE uint8_t *value = calloc(1, VALUE_LEN);
	struct kt_err err = KT_ERR_NULL;
	struct kt_field field;
	uint64_t number;

	KT_FUZZ_ASSERT(value);
	if (kt_field_find(btf, type_id, path, &field, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return;
	}
	(void)kt_field_set_text(&field, value, VALUE_LEN, text, &err);
	if (kt_field_get(&field, value, VALUE_LEN, &number, &err) == 0)
		KT_FUZZ_ASSERT(kt_field_set(&field, value, VALUE_LEN, number, &err) == 0);
}

/* Refuses a header of odd length: libbpf accepts it, and every type is misaligned then. */
static struct btf *load(const uint8_t *data, size_t size)
{
	struct btf_header header;

	if (size < sizeof(header))
		return NULL;
	memcpy(&header, data, sizeof(header));
	return header.hdr_len % sizeof(uint32_t) ? NULL : btf__new(data, (uint32_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	size_t len = nul ? (size_t)(nul - data) : size;
	KT_FREE char *path = kt_fuzz_text(data, len);
	char *text = path + strcspn(path, "=");
	struct btf *btf;

	(void)libbpf_set_print(NULL);
	btf = nul ? load(nul + 1, size - len - 1) : NULL;
	if (!btf)
		return 0;
	if (*text)
		*text++ = '\0';
	check_field(btf, btf__type_cnt(btf) - 1, path, text);
	btf__free(btf);
	return 0;
}
