/* SPDX-License-Identifier: MIT */
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/types.h"

/*
 * Where the members of structs and unions lie. Members of anonymous ones belong to the struct
 * around them, as in C. BTF is foreign: a struct can contain itself, and have any number of
 * members, so both are bounded.
 */

#define NESTED_MAX  16u    /* anonymous members in each other */
#define MEMBERS_MAX 65536u /* members that are looked at for one name */
#define NAME_ROOM   256u

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
	char *at;          /* behind the names that are there */
	size_t room;       /* of that and of what follows */
	unsigned int left; /* members that may still be looked at */
	bool first;
};

static void list_text(struct member_list *list, const char *before, const char *text)
{
	int n = snprintf(list->at, list->room, "%s%s", before, text);

	n = n < 0 ? 0 : (int)KT_MIN((size_t)n, list->room - 1);
	list->at += n;
	list->room -= (size_t)n;
}

static void list_members(struct member_list *list, uint32_t id, unsigned int depth)
{
	const struct btf_type *type = btf__type_by_id(list->btf, id);

	if (!is_struct(type) || depth == NESTED_MAX)
		return;
	for (uint32_t i = 0; i < btf_vlen(type) && list->left; i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *name = btf__name_by_offset(list->btf, member->name_off);

		list->left--;
		if (!name || !*name) {
			list_members(list, kt_btf_skip(list->btf, member->type), depth + 1);
		} else if (list->room > strlen(name) + sizeof(", , ...")) {
			list_text(list, list->first ? "" : ", ", name);
			list->first = false;
		} else {
			list_text(list, ", ", "...");
			list->left = 0;
		}
	}
}

static int no_member(const struct btf *btf, uint32_t id, const char *name, size_t len,
		     const struct kt_near *near, struct kt_err *reterr)
{
	char what[NAME_ROOM], text[NAME_ROOM], members[600];
	struct member_list list = { .btf = btf,
				    .at = members,
				    .room = sizeof(members),
				    .left = MEMBERS_MAX,
				    .first = true };

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
