/* SPDX-License-Identifier: MIT */
#include "vmm/watch.h"

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
