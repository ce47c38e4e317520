/* SPDX-License-Identifier: MIT */
/*
 * Finds a field in a value by its path through BTF types, and converts it from and to numbers and
 * text.
 *
 * Positions are in bits, so that bit fields are treated like other members. A walk starts with the
 * whole value and narrows it with each step of the path: a variable of a data section, a member, an
 * element. The value itself is only touched by the functions for numbers and text, after a check
 * that the field lies within it: paths and texts come from users.
 */
#include "schedulers/field.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX   300u   /* characters of the list of existing names in an error */
#define DEPTH_MAX   32u    /* types behind one another, as in libbpf; BTF may lead in a circle */
#define MEMBERS_MAX 65536u /* members that are examined for one name */

/* ---- paths ----------------------------------------------------------------------------------- */

/* The type without typedefs and qualifiers. *@type_id becomes its ID. NULL for a bad ID. */
static const struct btf_type *resolve(const struct btf *btf, uint32_t *type_id)
{
	const struct btf_type *type = btf__type_by_id(btf, *type_id);

	for (unsigned int depth = 0; type && (btf_is_mod(type) || btf_is_typedef(type) ||
					      btf_is_type_tag(type) || btf_is_var(type));
	     depth++) {
		if (depth == DEPTH_MAX)
			return NULL;
		*type_id = type->type;
		type = btf__type_by_id(btf, *type_id);
	}
	return type;
}

/* The names that exist in the place of a name that was not found, for the error text. */
struct names {
	char text[NAMES_MAX];
	size_t len;
};

static void add_name(struct names *names, const char *name)
{
	size_t len = strlen(name);

	if (!len || names->len + len + 8 > sizeof(names->text))
		return;
	if (names->len) {
		memcpy(names->text + names->len, ", ", 2);
		names->len += 2;
	}
	memcpy(names->text + names->len, name, len + 1);
	names->len += len;
}

static bool is_called(const char *name, const char *wanted, size_t len)
{
	return strlen(name) == len && !memcmp(name, wanted, len);
}

struct walk {
	struct kt_field field;  /* what the path has led to so far */
	const char *wanted;     /* the name in the present step; not NUL-terminated */
	size_t len;             /* of @wanted */
	unsigned int n_members; /* examined in the present step */
	struct names names;     /* seen in the present step */
};

/* The first step in a data section (.bss, .data, .rodata): its variables are found like members. */
static bool find_variable(struct walk *walk, const struct btf_type *section)
{
	const struct btf_var_secinfo *at = btf_var_secinfos(section);

	for (unsigned int i = 0; i < btf_vlen(section); i++, at++) {
		const struct btf_type *var = btf__type_by_id(walk->field.btf, at->type);
		const char *name = btf__name_by_offset(walk->field.btf, var->name_off);

		add_name(&walk->names, name);
		if (!is_called(name, walk->wanted, walk->len))
			continue;
		walk->field.bit_offset += (uint64_t)at->offset * 8;
		walk->field.bits = (uint64_t)at->size * 8;
		walk->field.type_id = var->type;
		return true;
	}
	return false;
}

/* The size of a type; 0 when it has none. */
static uint64_t bits_of(const struct btf *btf, uint32_t type_id)
{
	int64_t size = btf__resolve_size(btf, type_id);

	return size < 0 ? 0 : (uint64_t)size * 8;
}

/* As in C, members of an unnamed struct or union belong to the one around it. */
static bool find_member(struct walk *walk, uint32_t type_id, uint64_t bit_offset,
			unsigned int depth)
{
	const struct btf *btf = walk->field.btf;
	const struct btf_type *type = resolve(btf, &type_id);
	const struct btf_member *at;

	if (!type || !btf_is_composite(type) || depth == DEPTH_MAX)
		return false;
	at = btf_members(type);
	for (unsigned int i = 0; i < btf_vlen(type) && walk->n_members < MEMBERS_MAX; i++, at++) {
		const char *name = btf__name_by_offset(btf, at->name_off);
		uint64_t offset = bit_offset + btf_member_bit_offset(type, i);
		uint32_t width = btf_member_bitfield_size(type, i);

		walk->n_members++;
		add_name(&walk->names, name);
		if (!*name && find_member(walk, at->type, offset, depth + 1))
			return true;
		if (!is_called(name, walk->wanted, walk->len))
			continue;
		walk->field.bit_offset = offset;
		walk->field.bits = width ?: bits_of(btf, at->type);
		walk->field.type_id = at->type;
		return true;
	}
	return false;
}

