/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/maps_state.h"
#include "vmm/inspect/near.h"

/*
 * map_idr leads to the maps. A map names the BTF that was loaded with its programs; the kernel
 * keeps the bytes of it, which are read and parsed once for all maps that share them. That BTF is
 * the guest's, like all else.
 */

#define BTF_LEN_MAX (16u << 20)
#define NAMES_ROOM  600u
#define NAME_LEN    64u

enum {
	TYPE,
	KEY_SIZE,
	VALUE_SIZE,
	MAX_ENTRIES,
	FLAGS,
	ID,
	KEY_TYPE,
	VALUE_TYPE,
	BTF,
	NAME,
	N_FIELDS
};

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[TYPE] = { { "map_type" } },
	[KEY_SIZE] = { { "key_size" } },
	[VALUE_SIZE] = { { "value_size" } },
	[MAX_ENTRIES] = { { "max_entries" } },
	[FLAGS] = { { "map_flags" }, true },
	[ID] = { { "id" } },
	[KEY_TYPE] = { { "btf_key_type_id" }, true },
	[VALUE_TYPE] = { { "btf_value_type_id" }, true },
	[BTF] = { { "btf" }, true },
	[NAME] = { { "name" } },
};

int kt_maps_open(struct kt_inspect *inspect, struct kt_maps **ret_maps, struct kt_err *reterr)
{
	struct kt_maps *maps = calloc(1, sizeof(*maps));
	struct kt_member idr;
	uint64_t symbol;
	int r;

	if (!maps)
		return kt_err_oom(reterr);
	maps->inspect = inspect;
	r = kt_record_init(&maps->record, inspect, "struct bpf_map", FIELDS, N_FIELDS, reterr) ?:
		kt_inspect_member(inspect, "struct idr", "idr_rt", &idr, reterr) ?:
		kt_inspect_symbol(inspect, "map_idr", &symbol, reterr);
	if (r < 0) {
		kt_maps_close(maps);
		return kt_err_prefix(reterr, r, "BPF maps");
	}
	maps->ids = symbol + idr.offset;
	*ret_maps = maps;
	return 0;
}

struct kt_maps *kt_maps_close(struct kt_maps *maps)
{
	if (!maps)
		return NULL;
	for (size_t i = 0; i < maps->n_btfs; i++)
		btf__free(maps->btfs[i].btf);
	kt_record_deinit(&maps->record);
	free(maps);
	return NULL;
}

static int read_map(struct kt_maps *maps, uint64_t kva, struct kt_map *ret, struct kt_err *reterr)
{
	const struct kt_record *record = &maps->record;
	int r = kt_record_read(&maps->record, kva, reterr);

	if (r < 0)
		return r;
	*ret = (struct kt_map){
		.kva = kva,
		.id = (uint32_t)kt_record_get(record, ID),
		.type = kt_record_enumerator(record, TYPE),
		.key_size = (uint32_t)kt_record_get(record, KEY_SIZE),
		.value_size = (uint32_t)kt_record_get(record, VALUE_SIZE),
		.max_entries = (uint32_t)kt_record_get(record, MAX_ENTRIES),
		.flags = (uint32_t)kt_record_get(record, FLAGS),
		.btf = kt_record_get(record, BTF),
		.key_type = (uint32_t)kt_record_get(record, KEY_TYPE),
		.value_type = (uint32_t)kt_record_get(record, VALUE_TYPE),
	};
	(void)kt_record_text(record, NAME, ret->name, sizeof(ret->name));
	return 0;
}

int kt_maps_next(struct kt_maps *maps, struct kt_map *ret_map, struct kt_err *reterr)
{
	uint64_t id = maps->next, kva;
	int r = maps->ended ? -ENXIO
			    : kt_inspect_xa_next(maps->inspect, maps->ids, &id, &kva, reterr);

	if (r < 0)
		maps->ended = true;
	if (r == -ENXIO)
		return 0;
	if (r < 0)
		return kt_err_prefix(reterr, -ENODEV, "map_idr");
	maps->next = id + 1;
	r = read_map(maps, kva, ret_map, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r == -ENODEV ? -EFAULT : r, "BPF map %" PRIu64, id);
	return 1;
}

