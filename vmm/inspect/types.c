/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/types.h"

#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/trim.h"

/*
 * The BTF of the kernel is never changed. What casts need and it lacks, such as a pointer to a type
 * that nothing points to, is added to an extension of it (a "split BTF"), in which the ids of the
 * kernel's types are valid too. Ids of types are therefore always used with the extension.
 *
 * BTF is foreign. Its ids and names are checked when it is loaded; what remains to be bounded here
 * are types that contain or refer to themselves.
 */

#define BTF_LEN_MAX   (64u << 20)
#define CHAIN_MAX     64u    /* typedefs and qualifiers in a row */
#define NESTED_MAX    16u    /* anonymous members in each other, types in a type's name */
#define MEMBERS_MAX   65536u /* members that are looked at for one name */
#define EXTRA_MAX     4096u  /* types that casts add */
#define SIZE_MAX_TYPE (INT64_C(1) << 40)
#define NAME_ROOM     256u

/* ---- Loading ---- */

/* libbpf takes types at odd addresses, and those of machines with another order of bytes. */
static bool is_native(const void *data, size_t len)
{
	struct btf_header header;

	if (len < sizeof(header) || len > BTF_LEN_MAX)
		return false;
	memcpy(&header, data, sizeof(header));
	return header.magic == BTF_MAGIC && header.hdr_len % 4 == 0 && header.type_off % 4 == 0;
}

int kt_btf_new(const void *data, size_t len, struct btf *base, struct btf **ret_btf,
	       struct kt_err *reterr)
{
	libbpf_print_fn_t print;
	struct btf *btf;
	int code;

	if (!is_native(data, len))
		return kt_err_set(reterr, -EPROTO, "the types are malformed: their header");
	/* What libbpf would print is in its errno, too. */
	print = libbpf_set_print(NULL);
	btf = base ? btf__new_split(data, (uint32_t)len, base) : btf__new(data, (uint32_t)len);
	code = errno;
	(void)libbpf_set_print(print);
	if (!btf)
		return code == ENOMEM ? kt_err_oom(reterr)
				      : kt_err_set(reterr, -EPROTO, "the types are malformed");
	*ret_btf = btf;
	return 0;
}

/* Leaves out what nobody needs; if libbpf does not like the rest, all of it stays. */
static void trim_types(struct kt_inspect *inspect)
{
	struct btf *btf;
	void *data;
	size_t len;

	if (kt_btf_trim(inspect->types.btf, &data, &len, NULL) < 0)
		return;
	if (kt_btf_new(data, len, NULL, &btf, NULL) < 0) {
		free(data);
		return;
	}
	btf__free(inspect->types.btf);
	free(inspect->btf_data);
	inspect->types.btf = btf;
	inspect->btf_data = data;
	inspect->btf_len = len;
}

static int read_types(struct kt_inspect *inspect, struct kt_err *reterr)
{
	int r = kt_inspect_read_btf(inspect, &inspect->btf_data, &inspect->btf_len, reterr);

	if (r == 0)
		r = kt_btf_new(inspect->btf_data, inspect->btf_len, NULL, &inspect->types.btf,
			       reterr);
	if (r < 0)
		return r;
	trim_types(inspect);
	return kt_types_build(&inspect->types, reterr);
}

static int load_types(struct kt_inspect *inspect, struct kt_err *reterr)
{
	int r = inspect->store.btf_len ? kt_btf_new(inspect->store.btf, inspect->store.btf_len,
						    NULL, &inspect->types.btf, reterr)
				       : read_types(inspect, reterr);

	if (r < 0)
		return r;
	inspect->btf = btf__new_empty_split(inspect->types.btf);
	return inspect->btf ? 0 : kt_err_oom(reterr);
}

