/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/parse.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/types_index.h"
#include "wire/json.h"

/*
 * The part of a struct from the first to the last member that is wanted is copied in one read,
 * which costs less than a read for each member, even of a struct of ten thousand bytes.
 */

#define LEN_MAX   (64u << 10) /* bytes of a struct that are copied */
#define TEXT_MAX  4096u       /* bytes of a text */
#define ENUMS_MAX 256u        /* enumerators of one enum that are looked at */

static int find_field(struct kt_record *record, const struct kt_record_field *field,
		      struct kt_member *ret_member, struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_RECORD_PATHS && field->paths[i]; i++) {
		if (kt_inspect_has_member(record->inspect, record->type, field->paths[i],
					  ret_member))
			return 0;
	}
	*ret_member = (struct kt_member){ .type = 0 };
	/* Only now, for the error. */
	return field->optional ? 0
			       : kt_inspect_member(record->inspect, record->type, field->paths[0],
						   ret_member, reterr);
}

static int find_fields(struct kt_record *record, const struct kt_record_field *fields, size_t n,
		       struct kt_err *reterr)
{
	uint64_t begin = UINT32_MAX, end = 0;

	for (size_t i = 0; i < n; i++) {
		struct kt_member *member = &record->members[i];
		int r = find_field(record, &fields[i], member, reterr);

		if (r < 0)
			return r;
		if (!member->type)
			continue;
		begin = KT_MIN(begin, member->offset);
		end = KT_MAX(end, (uint64_t)member->offset + member->size);
	}
	record->begin = end ? (uint32_t)begin : 0;
	if (end - record->begin > LEN_MAX)
		return kt_err_set(reterr, -EPROTO, "%s is absurdly long", record->type);
	record->len = (uint32_t)(end - record->begin);
	return 0;
}

int kt_record_init(struct kt_record *record, struct kt_inspect *inspect, const char *type,
		   const struct kt_record_field *fields, size_t n, struct kt_err *reterr)
{
	int64_t size;
	uint32_t id;
	int r;

	*record = (struct kt_record){ .inspect = inspect, .type = type, .n = n };
	r = kt_inspect_type(inspect, type, &id, reterr);
	if (r < 0)
		return r;
	record->btf = kt_inspect_btf(inspect);
	size = kt_btf_size(record->btf, id);
	if (size < 0)
		return kt_err_set(reterr, -EPROTO, "%s has no size", type);
	record->size = (uint32_t)KT_MIN(size, (int64_t)UINT32_MAX);
	r = find_fields(record, fields, n, reterr);
	if (r < 0)
		return r;
	record->bytes = calloc(1, (size_t)record->len + KT_PLACE_SPAN);
	return record->bytes ? 0 : kt_err_oom(reterr);
}

void kt_record_deinit(struct kt_record *record)
{
	free(record->bytes);
	*record = KT_RECORD_NULL;
}

int kt_record_read(struct kt_record *record, uint64_t kva, struct kt_err *reterr)
{
	int r = kt_inspect_read(record->inspect, kva + record->begin, record->bytes, record->len,
				reterr);

	record->kva = kva;
	return r < 0 ? kt_err_prefix(reterr, r, "%s at 0x%" PRIx64, record->type, kva) : 0;
}

bool kt_record_has(const struct kt_record *record, size_t field)
{
	return record->members[field].type != 0;
}

static const uint8_t *bytes_of(const struct kt_record *record, size_t field)
{
	return record->bytes + (record->members[field].offset - record->begin);
}

uint64_t kt_record_get(const struct kt_record *record, size_t field)
{
	const struct kt_member *member = &record->members[field];
	struct kt_place place = { .btf = record->btf,
				  .type = member->type,
				  .size = member->size,
				  .bit_shift = member->bit_shift,
				  .bit_size = member->bit_size };
	uint8_t bytes[KT_PLACE_SPAN] = { 0 };

	if (!member->type || !member->size)
		return 0;
	/* A struct around a number, such as atomic_t, is as good as the number. */
	place.size = KT_MIN(place.size, UINT64_C(8));
	memcpy(bytes, bytes_of(record, field), KT_MIN(member->size, sizeof(bytes)));
	return kt_place_from_bytes(&place, bytes);
}