bool kt_map_is(const struct kt_map *map, const char *type)
{
	static const char PREFIX[] = "BPF_MAP_TYPE_";

	return map->type && !strncmp(map->type, PREFIX, sizeof(PREFIX) - 1) &&
	       !strcmp(map->type + sizeof(PREFIX) - 1, type);
}

/* ---- By name ---- */

static bool fits(const struct kt_map *map, const char *name)
{
	size_t len = strlen(map->name), wanted = strlen(name);
	char *end;

	if (strspn(name, "0123456789") == wanted && wanted)
		return strtoull(name, &end, 10) == map->id;
	if (!strcmp(map->name, name))
		return true;
	return *name == '.' && len > wanted && !strcmp(map->name + len - wanted, name);
}

/* Appends a map to a list in a text, as far as there is room. */
static void list(char *text, size_t room, const struct kt_map *map)
{
	size_t len = strlen(text);

	if (room - len > 64)
		(void)snprintf(text + len, room - len, "%s%.31s (%u)", len ? ", " : "", map->name,
			       map->id);
}

int kt_maps_find(struct kt_maps *maps, const char *name, struct kt_map *ret_map,
		 struct kt_err *reterr)
{
	char all[NAMES_ROOM] = "", several[NAMES_ROOM] = "";
	struct kt_map map;
	unsigned int n = 0;
	int r;

	maps->next = 0;
	maps->ended = false;
	while ((r = kt_maps_next(maps, &map, reterr)) && r != -ENODEV) {
		if (r < 0)
			continue; /* what cannot be read has no name */
		list(all, sizeof(all), &map);
		if (!fits(&map, name))
			continue;
		list(several, sizeof(several), &map);
		*ret_map = map;
		n++;
	}
	if (r < 0)
		return r;
	if (!n)
		return kt_err_set(reterr, -ENOENT, "there is no BPF map '%s'; there %s %s", name,
				  *all ? "are" : "is", *all ? all : "none");
	return n == 1 ? 0
		      : kt_err_set(reterr, -EINVAL, "'%s' is the name of several BPF maps: %s",
				   name, several);
}

/* ---- Types ---- */

static int read_btf(struct kt_maps *maps, uint64_t kva, struct btf **ret_btf, struct kt_err *reterr)
{
	struct kt_member data, size;
	KT_FREE void *bytes = NULL;
	uint64_t from, len;
	int r = kt_inspect_member(maps->inspect, "struct btf", "data", &data, reterr) ?:
		kt_inspect_member(maps->inspect, "struct btf", "data_size", &size, reterr) ?:
		kt_inspect_read_uint(maps->inspect, kva + data.offset, 8, &from, reterr) ?:
		kt_inspect_read_uint(maps->inspect, kva + size.offset, 4, &len, reterr);

	if (r < 0)
		return r;
	if (len < sizeof(struct btf_header) || len > BTF_LEN_MAX)
		return kt_err_set(reterr, -EPROTO, "it has %" PRIu64 " bytes", len);
	bytes = malloc(len);
	if (!bytes)
		return kt_err_oom(reterr);
	r = kt_inspect_read(maps->inspect, from, bytes, len, reterr);
	/* libbpf accepts a header of odd length, and every type is misaligned then. */
	if (r == 0 && ((struct btf_header *)bytes)->hdr_len % sizeof(uint32_t))
		return kt_err_set(reterr, -EPROTO, "its header is malformed");
	return r < 0 ? r : kt_btf_new(bytes, len, NULL, ret_btf, reterr);
}

