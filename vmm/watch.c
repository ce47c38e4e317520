/* SPDX-License-Identifier: MIT */
#include "vmm/watch.h"

#include <errno.h>
#include <inttypes.h>

uint64_t kt_watch_value(const struct kt_watch *watch, uint64_t raw)
{
	const struct kt_watch_condition *when = &watch->when;
	unsigned int n_bits = when->bit_size ? when->bit_size : 8 * watch->len;
	uint64_t value = raw >> (when->bit_size ? when->bit_shift : 0);

	if (n_bits < 64)
		value &= (1ull << n_bits) - 1;
	if (when->is_signed && n_bits < 64 && value >> (n_bits - 1))
		value |= ~0ull << n_bits;
	return value;
}

static bool is_less(bool is_signed, uint64_t a, uint64_t b)
{
	return is_signed ? (int64_t)a < (int64_t)b : a < b;
}

bool kt_watch_holds(const struct kt_watch *watch, uint64_t raw)
{
	const struct kt_watch_condition *when = &watch->when;
	uint64_t value = kt_watch_value(watch, raw);
	bool less = is_less(when->is_signed, value, when->number);

	switch (when->compare) {
	case KT_WATCH_ALWAYS:
		return true;
	case KT_WATCH_EQ:
		return value == when->number;
	case KT_WATCH_NE:
		return value != when->number;
	case KT_WATCH_LT:
		return less;
	case KT_WATCH_LE:
		return less || value == when->number;
	case KT_WATCH_GT:
		return !less && value != when->number;
	case KT_WATCH_GE:
		return !less;
	case KT_WATCH_N_COMPARES:
		break;
	}
	return false;
}

bool kt_watch_is_same(const struct kt_watch *a, const struct kt_watch *b)
{
	return a->address == b->address && a->len == b->len && a->kind == b->kind;
}

int kt_watch_check(const struct kt_watch *watch, struct kt_err *reterr)
{
	bool has_value = watch->len <= sizeof(uint64_t);

	if (!watch->len || watch->address + (watch->len - 1) < watch->address)
		return kt_err_set(reterr, -EINVAL,
				  "%" PRIu32 " bytes at 0x%" PRIx64 " cannot be watched",
				  watch->len, watch->address);
	if (watch->when.compare != KT_WATCH_ALWAYS && !has_value)
		return kt_err_set(reterr, -EINVAL,
				  "a condition is on at most 8 bytes, not on %" PRIu32, watch->len);
	return 0;
}

int kt_watch_beside(const struct kt_watch *watch, const struct kt_watch *other,
		    struct kt_err *reterr)
{
	bool overlaps = watch->address <= other->address + (other->len - 1) &&
			other->address <= watch->address + (watch->len - 1);

	if (!overlaps || kt_watch_is_same(watch, other))
		return 0;
	return kt_err_set(reterr, -EBUSY,
			  "another watch has a part of its %" PRIu32
			  " bytes: the same bytes can be watched again, in the same kind of "
			  "accesses, but not a part of them",
			  watch->len);
}
