/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/trim.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"

/*
 * First all types that stay get their new ids, then they are copied with their references changed.
 * A prototype stays if a type refers to it, as a pointer to a function does; its return type is
 * then what remains of it. The strings are copied as they are.
 */

struct trim {
	const struct btf *btf;
	uint32_t n;    /* types, with void */
	uint32_t *ids; /* new ids; 0: left out */
	struct kt_buffer out;
};

typedef void (*reference_fn)(struct trim *trim, uint32_t *id);

/* Bytes of a type with what follows it. */
static size_t len_of(const struct btf_type *type)
{
	size_t n = btf_vlen(type);

	switch (btf_kind(type)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(*type) + sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(*type) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*type) + n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return sizeof(*type) + n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*type) + n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*type) + n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return sizeof(*type) + n * sizeof(struct btf_var_secinfo);
	default:
		return sizeof(*type);
	}
}

/* Calls @fn for each reference of a type but those of parameters. */
static void each_reference(struct trim *trim, struct btf_type *type, reference_fn fn)
{
	switch (btf_kind(type)) {
	case BTF_KIND_ARRAY:
		fn(trim, &btf_array(type)->type);
		fn(trim, &btf_array(type)->index_type);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		for (uint32_t i = 0; i < btf_vlen(type); i++)
			fn(trim, &btf_members(type)[i].type);
		break;
	case BTF_KIND_DATASEC:
		for (uint32_t i = 0; i < btf_vlen(type); i++)
			fn(trim, &btf_var_secinfos(type)[i].type);
		break;
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_VAR:
	case BTF_KIND_FUNC_PROTO:
		fn(trim, &type->type);
		break;
	default:
		break;
	}
}

static bool is_left_out(const struct btf_type *type)
{
	return btf_kind(type) == BTF_KIND_FUNC || btf_kind(type) == BTF_KIND_DECL_TAG;
}

static void keep(struct trim *trim, uint32_t *id)
{
	if (*id < trim->n)
		trim->ids[*id] = 1;
}

static void renumber(struct trim *trim, uint32_t *id)
{
	*id = *id < trim->n ? trim->ids[*id] : 0;
}

static void choose_ids(struct trim *trim)
{
	uint32_t next = 1;

	for (uint32_t id = 1; id < trim->n; id++) {
		const struct btf_type *type = btf__type_by_id(trim->btf, id);

		if (is_left_out(type) || btf_kind(type) == BTF_KIND_FUNC_PROTO)
			continue;
		trim->ids[id] = 1;
		/* Nothing is changed: keep() only reads what it is given. */
		each_reference(trim, (struct btf_type *)type, keep);
	}
	for (uint32_t id = 1; id < trim->n; id++) {
		bool stays = trim->ids[id] && !is_left_out(btf__type_by_id(trim->btf, id));

		trim->ids[id] = stays ? next++ : 0;
	}
	trim->ids[0] = 0;
}

static int copy_type(struct trim *trim, const struct btf_type *type)
{
	size_t at = trim->out.len, len = len_of(type);
	struct btf_type *copy;

	if (btf_kind(type) == BTF_KIND_FUNC_PROTO)
		len = sizeof(*type);
	if (kt_buffer_append(&trim->out, type, len) < 0)
		return -ENOMEM;
	copy = (struct btf_type *)(trim->out.data + at);
	if (btf_kind(type) == BTF_KIND_FUNC_PROTO)
		copy->info &= ~UINT32_C(0xffff);
	each_reference(trim, copy, renumber);
	return 0;
}

static int copy_strings(struct trim *trim, struct btf_header *header)
{
	uint32_t raw_len;
	const char *raw = btf__raw_data(trim->btf, &raw_len);
	const struct btf_header *old = (const struct btf_header *)raw;

	if (!raw)
		return -ENOMEM;
	header->str_off = header->type_len;
	header->str_len = old->str_len;
	return kt_buffer_append(&trim->out, raw + old->hdr_len + old->str_off, old->str_len);
}

static int write_all(struct trim *trim)
{
	struct btf_header header = { .magic = BTF_MAGIC,
				     .version = BTF_VERSION,
				     .hdr_len = sizeof(header) };
	int r;

	choose_ids(trim);
	r = kt_buffer_append(&trim->out, &header, sizeof(header));
	for (uint32_t id = 1; r == 0 && id < trim->n; id++) {
		if (trim->ids[id])
			r = copy_type(trim, btf__type_by_id(trim->btf, id));
	}
	header.type_len = (uint32_t)(trim->out.len - sizeof(header));
	if (r == 0)
		r = copy_strings(trim, &header);
	if (r == 0)
		memcpy(trim->out.data, &header, sizeof(header));
	return r;
}

int kt_btf_trim(const struct btf *btf, void **ret_data, size_t *ret_len, struct kt_err *reterr)
{
	struct trim trim = { .btf = btf, .n = btf__type_cnt(btf), .out = KT_BUFFER_NULL };
	int r;

	trim.ids = calloc(trim.n, sizeof(*trim.ids));
	r = trim.ids ? write_all(&trim) : -ENOMEM;
	free(trim.ids);
	if (r < 0) {
		kt_buffer_deinit(&trim.out);
		return kt_err_oom(reterr);
	}
	*ret_data = trim.out.data;
	*ret_len = trim.out.len;
	return 0;
}
