/* SPDX-License-Identifier: MIT */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "vmm/inspect/near.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/types.h"

#define NAME_ROOM 256u

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
