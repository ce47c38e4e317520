/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/types_index.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

static enum kt_type_class class_of(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
		return KT_TYPE_STRUCT;
	case BTF_KIND_UNION:
		return KT_TYPE_UNION;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return KT_TYPE_ENUM;
	case BTF_KIND_TYPEDEF:
		return KT_TYPE_TYPEDEF;
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
		return KT_TYPE_BASE;
	case BTF_KIND_VAR:
		return KT_TYPE_VAR;
	default:
		return KT_TYPE_OTHER;
	}
}

static const char *enumerator_name(const struct btf *btf, const struct btf_type *type, size_t i)
{
	if (i >= btf_vlen(type))
		return NULL;
	return btf__name_by_offset(btf, btf_kind(type) == BTF_KIND_ENUM64
						? btf_enum64(type)[i].name_off
						: btf_enum(type)[i].name_off);
}

const char *kt_types_name(const struct kt_types *types, size_t i, enum kt_type_class *ret_class)
{
	const struct kt_type_entry *entry = &types->entries[i];
	const struct btf_type *type = btf__type_by_id(types->btf, entry->type);
	enum kt_type_class class = type ? class_of(type) : KT_TYPE_OTHER;
	const char *name;

	if (class == KT_TYPE_OTHER || (entry->enumerator >= 0 && class != KT_TYPE_ENUM))
		return NULL;
	if (entry->enumerator >= 0) {
		*ret_class = KT_TYPE_ENUMERATOR;
		return enumerator_name(types->btf, type, (size_t)entry->enumerator);
	}
	*ret_class = class;
	name = btf__name_by_offset(types->btf, type->name_off);
	return name && *name ? name : NULL;
}

static struct kt_index_key key_of(const void *data, size_t i)
{
	enum kt_type_class class = KT_TYPE_OTHER;
	const char *name = kt_types_name(data, i, &class);

	return (struct kt_index_key){ .name = name, .kind = class };
}

/* How many entries a type makes: itself if it has a name, and its enumerators. */
static size_t entries_of(const struct btf_type *type)
{
	enum kt_type_class class = class_of(type);

	if (class == KT_TYPE_OTHER)
		return 0;
	return (type->name_off ? 1 : 0) + (class == KT_TYPE_ENUM ? btf_vlen(type) : 0u);
}

static size_t add_entries(const struct btf_type *type, uint32_t id, struct kt_type_entry *entries)
{
	size_t n = 0;

	if (class_of(type) == KT_TYPE_OTHER)
		return 0;
	if (type->name_off)
		entries[n++] = (struct kt_type_entry){ id, -1 };
	for (int i = 0; class_of(type) == KT_TYPE_ENUM && i < btf_vlen(type); i++)
		entries[n++] = (struct kt_type_entry){ id, i };
	return n;
}

int kt_types_build(struct kt_types *types, struct kt_err *reterr)
{
	uint32_t end = btf__type_cnt(types->btf);
	KT_FREE struct kt_type_entry *entries = NULL;
	size_t n = 0;
	uint32_t *slots;
	int r;

	for (uint32_t id = 1; id < end; id++)
		n += entries_of(btf__type_by_id(types->btf, id));
	entries = calloc(n ?: 1, sizeof(*entries));
	if (!entries)
		return kt_err_oom(reterr);
	n = 0;
	for (uint32_t id = 1; id < end; id++)
		n += add_entries(btf__type_by_id(types->btf, id), id, entries + n);
	types->n = n;
	types->entries = entries;
	r = kt_index_build(key_of, types, n, &slots, &types->index.n_slots);
	if (r < 0) {
		*types = (struct kt_types){ .btf = types->btf };
		return r == -ENOMEM ? kt_err_oom(reterr)
				    : kt_err_set(reterr, r, "the names of the types collide");
	}
	types->index.slots = slots;
	(void)kt_steal(entries);
	return 0;
}

bool kt_types_find(const struct kt_types *types, enum kt_type_class class, const char *name,
		   struct kt_type_entry *ret_entry)
{
	size_t i;

	if (!kt_index_find(&types->index, key_of, types, types->n, name, class, &i))
		return false;
	*ret_entry = types->entries[i];
	return true;
}

bool kt_types_enumerator(const struct btf *btf, uint32_t type_id, size_t i, int64_t *ret_value)
{
	const struct btf_type *type = btf__type_by_id(btf, type_id);

	if (!type || i >= btf_vlen(type))
		return false;
	if (btf_kind(type) == BTF_KIND_ENUM64)
		*ret_value = (int64_t)btf_enum64_value(&btf_enum64(type)[i]);
	else if (btf_kind(type) == BTF_KIND_ENUM)
		*ret_value = btf_kflag(type) ? (int64_t)btf_enum(type)[i].val
					     : (int64_t)(uint32_t)btf_enum(type)[i].val;
	else
		return false;
	return true;
}
