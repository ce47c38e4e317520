/* SPDX-License-Identifier: MIT */
#include "util/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * All parsers are built on parse_digits(), which advances a cursor, so that a caller sees where the
 * number ends and decides what may follow. Results are written only after the whole text is
 * accepted.
 */

/*
 * Reads the decimal number at *@at and advances *@at past it. strtoull(3) also accepts signs and
 * leading space, which an option or a list must not have.
 */
static int parse_digits(const char **at, uint64_t *ret_value)
{
	uint64_t value;
	char *end;

	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	errno = 0;
	value = strtoull(*at, &end, 10);
	if (errno)
		return -ERANGE;
	*at = end;
	*ret_value = value;
	return 0;
}

int kt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int r;

	r = parse_digits(&text, &value);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* The nanoseconds in one @unit; no unit means seconds. */
static int duration_unit(const char *unit, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "", KT_NSEC_PER_SEC },         { "ns", 1 },
		{ "us", KT_NSEC_PER_USEC },      { "ms", KT_NSEC_PER_MSEC },
		{ "s", KT_NSEC_PER_SEC },        { "m", 60 * KT_NSEC_PER_SEC },
		{ "h", 3600 * KT_NSEC_PER_SEC }, { "d", 86400 * KT_NSEC_PER_SEC },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(units); i++) {
		if (!strcmp(unit, units[i].name)) {
			*ret_ns = units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

int kt_parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t whole, unit, part = 0, scale = 1;
	int r;

	r = parse_digits(&text, &whole);
	if (r < 0)
		return r;
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return -EINVAL;
		for (; isdigit((unsigned char)*text); text++) {
			if (scale >= KT_NSEC_PER_SEC)
				continue; /* digits beyond the ninth do not count */
			part = part * 10 + (uint64_t)(*text - '0');
			scale *= 10;
		}
	}
	r = duration_unit(text, &unit);
	if (r < 0)
		return r;
	/* Durations stay within int64_t, in which JSON and struct timespec carry them. */
	if (whole > (uint64_t)INT64_MAX / unit - 1)
		return -ERANGE;
	*ret_ns = whole * unit + (uint64_t)((double)part / (double)scale * (double)unit);
	return 0;
}

int kt_parse_size(const char *text, uint64_t *ret_bytes)
{
	unsigned int shift = 0;
	uint64_t value;
	int r;

	r = parse_digits(&text, &value);
	if (r < 0)
		return r;
	switch (toupper((unsigned char)*text)) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		text++;
	if (*text == 'i' && shift)
		text++;
	if (*text == 'B')
		text++;
	if (*text)
		return -EINVAL;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}

/* Adds the first @used CPUs of every @group CPUs in @first..@last. */
static int add_range(struct kt_cpu_list *list, uint64_t first, uint64_t last, uint64_t used,
		     uint64_t group)
{
	if (last < first || !group || !used || used > group)
		return -EINVAL;
	if (last >= KT_CPUS_MAX)
		return -ERANGE;
	for (uint64_t cpu = first; cpu <= last; cpu++) {
		if ((cpu - first) % group < used)
			kt_cpu_list_add(list, (unsigned int)cpu);
	}
	return 0;
}

/* One element of a list: N, N-M or N-M:USED/GROUP. Advances *@at past it. */
static int parse_element(const char **at, struct kt_cpu_list *list)
{
	uint64_t first, last, used = 1, group = 1;
	int r;

	r = parse_digits(at, &first);
	if (r < 0)
		return r;
	last = first;
	if (**at == '-') {
		++*at;
		r = parse_digits(at, &last);
		if (r < 0)
			return r;
		if (**at == ':') {
			++*at;
			r = parse_digits(at, &used);
			if (r < 0 || *(*at)++ != '/')
				return -EINVAL;
			r = parse_digits(at, &group);
			if (r < 0)
				return r;
		}
	}
	return add_range(list, first, last, used, group);
}

int kt_cpu_list_parse(const char *text, struct kt_cpu_list *ret_list)
{
	struct kt_cpu_list list = { 0 };
	int r;

	while (isspace((unsigned char)*text))
		text++;
	while (*text) {
		r = parse_element(&text, &list);
		if (r < 0)
			return r;
		/* A comma must be followed by another element; "1," is refused below as a rest. */
		if (*text == ',' && text[1] && !isspace((unsigned char)text[1]))
			text++;
		else
			break;
	}
	while (isspace((unsigned char)*text))
		text++;
	if (*text)
		return -EINVAL;
	*ret_list = list;
	return 0;
}

unsigned int kt_cpu_list_next(const struct kt_cpu_list *list, unsigned int from)
{
	while (from < KT_CPUS_MAX && !kt_cpu_list_has(list, from))
		from++;
	return from;
}

unsigned int kt_cpu_list_count(const struct kt_cpu_list *list)
{
	unsigned int n = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(list->bits); i++)
		n += (unsigned int)__builtin_popcountll(list->bits[i]);
	return n;
}

bool kt_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), of_end = strlen(end);

	return len >= of_end && !strcmp(text + len - of_end, end);
}