int kt_inspect_load_types(struct kt_inspect *inspect, struct kt_err *reterr)
{
	if (!inspect->types_tried) {
		inspect->types_tried = true;
		inspect->types_result = load_types(inspect, reterr);
		return inspect->types_result;
	}
	if (inspect->types_result < 0)
		return kt_err_set(reterr, inspect->types_result, "kernel %s has no types",
				  inspect->facts.release);
	return 0;
}

void kt_inspect_free_types(struct kt_inspect *inspect)
{
	btf__free(inspect->btf);
	btf__free(inspect->types.btf);
	inspect->btf = inspect->types.btf = NULL;
	free(inspect->btf_data);
	inspect->btf_data = NULL;
	if (!inspect->store.map) {
		free((void *)inspect->types.entries);
		free((void *)inspect->types.index.slots);
	}
	inspect->types = (struct kt_types){ .btf = NULL };
	inspect->types_tried = false;
}

const struct btf *kt_inspect_btf(struct kt_inspect *inspect)
{
	return kt_inspect_load_types(inspect, NULL) < 0 ? NULL : inspect->btf;
}

/* ---- Facts of a type ---- */

static bool is_modifier(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_DECL_TAG:
	case BTF_KIND_VAR:
		return true;
	default:
		return false;
	}
}

uint32_t kt_btf_skip(const struct btf *btf, uint32_t type)
{
	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		const struct btf_type *t = btf__type_by_id(btf, type);

		if (!type || !t || !is_modifier(t))
			return t ? type : 0;
		type = t->type;
	}
	return 0;
}

int64_t kt_btf_size(const struct btf *btf, uint32_t type)
{
	int64_t n = 1;

	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		const struct btf_type *t = btf__type_by_id(btf, kt_btf_skip(btf, type));

		if (!t)
			return -EINVAL;
		switch (btf_kind(t)) {
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(n, btf_array(t)->nelems, &n) ||
			    n > SIZE_MAX_TYPE)
				return -EINVAL;
			type = btf_array(t)->type;
			continue;
		case BTF_KIND_PTR:
			return n > SIZE_MAX_TYPE / 8 ? -EINVAL : n * 8;
		case BTF_KIND_INT:
		case BTF_KIND_FLOAT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_DATASEC:
			if (__builtin_mul_overflow(n, t->size, &n) || n > SIZE_MAX_TYPE)
				return -EINVAL;
			return n;
		default:
			return -EINVAL;
		}
	}
	return -EINVAL;
}

/* A text that grows in a buffer of fixed size. */
struct text {
	char *at;
	size_t room;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text->at, text->room, format, ap);
	va_end(ap);
	n = n < 0 ? 0 : (int)KT_MIN((size_t)n, text->room - 1);
	text->at += n;
	text->room -= (size_t)n;
}

static void describe(const struct btf *btf, uint32_t id, struct text *text, unsigned int depth);

static void describe_tagged(const struct btf *btf, const struct btf_type *type, const char *tag,
			    struct text *text)
{
	const char *name = btf__name_by_offset(btf, type->name_off);

	put(text, "%s %s", tag, name && *name ? name : "{...}");
}

static void describe_pointer(const struct btf *btf, uint32_t to, struct text *text,
			     unsigned int depth)
{
	const struct btf_type *type = btf__type_by_id(btf, to);

	if (to && type && btf_kind(type) == BTF_KIND_FUNC_PROTO) {
		describe(btf, type->type, text, depth);
		put(text, " (*)()");
		return;
	}
	describe(btf, to, text, depth);
	put(text, text->at[-1] == '*' ? "*" : " *");
}

/* C writes the length of the outer array first. */
static void describe_array(const struct btf *btf, const struct btf_type *type, struct text *text,
			   unsigned int depth)
{
	uint32_t element = btf_array(type)->type;
	uint32_t n[NESTED_MAX] = { btf_array(type)->nelems };
	size_t dims = 1;

	while (dims < NESTED_MAX) {
		const struct btf_type *inner = btf__type_by_id(btf, element);

		if (!inner || btf_kind(inner) != BTF_KIND_ARRAY)
			break;
		n[dims++] = btf_array(inner)->nelems;
		element = btf_array(inner)->type;
	}
	describe(btf, element, text, depth);
	for (size_t i = 0; i < dims; i++)
		put(text, "[%" PRIu32 "]", n[i]);
}

