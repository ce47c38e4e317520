/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vmm/inspect/path.h"
#include "vmm/inspect/state.h"

/* Scalars: what fits into 64 bits. */

static const struct btf_type *type_of(const struct kt_place *place)
{
	return btf__type_by_id(place->btf, kt_btf_skip(place->btf, place->type));
}

bool kt_place_is_scalar(const struct kt_place *place)
{
	const struct btf_type *type = type_of(place);

	if (!type || !place->size || place->size > (place->bit_size ? KT_PLACE_SPAN : 8))
		return false;
	if (place->bit_size)
		return btf_kind(type) == BTF_KIND_INT || btf_is_any_enum(type);
	return (btf_kind(type) == BTF_KIND_INT || btf_kind(type) == BTF_KIND_PTR ||
		btf_is_any_enum(type)) &&
	       !(place->size & (place->size - 1));
}

bool kt_place_is_signed(const struct kt_place *place)
{
	const struct btf_type *type = type_of(place);

	if (!type)
		return false;
	if (btf_kind(type) == BTF_KIND_INT)
		return btf_int_encoding(type) & BTF_INT_SIGNED;
	return btf_is_any_enum(type) && btf_kflag(type);
}

static int no_scalar(const struct kt_place *place, struct kt_err *reterr)
{
	char what[256];

	return kt_err_set(reterr, -EINVAL, "%s is not a number",
			  kt_btf_describe(place->btf, place->type, what, sizeof(what)));
}

static unsigned int bits_of(const struct kt_place *place)
{
	return place->bit_size ? place->bit_size : (unsigned int)place->size * 8;
}

static uint64_t mask_of(unsigned int bits)
{
	return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static uint64_t extend(const struct kt_place *place, uint64_t value)
{
	unsigned int bits = bits_of(place);

	if (kt_place_is_signed(place) && value >> (bits - 1) & 1)
		value |= ~mask_of(bits);
	return value;
}

uint64_t kt_place_from_bytes(const struct kt_place *place, const uint8_t bytes[KT_PLACE_SPAN])
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	if (place->bit_size) {
		value >>= place->bit_shift;
		if (place->bit_shift)
			value |= (uint64_t)bytes[8] << (64 - place->bit_shift);
	}
	return extend(place, value & mask_of(bits_of(place)));
}

static void to_bytes(const struct kt_place *place, uint64_t value, uint8_t bytes[KT_PLACE_SPAN])
{
	for (unsigned int i = 0; i < bits_of(place); i++) {
		unsigned int bit = i + place->bit_shift;
		uint8_t mask = (uint8_t)(1u << bit % 8);

		if (value >> i & 1)
			bytes[bit / 8] |= mask;
		else
			bytes[bit / 8] &= (uint8_t)~mask;
	}
}

int kt_inspect_load(struct kt_inspect *inspect, const struct kt_place *place, uint64_t *ret_value,
		    struct kt_err *reterr)
{
	uint8_t bytes[KT_PLACE_SPAN] = { 0 };
	int r;

	if (!kt_place_is_scalar(place))
		return no_scalar(place, reterr);
	if (place->computed) {
		*ret_value = extend(place, place->value & mask_of(bits_of(place)));
		return 0;
	}
	r = kt_inspect_read(inspect, place->kva, bytes, place->size, reterr);
	if (r == 0)
		*ret_value = kt_place_from_bytes(place, bytes);
	return r;
}

static bool fits(const struct kt_place *place, uint64_t value)
{
	const struct btf_type *type = type_of(place);

	if (btf_kind(type) == BTF_KIND_INT && btf_int_encoding(type) & BTF_INT_BOOL)
		return value <= 1;
	return !(value & ~mask_of(bits_of(place))) ||
	       (kt_place_is_signed(place) &&
		extend(place, value & mask_of(bits_of(place))) == value);
}

int kt_inspect_store(struct kt_inspect *inspect, const struct kt_place *place, uint64_t value,
		     struct kt_err *reterr)
{
	uint8_t bytes[KT_PLACE_SPAN] = { 0 };
	char what[256];
	int r = 0;

	if (!kt_place_is_scalar(place))
		return no_scalar(place, reterr);
	if (place->computed)
		return kt_err_set(reterr, -EINVAL, "a computed value cannot be written");
	if (!fits(place, value))
		return kt_err_set(reterr, -ERANGE, "0x%" PRIx64 " does not fit into %u bits of %s",
				  value, bits_of(place),
				  kt_btf_describe(place->btf, place->type, what, sizeof(what)));
	if (place->bit_size)
		r = kt_inspect_read(inspect, place->kva, bytes, place->size, reterr);
	if (r < 0)
		return r;
	to_bytes(place, value, bytes);
	return kt_inspect_write(inspect, place->kva, bytes, place->size, reterr);
}