int kt_maps_btf(struct kt_maps *maps, uint64_t kva, const struct btf **ret_btf,
		struct kt_err *reterr)
{
	struct btf *btf = NULL;
	int r;

	for (size_t i = 0; i < maps->n_btfs; i++) {
		if (maps->btfs[i].kva == kva) {
			*ret_btf = maps->btfs[i].btf;
			return 0;
		}
	}
	if (maps->n_btfs == KT_MAPS_BTFS)
		return kt_err_set(reterr, -ELOOP, "the maps have more than %u BTF objects",
				  KT_MAPS_BTFS);
	r = read_btf(maps, kva, &btf, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "BTF at 0x%" PRIx64, kva);
	maps->btfs[maps->n_btfs++] = (struct kt_maps_btf){ kva, btf };
	*ret_btf = btf;
	return 0;
}

static int place_of(const struct btf *btf, uint32_t type, uint64_t kva, uint32_t size,
		    struct kt_place *ret_place, struct kt_err *reterr)
{
	int64_t len = kt_btf_size(btf, type);

	if (len < 0 || (uint64_t)len > size)
		return kt_err_set(reterr, -EPROTO, "its type %u does not fit into %u bytes", type,
				  size);
	*ret_place =
		(struct kt_place){ .btf = btf, .type = type, .kva = kva, .size = (uint64_t)len };
	return 0;
}

static int typed(struct kt_maps *maps, const struct kt_map *map, uint32_t type, uint32_t size,
		 uint64_t kva, struct kt_place *ret_place, struct kt_err *reterr)
{
	const struct btf *btf;
	int r;

	if (!map->btf || !type)
		return kt_err_set(reterr, -ENOENT, "BPF map '%s' has no types", map->name);
	r = kt_maps_btf(maps, map->btf, &btf, reterr)
		    ?: place_of(btf, type, kva, size, ret_place, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "BPF map '%s'", map->name) : 0;
}

int kt_map_key(struct kt_maps *maps, const struct kt_map *map, uint64_t kva,
	       struct kt_place *ret_place, struct kt_err *reterr)
{
	return typed(maps, map, map->key_type, map->key_size, kva, ret_place, reterr);
}

/*
 * The name of the type that a struct_ops has in the kernel: map->st_ops_desc->st_ops->name with a
 * prefix. The map has an id of it, too, but kt_inspect_btf() has other ids than the kernel.
 */
static int struct_ops_type(struct kt_maps *maps, const struct kt_map *map, uint32_t *ret_type,
			   struct kt_err *reterr)
{
	char name[NAME_LEN], type[NAME_LEN + sizeof("struct bpf_struct_ops_")];
	struct kt_inspect *inspect = maps->inspect;
	struct kt_member desc, ops, text;
	uint64_t kva;
	int r = kt_inspect_member(inspect, "struct bpf_struct_ops_map", "st_ops_desc", &desc,
				  reterr) ?:
		kt_inspect_member(inspect, "struct bpf_struct_ops_desc", "st_ops", &ops, reterr) ?:
		kt_inspect_member(inspect, "struct bpf_struct_ops", "name", &text, reterr) ?:
		kt_inspect_read_uint(inspect, map->kva + desc.offset, 8, &kva, reterr) ?:
		kt_inspect_read_uint(inspect, kva + ops.offset, 8, &kva, reterr) ?:
		kt_inspect_read_uint(inspect, kva + text.offset, 8, &kva, reterr) ?:
		kt_inspect_read_text(inspect, kva, name, sizeof(name), reterr);

	if (r < 0)
		return r;
	(void)snprintf(type, sizeof(type), "struct bpf_struct_ops_%s", name);
	return kt_inspect_type(inspect, type, ret_type, reterr);
}

int kt_map_value(struct kt_maps *maps, const struct kt_map *map, uint64_t kva,
		 struct kt_place *ret_place, struct kt_err *reterr)
{
	uint32_t type;
	int r;