static void describe_named(const struct btf *btf, const struct btf_type *type, struct text *text)
{
	const char *name = btf__name_by_offset(btf, type->name_off);

	put(text, "%s", name && *name ? name : "{...}");
}

static void describe(const struct btf *btf, uint32_t id, struct text *text, unsigned int depth)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	if (!type || depth == NESTED_MAX) {
		put(text, "?");
		return;
	}
	switch (btf_kind(type)) {
	case BTF_KIND_UNKN:
		put(text, "void");
		return;
	case BTF_KIND_STRUCT:
		describe_tagged(btf, type, "struct", text);
		return;
	case BTF_KIND_UNION:
		describe_tagged(btf, type, "union", text);
		return;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		describe_tagged(btf, type, "enum", text);
		return;
	case BTF_KIND_FWD:
		describe_tagged(btf, type, btf_kflag(type) ? "union" : "struct", text);
		return;
	case BTF_KIND_PTR:
		describe_pointer(btf, type->type, text, depth + 1);
		return;
	case BTF_KIND_ARRAY:
		describe_array(btf, type, text, depth + 1);
		return;
	case BTF_KIND_CONST:
		put(text, "const ");
		describe(btf, type->type, text, depth + 1);
		return;
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_DECL_TAG:
	case BTF_KIND_VAR:
		describe(btf, type->type, text, depth + 1);
		return;
	case BTF_KIND_FUNC_PROTO:
	case BTF_KIND_FUNC:
		put(text, "function");
		return;
	default:
		describe_named(btf, type, text);
	}
}

const char *kt_btf_describe(const struct btf *btf, uint32_t type, char *text, size_t room)
{
	struct text to = { text, room };

	text[0] = 0;
	describe(btf, type, &to, 0);
	return text;
}

/* ---- Members ---- */

static bool is_struct(const struct btf_type *type)
{
	return type && (btf_kind(type) == BTF_KIND_STRUCT || btf_kind(type) == BTF_KIND_UNION);
}

/* A search for one name; @near is offered all names that were seen. */
struct member_search {
	const struct btf *btf;
	const char *name;
	size_t len;
	unsigned int left; /* members that may still be looked at */
	struct kt_near *near;
};

/* The width of a bit-field that says so in its member, or, before that was so, in its integer. */
static unsigned int bit_size_of(const struct btf *btf, const struct btf_type *type, uint32_t i)
{
	const struct btf_type *integer;

	if (btf_kflag(type))
		return btf_member_bitfield_size(type, i);
	integer = btf__type_by_id(btf, kt_btf_skip(btf, btf_members(type)[i].type));
	if (!integer || btf_kind(integer) != BTF_KIND_INT ||
	    btf_int_bits(integer) == integer->size * 8)
		return 0;
	return btf_int_bits(integer);
}

/* Turns a member at @bit of the outermost struct into what the caller wants. */
static bool fill_member(const struct btf *btf, const struct btf_type *type, uint32_t i,
			uint64_t bit, struct kt_member *ret_member)
{
	unsigned int bits = bit_size_of(btf, type, i);
	int64_t size = kt_btf_size(btf, btf_members(type)[i].type);
	unsigned int shift = bit % 8;

	if (bits > 64 || bit / 8 > UINT32_MAX || size > UINT32_MAX || (!bits && shift))
		return false;
	*ret_member = (struct kt_member){
		.type = btf_members(type)[i].type,
		.offset = (uint32_t)(bit / 8),
		.size = bits       ? (shift + bits + 7) / 8
			: size < 0 ? 0
				   : (uint32_t)size,
		.bit_shift = bits ? (uint8_t)shift : 0,
		.bit_size = (uint8_t)bits,
	};
	return true;
}