const char *kt_record_text(const struct kt_record *record, size_t field, char *to, size_t room)
{
	const struct kt_member *member = &record->members[field];
	size_t len = 0;

	if (member->type) {
		len = strnlen((const char *)bytes_of(record, field), member->size);
		len = KT_MIN(len, room - 1);
		memcpy(to, bytes_of(record, field), len);
	}
	to[len] = 0;
	return to;
}

uint64_t kt_record_address(const struct kt_record *record, size_t field)
{
	return record->kva + record->members[field].offset;
}

const char *kt_record_enumerator(const struct kt_record *record, size_t field)
{
	return kt_btf_enum_name(record->btf, record->members[field].type,
				(int64_t)kt_record_get(record, field));
}

/* ---- JSON ---- */

json_t *kt_tree_text(const char *text)
{
	return kt_json_text(text, KT_MIN(strlen(text), TEXT_MAX));
}

json_t *kt_tree_address(uint64_t kva)
{
	return kt_json_hex(kva);
}

json_t *kt_tree_unsigned(uint64_t value)
{
	return value > INT64_MAX ? kt_tree_address(value) : json_integer((json_int_t)value);
}

json_t *kt_tree_member(const struct kt_record *record, size_t field)
{
	const struct kt_member *member = &record->members[field];
	struct kt_place place = { .btf = record->btf, .type = member->type, .size = member->size };

	if (!member->type)
		return json_null();
	if (kt_place_is_signed(&place))
		return json_integer((json_int_t)kt_record_get(record, field));
	return kt_tree_unsigned(kt_record_get(record, field));
}

json_t *kt_tree_error(const struct kt_err *err)
{
	return json_pack("{s:o}", "error", kt_tree_text(err->text));
}

/* ---- Enumerators ---- */

/* The enumerator @i of an enum; NULL when there is none. */
static const char *enumerator_at(const struct btf *btf, uint32_t id, size_t i, int64_t *ret_value)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	if (!type || i >= ENUMS_MAX || !kt_types_enumerator(btf, id, i, ret_value))
		return NULL;
	return btf__name_by_offset(btf, btf_kind(type) == BTF_KIND_ENUM64
						? btf_enum64(type)[i].name_off
						: btf_enum(type)[i].name_off);
}

/* The bits of an enum that together are numbers. */
static uint64_t masked_bits(const struct btf *btf, uint32_t id)
{
	uint64_t bits = 0;
	const char *name;
	int64_t value;

	for (size_t i = 0; (name = enumerator_at(btf, id, i, &value)); i++) {
		if (kt_ends_with(name, "_MASK"))
			bits |= (uint64_t)value;
	}
	return bits;
}

json_t *kt_tree_flags(struct kt_inspect *inspect, const char *type, uint64_t value)
{
	json_t *names = json_array();
	const struct btf *btf;
	const char *name;
	int64_t bit;
	uint32_t id;

	if (!names || kt_inspect_type(inspect, type, &id, NULL) < 0)
		return names;
	btf = kt_inspect_btf(inspect);
	value &= ~masked_bits(btf, id);
	for (size_t i = 0; (name = enumerator_at(btf, id, i, &bit)); i++) {
		/* A 32-bit enum with its highest bit set is negative. */
		uint64_t wide = bit < 0 ? (uint32_t)bit : (uint64_t)bit;

		if (!wide || wide & (wide - 1) || !(value & wide) || kt_ends_with(name, "_SHIFT") ||
		    kt_ends_with(name, "_BITS"))
			continue;
		(void)json_array_append_new(names, kt_tree_text(name));
	}
	return names;
}

const char *kt_inspect_enum_name(struct kt_inspect *inspect, const char *type, int64_t value)
{
	uint32_t id;

	if (kt_inspect_type(inspect, type, &id, NULL) < 0)
		return NULL;
	return kt_btf_enum_name(kt_inspect_btf(inspect), id, value);
}