/* Takes the name at the beginning of *@path, which ends at a dot, a bracket or the end. */
static int step_into_name(struct walk *walk, const char **path, struct kt_err *reterr)
{
	uint32_t type_id = walk->field.type_id;
	const struct btf_type *type = resolve(walk->field.btf, &type_id);
	bool found;

	walk->wanted = *path;
	walk->len = strcspn(*path, ".[");
	walk->n_members = 0;
	walk->names.len = 0;
	walk->names.text[0] = '\0';
	*path += walk->len;
	if (!walk->len)
		return kt_err_set(reterr, -EINVAL, "a name is missing before '%s'", *path);
	found = type && btf_is_datasec(type)
			? find_variable(walk, type)
			: find_member(walk, type_id, walk->field.bit_offset, 0);
	if (found)
		return 0;
	if (!walk->names.len)
		return kt_err_set(reterr, -ENOENT, "there is no '%.*s': it has no members",
				  (int)walk->len, walk->wanted);
	return kt_err_set(reterr, -ENOENT, "there is no '%.*s', but %s", (int)walk->len,
			  walk->wanted, walk->names.text);
}

/* Takes the index in brackets at the beginning of *@path. A sign is not allowed. */
static int step_into_element(struct walk *walk, const char **path, struct kt_err *reterr)
{
	const struct btf *btf = walk->field.btf;
	uint32_t type_id = walk->field.type_id;
	const struct btf_type *type = resolve(btf, &type_id);
	char *end;
	unsigned long index;

	errno = 0;
	index = strtoul(*path + 1, &end, 0);
	if (errno || end == *path + 1 || *end != ']' || !isdigit((unsigned char)(*path)[1]))
		return kt_err_set(reterr, -EINVAL, "'%s' is not an array index, such as [2]",
				  *path);
	if (!type || !btf_is_array(type))
		return kt_err_set(reterr, -EINVAL, "what stands before '%s' is not an array",
				  *path);
	if (index >= btf_array(type)->nelems)
		return kt_err_set(reterr, -ERANGE, "index %lu of an array of %u elements", index,
				  btf_array(type)->nelems);
	walk->field.type_id = btf_array(type)->type;
	walk->field.bits = bits_of(btf, walk->field.type_id);
	walk->field.bit_offset += index * walk->field.bits;
	*path = end + 1;
	return 0;
}

/* Sets is_scalar and is_signed. An enum is signed if its kind flag is set (struct btf_type). */
static void classify(struct kt_field *field)
{
	const struct btf_type *type = resolve(field->btf, &field->type_id);

	field->is_scalar = type && field->bits && field->bits <= 64 &&
			   (btf_is_int(type) || btf_is_any_enum(type) || btf_is_ptr(type));
	if (type && btf_is_int(type))
		field->is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
	else if (type && btf_is_any_enum(type))
		field->is_signed = btf_kflag(type);
}

int kt_field_find(const struct btf *btf, uint32_t type_id, const char *path,
		  struct kt_field *ret_field, struct kt_err *reterr)
{
	struct walk walk = { .field = { .btf = btf, .type_id = type_id } };
	const char *at = path ?: "";
	int r = 0;

	walk.field.bits = bits_of(btf, type_id);
	if (*at)
		r = step_into_name(&walk, &at, reterr);
	while (r == 0 && *at) {
		if (*at == '[')
			r = step_into_element(&walk, &at, reterr);
		else if (*at == '.' && at++)
			r = step_into_name(&walk, &at, reterr);
		else
			r = kt_err_set(reterr, -EINVAL, "'.' or '[' is missing before '%s'", at);
	}
	if (r < 0)
		return kt_err_prefix(reterr, r, "field '%s'", path);
	classify(&walk.field);
	*ret_field = walk.field;
	return 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* The offset is a sum of numbers from BTF: adding to it may wrap around. */
static bool is_inside(const struct kt_field *field, size_t len)
{
	uint64_t room = (uint64_t)len * 8;

	return field->bits <= room && field->bit_offset <= room - field->bits;
}

static int check_scalar(const struct kt_field *field, size_t len, struct kt_err *reterr)
{
	if (!field->is_scalar)
		return kt_err_set(reterr, -EINVAL,
				  "it is not a number: %" PRIu64 " bytes of a struct or an array",
				  field->bits / 8);
	if (!is_inside(field, len))
		return kt_err_set(reterr, -ERANGE, "it ends at bit %" PRIu64 " of %zu bytes",
				  field->bit_offset + field->bits, len);
	return 0;
}

/*
 * Bit by bit, because a bit field may begin at any bit and may touch nine bytes. Little endian: bit
 * 0 is the lowest of the first byte.
 */
static uint64_t read_bits(const uint8_t *bytes, uint64_t offset, uint64_t bits)
{
	uint64_t number = 0;

	for (uint64_t i = 0; i < bits; i++) {
		uint64_t at = offset + i;

		number |= (uint64_t)(bytes[at / 8] >> at % 8 & 1) << i;
	}
	return number;
}

static void write_bits(uint8_t *bytes, uint64_t offset, uint64_t bits, uint64_t number)
{
	for (uint64_t i = 0; i < bits; i++) {
		uint64_t at = offset + i;

		bytes[at / 8] =
			(uint8_t)((bytes[at / 8] & ~(1u << at % 8)) | (number >> i & 1) << at % 8);
	}
}

int kt_field_get(const struct kt_field *field, const void *value, size_t len, uint64_t *ret_number,
		 struct kt_err *reterr)
{
	uint64_t number;
	int r = check_scalar(field, len, reterr);