bool kt_btf_member_at(const struct btf *btf, const struct btf_type *type, uint32_t i,
		      struct kt_member *ret_member)
{
	return fill_member(btf, type, i, btf_member_bit_offset(type, i), ret_member);
}

static bool search_members(struct member_search *search, uint32_t id, uint64_t base,
			   unsigned int depth, struct kt_member *ret_member)
{
	const struct btf_type *type = btf__type_by_id(search->btf, id);

	if (!is_struct(type) || depth == NESTED_MAX)
		return false;
	for (uint32_t i = 0; i < btf_vlen(type) && search->left; i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *name = btf__name_by_offset(search->btf, member->name_off);
		uint64_t bit = base + btf_member_bit_offset(type, i);

		search->left--;
		if (name && strlen(name) == search->len && search->len &&
		    !memcmp(name, search->name, search->len))
			return fill_member(search->btf, type, i, bit, ret_member);
		if (name && *name) {
			if (search->near)
				kt_near_offer(search->near, name);
		} else if (search_members(search, kt_btf_skip(search->btf, member->type), bit,
					  depth + 1, ret_member)) {
			return true;
		}
	}
	return false;
}

/* The names of a struct's members, as many as have room. */
struct member_list {
	const struct btf *btf;
	struct text text;
	unsigned int left; /* members that may still be looked at */
	bool first;
};

static void list_members(struct member_list *list, uint32_t id, unsigned int depth)
{
	const struct btf_type *type = btf__type_by_id(list->btf, id);
	struct text *text = &list->text;

	if (!is_struct(type) || depth == NESTED_MAX)
		return;
	for (uint32_t i = 0; i < btf_vlen(type) && list->left; i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *name = btf__name_by_offset(list->btf, member->name_off);

		list->left--;
		if (!name || !*name) {
			list_members(list, kt_btf_skip(list->btf, member->type), depth + 1);
		} else if (text->room > strlen(name) + sizeof(", , ...")) {
			put(text, "%s%s", list->first ? "" : ", ", name);
			list->first = false;
		} else {
			put(text, ", ...");
			list->left = 0;
		}
	}
}

static int no_member(const struct btf *btf, uint32_t id, const char *name, size_t len,
		     const struct kt_near *near, struct kt_err *reterr)
{
	char what[NAME_ROOM], text[NAME_ROOM], members[600];
	struct member_list list = {
		.btf = btf, .text = { members, sizeof(members) }, .left = MEMBERS_MAX, .first = true
	};

	members[0] = 0;
	if (!near->n)
		list_members(&list, id, 0);
	return kt_err_set(reterr, -ENOENT, "%s has no member '%.*s'%s%s",
			  kt_btf_describe(btf, id, what, sizeof(what)), (int)len, name,
			  near->n ? kt_near_text(near, text, sizeof(text)) : "; it has ", members);
}

/* One member by its name, of which @len bytes count. */
int kt_btf_find_member(const struct btf *btf, uint32_t type, const char *name, size_t len,
		       struct kt_member *ret_member, struct kt_err *reterr)
{
	uint32_t id = kt_btf_skip(btf, type);
	struct kt_near near;
	struct member_search search = { .btf = btf,
					.name = name,
					.len = len,
					.left = MEMBERS_MAX,
					.near = reterr ? &near : NULL };
	char what[NAME_ROOM];

	kt_near_init(&near, name, len);
	if (!is_struct(btf__type_by_id(btf, id)))
		return kt_err_set(reterr, -EINVAL, "%s is not a struct, it has no member '%.*s'",
				  kt_btf_describe(btf, type, what, sizeof(what)), (int)len, name);
	if (search_members(&search, id, 0, 0, ret_member))
		return 0;
	return reterr ? no_member(btf, id, name, len, &near, reterr) : -ENOENT;
}