	if (!kt_map_is(map, "STRUCT_OPS"))
		return typed(maps, map, map->value_type, map->value_size, kva, ret_place, reterr);
	r = struct_ops_type(maps, map, &type, reterr)
		    ?: place_of(kt_inspect_btf(maps->inspect), type, kva, map->value_size,
				ret_place, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "BPF map '%s'", map->name) : 0;
}

/* ---- Variables ---- */

/* The DATASEC that describes a section; NULL when the map is none. */
static const struct btf_type *section_of(struct kt_maps *maps, const struct kt_map *map,
					 const struct btf **ret_btf)
{
	const struct btf_type *type;

	if (!kt_map_is(map, "ARRAY") || !map->btf || !map->value_type ||
	    kt_maps_btf(maps, map->btf, ret_btf, NULL) < 0)
		return NULL;
	type = btf__type_by_id(*ret_btf, map->value_type);
	return type && btf_kind(type) == BTF_KIND_DATASEC ? type : NULL;
}

bool kt_map_is_section(struct kt_maps *maps, const struct kt_map *map)
{
	const struct btf *btf;

	return section_of(maps, map, &btf) != NULL;
}

/*
 * The name of a variable of a section, and where it is; NULL when that is outside of the section.
 */
static const char *variable_at(const struct kt_map *map, const struct btf *btf,
			       const struct btf_var_secinfo *info, uint64_t kva,
			       struct kt_place *ret_place)
{
	const struct btf_type *var = btf__type_by_id(btf, info->type);

	if (!var || btf_kind(var) != BTF_KIND_VAR || info->offset > map->value_size ||
	    place_of(btf, var->type, kva + info->offset, map->value_size - info->offset, ret_place,
		     NULL) < 0)
		return NULL;
	return btf__name_by_offset(btf, var->name_off);
}

/* The address of a section's bytes. */
static int first_entry(void *data, const struct kt_map_entry *entry, struct kt_err *reterr)
{
	(void)reterr;
	*(uint64_t *)data = entry->value;
	return 1;
}

int kt_map_variables(struct kt_maps *maps, const struct kt_map *map, kt_map_variable_fn fn,
		     void *data, struct kt_err *reterr)
{
	const struct btf *btf;
	const struct btf_type *section = section_of(maps, map, &btf);
	uint64_t kva = 0;
	int r;

	if (!section)
		return kt_err_set(reterr, -EINVAL, "BPF map '%s' is not a data section", map->name);
	r = kt_map_entries(maps, map, 1, first_entry, &kva, reterr);
	for (uint32_t i = 0; r >= 0 && kva && i < btf_vlen(section); i++) {
		struct kt_place place;
		const char *name =
			variable_at(map, btf, &btf_var_secinfos(section)[i], kva, &place);

		if (!name || !*name)
			continue;
		r = fn(data, name, &place);
		if (r)
			break;
	}
	return r < 0 ? r : 0;
}

struct search {
	const char *name;
	struct kt_near near;
	struct kt_place *ret_place;
	bool found;
};

static int match_variable(void *data, const char *name, const struct kt_place *place)
{
	struct search *search = data;

	kt_near_offer(&search->near, name);
	if (strcmp(name, search->name) != 0)
		return 0;
	*search->ret_place = *place;
	search->found = true;
	return 1;
}

int kt_map_variable(struct kt_maps *maps, const struct kt_map *map, const char *name,
		    struct kt_place *ret_place, struct kt_err *reterr)
{
	struct search search = { .name = name, .ret_place = ret_place };
	char text[256];
	int r;

	kt_near_init(&search.near, name, strlen(name));
	r = kt_map_variables(maps, map, match_variable, &search, reterr);
	if (r < 0 || search.found)
		return r;
	return kt_err_set(reterr, -ENOENT, "BPF map '%s' has no variable '%s'%s", map->name, name,
			  kt_near_text(&search.near, text, sizeof(text)));
}