	if (r < 0)
		return r;
	number = read_bits(value, field->bit_offset, field->bits);
	if (field->is_signed && field->bits < 64 && number >> (field->bits - 1))
		number |= UINT64_MAX << field->bits;
	*ret_number = number;
	return 0;
}

/* Whether the number has the same value in the width and signedness of the field. */
static bool fits(const struct kt_field *field, uint64_t number)
{
	if (field->bits == 64)
		return true;
	if (!field->is_signed)
		return number >> field->bits == 0;
	return (int64_t)number >= -(INT64_C(1) << (field->bits - 1)) &&
	       (int64_t)number < INT64_C(1) << (field->bits - 1);
}

int kt_field_set(const struct kt_field *field, void *value, size_t len, uint64_t number,
		 struct kt_err *reterr)
{
	int r = check_scalar(field, len, reterr);

	if (r < 0)
		return r;
	if (!fits(field, number))
		return kt_err_set(
			reterr, -ERANGE, "%" PRId64 " does not fit into %" PRIu64 " bits, %s",
			(int64_t)number, field->bits, field->is_signed ? "signed" : "unsigned");
	write_bits(value, field->bit_offset, field->bits, number);
	return 0;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* The value of the enumerator called @text, if the field is an enum that has it. */
static bool find_enumerator(const struct kt_field *field, const char *text, uint64_t *ret_number)
{
	const struct btf_type *type = btf__type_by_id(field->btf, field->type_id);

	for (unsigned int i = 0; btf_is_any_enum(type) && i < btf_vlen(type); i++) {
		bool wide = btf_is_enum64(type);
		uint32_t name = wide ? btf_enum64(type)[i].name_off : btf_enum(type)[i].name_off;

		if (strcmp(btf__name_by_offset(field->btf, name), text))
			continue;
		*ret_number = wide ? btf_enum64_value(&btf_enum64(type)[i])
				   : (uint64_t)(int64_t)btf_enum(type)[i].val;
		return true;
	}
	return false;
}

/*
 * The sign is checked here, where the text still tells -1 from 2^64 - 1; the width by
 * kt_field_set().
 */
static int parse_number(const struct kt_field *field, const char *text, uint64_t *ret_number,
			struct kt_err *reterr)
{
	char *end;

	if (!strcmp(text, "true") || !strcmp(text, "false")) {
		*ret_number = *text == 't';
		return 0;
	}
	if (find_enumerator(field, text, ret_number))
		return 0;
	errno = 0;
	*ret_number = *text == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
	if (errno || end == text || *end || isspace((unsigned char)*text))
		return kt_err_set(reterr, -EINVAL,
				  "'%s' is neither a number nor an enumerator of its type", text);
	if (*text == '-' && !field->is_signed)
		return kt_err_set(reterr, -ERANGE, "%s: it is unsigned", text);
	if (*text != '-' && field->is_signed && *ret_number > INT64_MAX)
		return kt_err_set(reterr, -ERANGE, "%s does not fit into %" PRIu64 " bits, signed",
				  text, field->bits);
	return 0;
}

/* Whether the field is an array of characters. */
static bool is_text(const struct kt_field *field)
{
	const struct btf_type *type = btf__type_by_id(field->btf, field->type_id);
	uint32_t element;

	if (!type || !btf_is_array(type))
		return false;
	element = btf_array(type)->type;
	type = resolve(field->btf, &element);
	return type && btf_is_int(type) && type->size == 1;
}

int kt_field_set_text(const struct kt_field *field, void *value, size_t len, const char *text,
		      struct kt_err *reterr)
{
	uint64_t number, room = field->bits / 8;
	int r;

	if (!is_text(field)) {
		r = check_scalar(field, len, reterr) ?: parse_number(field, text, &number, reterr);
		return r ?: kt_field_set(field, value, len, number, reterr);
	}
	if (!is_inside(field, len) || strlen(text) >= room)
		return kt_err_set(reterr, -ERANGE, "'%s' is longer than %" PRIu64 " characters",
				  text, room ? room - 1 : 0);
	memset((char *)value + field->bit_offset / 8, 0, room);
	memcpy((char *)value + field->bit_offset / 8, text, strlen(text));
	return 0;
}