int kt_btf_element(const struct btf *btf, uint32_t type, uint64_t index, uint32_t *ret_type,
		   uint64_t *ret_size, struct kt_err *reterr)
{
	const struct btf_type *array = btf__type_by_id(btf, kt_btf_skip(btf, type));
	char what[NAME_ROOM];
	int64_t size;

	if (!array || btf_kind(array) != BTF_KIND_ARRAY)
		return kt_err_set(reterr, -EINVAL, "%s is not an array",
				  kt_btf_describe(btf, type, what, sizeof(what)));
	size = kt_btf_size(btf, btf_array(array)->type);
	if (size < 0)
		return kt_err_set(reterr, -EINVAL, "%s has elements without a size",
				  kt_btf_describe(btf, type, what, sizeof(what)));
	/* An array of no elements is the end of a struct whose length only the kernel knows. */
	if (btf_array(array)->nelems && index >= btf_array(array)->nelems)
		return kt_err_set(reterr, -ENOENT, "%s has no element %" PRIu64,
				  kt_btf_describe(btf, type, what, sizeof(what)), index);
	*ret_type = btf_array(array)->type;
	*ret_size = (uint64_t)size;
	return 0;
}

/* Follows "[3][4]" at *@path from @member on. */
static int follow_indexes(const struct btf *btf, const char **path, struct kt_member *member,
			  struct kt_err *reterr)
{
	while (**path == '[') {
		char *end;
		uint64_t index = strtoull(*path + 1, &end, 0), size, at;
		uint32_t type;
		int r;

		if (end == *path + 1 || *end != ']')
			return kt_err_set(reterr, -EINVAL, "'%s' is not an index", *path);
		r = kt_btf_element(btf, member->type, index, &type, &size, reterr);
		if (r < 0)
			return r;
		if (__builtin_mul_overflow(index, size, &at) ||
		    __builtin_add_overflow(at, member->offset, &at) || at > UINT32_MAX)
			return kt_err_set(reterr, -EINVAL, "'%s' is too far", *path);
		*member = (struct kt_member){ .type = type,
					      .offset = (uint32_t)at,
					      .size = (uint32_t)size };
		*path = end + 1;
	}
	return 0;
}

int kt_btf_member(const struct btf *btf, uint32_t type, const char *path,
		  struct kt_member *ret_member, struct kt_err *reterr)
{
	struct kt_member at = { .type = type };

	for (;;) {
		size_t len = strcspn(path, ".[");
		struct kt_member next;
		uint64_t offset;
		int r = kt_btf_find_member(btf, at.type, path, len, &next, reterr);

		if (r < 0)
			return r;
		offset = (uint64_t)at.offset + next.offset;
		if (offset > UINT32_MAX)
			return kt_err_set(reterr, -EINVAL, "'%s' is too far", path);
		at = next;
		at.offset = (uint32_t)offset;
		path += len;
		r = follow_indexes(btf, &path, &at, reterr);
		if (r < 0)
			return r;
		if (!*path)
			break;
		if (*path++ != '.')
			return kt_err_set(reterr, -EINVAL, "'%s' is not a path of members",
					  path - 1);
	}
	*ret_member = at;
	return 0;
}

/* ---- Names of types ---- */

/* A type that C writes as words, of which a name is cut at @len. */
struct words {
	enum kt_type_class class;
	bool is_unsigned, is_signed, is_short, is_char, is_int;
	unsigned int longs;
	char name[128]; /* of anything that is not made of the words above */
};

static bool take_word(struct words *words, const char *word)
{
	if (!strcmp(word, "const") || !strcmp(word, "volatile"))
		return true;
	if (!strcmp(word, "struct"))
		words->class = KT_TYPE_STRUCT;
	else if (!strcmp(word, "union"))
		words->class = KT_TYPE_UNION;
	else if (!strcmp(word, "enum"))
		words->class = KT_TYPE_ENUM;
	else if (!strcmp(word, "unsigned"))
		words->is_unsigned = true;
	else if (!strcmp(word, "signed"))
		words->is_signed = true;
	else if (!strcmp(word, "short"))
		words->is_short = true;
	else if (!strcmp(word, "char"))
		words->is_char = true;
	else if (!strcmp(word, "int"))
		words->is_int = true;
	else if (!strcmp(word, "long"))
		words->longs++;
	else if (words->name[0])
		return false;
	else
		(void)snprintf(words->name, sizeof(words->name), "%s", word);
	return true;
}

/* Integers as gcc and as clang write them. */
static const struct {
	const char *names[3];
	bool is_unsigned, is_short, is_char;
	unsigned int longs;
} INTEGERS[] = {
	{ { "unsigned char" }, true, false, true, 0 },
	{ { "char", "signed char" }, false, false, true, 0 },
	{ { "short unsigned int", "unsigned short" }, true, true, false, 0 },
	{ { "short int", "short" }, false, true, false, 0 },
	{ { "unsigned int" }, true, false, false, 0 },
	{ { "int" }, false, false, false, 0 },
	{ { "long unsigned int", "unsigned long" }, true, false, false, 1 },
	{ { "long int", "long" }, false, false, false, 1 },
	{ { "long long unsigned int", "unsigned long long" }, true, false, false, 2 },
	{ { "long long int", "long long" }, false, false, false, 2 },
};

static bool find_integer(struct kt_inspect *inspect, const struct words *words, uint32_t *ret_type)
{
	struct kt_type_entry entry;

	for (size_t i = 0; i < KT_ARRAY_LEN(INTEGERS); i++) {
		if (INTEGERS[i].is_unsigned != words->is_unsigned ||
		    INTEGERS[i].is_short != words->is_short ||
		    INTEGERS[i].is_char != words->is_char || INTEGERS[i].longs != words->longs)
			continue;
		for (size_t j = 0; j < KT_ARRAY_LEN(INTEGERS[i].names); j++) {
			const char *name = INTEGERS[i].names[j];

			if (!name || !kt_types_find(&inspect->types, KT_TYPE_BASE, name, &entry))
				continue;
			*ret_type = entry.type;
			return true;
		}
	}
	return false;
}

static bool find_named(struct kt_inspect *inspect, const struct words *words, uint32_t *ret_type)
{
	struct kt_type_entry entry;
	bool found;

	if (words->class != KT_TYPE_OTHER)
		found = kt_types_find(&inspect->types, words->class, words->name, &entry);
	else
		found = kt_types_find(&inspect->types, KT_TYPE_TYPEDEF, words->name, &entry) ||
			kt_types_find(&inspect->types, KT_TYPE_BASE, words->name, &entry);
	if (found)
		*ret_type = entry.type;
	return found;
}

/* Names of the class that was asked for, and what the name is if it is of another class. */
static int no_type(struct kt_inspect *inspect, const struct words *words, const char *text,
		   size_t len, struct kt_err *reterr)
{
	static const char *const TAGS[] = {
		[KT_TYPE_STRUCT] = "struct ", [KT_TYPE_UNION] = "union ", [KT_TYPE_ENUM] = "enum "
	};
	struct kt_near near;
	char names[NAME_ROOM];

	if (!reterr)
		return -ENOENT; /* the search for other names takes time */
	for (unsigned int class = KT_TYPE_STRUCT; class <= KT_TYPE_ENUM; class ++) {
		struct kt_type_entry entry;

		if (words->name[0] && words->class != class &&
		    kt_types_find(&inspect->types, class, words->name, &entry))
			return kt_err_set(
				reterr, -ENOENT, "kernel %s has no type '%.*s', but '%s%s'",
				inspect->facts.release, (int)len, text, TAGS[class], words->name);
	}
	kt_near_init(&near, words->name, strlen(words->name));
	for (size_t i = 0; i < inspect->types.n; i++) {
		enum kt_type_class class = KT_TYPE_OTHER;
		const char *name = kt_types_name(&inspect->types, i, &class);

		if (class == words->class || (words->class == KT_TYPE_OTHER &&
					      (class == KT_TYPE_TYPEDEF || class == KT_TYPE_BASE)))
			kt_near_offer(&near, name);
	}
	return kt_err_set(reterr, -ENOENT, "kernel %s has no type '%.*s'%s", inspect->facts.release,
			  (int)len, text, kt_near_text(&near, names, sizeof(names)));
}

/* The words up to the first "*" or "[", which *@text is moved to. */
static int parse_words(struct kt_inspect *inspect, const char **text, uint32_t *ret_type,
		       struct kt_err *reterr)
{
	struct words words = { .class = KT_TYPE_OTHER };
	const char *start = *text;
	size_t len = strcspn(start, "*[");
	char copy[256], *save;

	*text += len;
	while (len && isspace((unsigned char)start[len - 1]))
		len--;
	if (len >= sizeof(copy))
		return kt_err_set(reterr, -EINVAL, "the name of the type is too long");
	memcpy(copy, start, len);
	copy[len] = 0;
	for (char *word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (!take_word(&words, word))
			return kt_err_set(reterr, -EINVAL, "'%.*s' is not a type", (int)len, start);
	}
	if (!strcmp(words.name, "void") && words.class == KT_TYPE_OTHER) {
		*ret_type = 0;
		return 0;
	}
	if (words.name[0] ? find_named(inspect, &words, ret_type)
			  : find_integer(inspect, &words, ret_type))
		return 0;
	return no_type(inspect, &words, start, len, reterr);
}

/* What casts have added already, so that it is not added again. */
static bool find_extra(struct kt_inspect *inspect, uint32_t kind, uint32_t of, uint32_t n,
		       uint32_t *ret_type)
{
	uint32_t end = btf__type_cnt(inspect->btf);

	for (uint32_t id = btf__type_cnt(inspect->types.btf); id < end; id++) {
		const struct btf_type *type = btf__type_by_id(inspect->btf, id);

		if (btf_kind(type) != kind)
			continue;
		if (kind == BTF_KIND_PTR
			    ? type->type != of
			    : btf_array(type)->type != of || btf_array(type)->nelems != n)
			continue;
		*ret_type = id;
		return true;
	}
	return false;
}

static int add_extra(struct kt_inspect *inspect, uint32_t kind, uint32_t of, uint32_t n,
		     uint32_t *ret_type, struct kt_err *reterr)
{
	uint32_t index;
	int id;

	if (find_extra(inspect, kind, of, n, ret_type))
		return 0;
	if (btf__type_cnt(inspect->btf) - btf__type_cnt(inspect->types.btf) >= EXTRA_MAX)
		return kt_err_set(reterr, -E2BIG, "too many types are made up by casts");
	if (kind == BTF_KIND_PTR) {
		id = btf__add_ptr(inspect->btf, (int)of);
	} else {
		int r = kt_inspect_type(inspect, "unsigned int", &index, reterr);

		if (r < 0)
			return r;
		id = btf__add_array(inspect->btf, (int)index, (int)of, n);
	}
	if (id < 0)
		return kt_err_set(reterr, id, "a type cannot be made: %m");
	*ret_type = (uint32_t)id;
	return 0;
}

int kt_inspect_pointer_to(struct kt_inspect *inspect, uint32_t type, uint32_t *ret_type,
			  struct kt_err *reterr)
{
	return add_extra(inspect, BTF_KIND_PTR, type, 0, ret_type, reterr);
}

/* "[4][8]": the last one is the innermost. */
static int parse_arrays(struct kt_inspect *inspect, const char *text, uint32_t *type,
			struct kt_err *reterr)
{
	uint32_t n[NESTED_MAX];
	size_t dims = 0;

	while (*text == '[') {
		char *end;
		uint64_t value = strtoull(text + 1, &end, 0);

		if (end == text + 1 || *end != ']' || value > UINT32_MAX || dims == NESTED_MAX)
			return kt_err_set(reterr, -EINVAL, "'%s' is not the length of an array",
					  text);
		n[dims++] = (uint32_t)value;
		text = end + 1 + strspn(end + 1, " \t");
	}
	if (*text)
		return kt_err_set(reterr, -EINVAL, "'%s' does not belong behind a type", text);
	while (dims) {
		int r = add_extra(inspect, BTF_KIND_ARRAY, *type, n[--dims], type, reterr);

		if (r < 0)
			return r;
	}
	return 0;
}

int kt_inspect_type(struct kt_inspect *inspect, const char *text, uint32_t *ret_type,
		    struct kt_err *reterr)
{
	uint32_t type = 0;
	int r = kt_inspect_load_types(inspect, reterr)
			?: parse_words(inspect, &text, &type, reterr);

	while (r == 0 && (*text == '*' || isspace((unsigned char)*text))) {
		if (*text++ == '*')
			r = add_extra(inspect, BTF_KIND_PTR, type, 0, &type, reterr);
	}
	if (r == 0)
		r = parse_arrays(inspect, text, &type, reterr);
	if (r == 0)
		*ret_type = type;
	return r;
}

int kt_inspect_member(struct kt_inspect *inspect, const char *type, const char *path,
		      struct kt_member *ret_member, struct kt_err *reterr)
{
	uint32_t id;
	int r = kt_inspect_type(inspect, type, &id, reterr);

	return r < 0 ? r : kt_btf_member(inspect->btf, id, path, ret_member, reterr);
}

bool kt_inspect_has_member(struct kt_inspect *inspect, const char *type, const char *path,
			   struct kt_member *ret_member)
{
	struct kt_member member;

	return kt_inspect_member(inspect, type, path, ret_member ?: &member, NULL) == 0;
}

/* ---- Enumerators ---- */

bool kt_inspect_has_enumerator(struct kt_inspect *inspect, const char *name, int64_t *ret_value)
{
	struct kt_type_entry entry;
	int64_t value;

	return kt_inspect_load_types(inspect, NULL) == 0 &&
	       kt_types_find(&inspect->types, KT_TYPE_ENUMERATOR, name, &entry) &&
	       kt_types_enumerator(inspect->btf, entry.type, (size_t)entry.enumerator,
				   ret_value ?: &value);
}

int kt_inspect_enumerator(struct kt_inspect *inspect, const char *name, int64_t *ret_value,
			  struct kt_err *reterr)
{
	struct kt_near near;
	char text[NAME_ROOM];
	int r = kt_inspect_load_types(inspect, reterr);

	if (r < 0)
		return r;
	if (kt_inspect_has_enumerator(inspect, name, ret_value))
		return 0;
	if (!reterr)
		return -ENOENT;
	kt_near_init(&near, name, strlen(name));
	for (size_t i = 0; i < inspect->types.n; i++) {
		enum kt_type_class class = KT_TYPE_OTHER;
		const char *other = kt_types_name(&inspect->types, i, &class);

		if (class == KT_TYPE_ENUMERATOR)
			kt_near_offer(&near, other);
	}
	return kt_err_set(reterr, -ENOENT, "kernel %s has no enumerator '%s'%s",
			  inspect->facts.release, name, kt_near_text(&near, text, sizeof(text)));
}

const char *kt_btf_enum_name(const struct btf *btf, uint32_t type, int64_t value)
{
	uint32_t id = kt_btf_skip(btf, type);
	const struct btf_type *t = btf__type_by_id(btf, id);
	int64_t other;

	for (size_t i = 0; t && kt_types_enumerator(btf, id, i, &other); i++) {
		if (other == value)
			return btf__name_by_offset(btf, btf_kind(t) == BTF_KIND_ENUM64
								? btf_enum64(t)[i].name_off
								: btf_enum(t)[i].name_off);
	}
	return NULL;
}
