/* SPDX-License-Identifier: MIT */
#pragma once
/* What the files of this room share of a struct kt_inspect. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/space.h"
#include "vmm/inspect/store.h"
#include "vmm/inspect/symbols.h"
#include "vmm/inspect/types_index.h"
#include "vmm/inspect/vmcoreinfo.h"

struct kt_inspect {
	struct kt_ram *ram; /* borrowed */
	struct kt_space space;
	struct kt_inspect_facts facts;
	uint64_t info_gpa; /* of the page with VMCOREINFO */
	char *cache;       /* directory; NULL: none */

	struct kt_store store; /* what symbols and types point into, if they come from the cache */
	struct kt_symbols symbols;
	uint64_t image_end;                  /* _end */
	uint64_t per_cpu_start, per_cpu_end; /* of the image's per-CPU variables */
	uint64_t *per_cpu_offsets;           /* n_cpus of them */

	bool types_tried; /* types are loaded when they are first needed */
	int types_result; /* of that */
	struct kt_types types;
	void *btf_data; /* of the types, until it is in the cache */
	size_t btf_len;
	struct btf *btf; /* types.btf, and what casts have added to it */
};

/* Loads the types. -ENOENT when the kernel has none. */
int kt_inspect_load_types(struct kt_inspect *inspect, struct kt_err *reterr);
void kt_inspect_free_types(struct kt_inspect *inspect);

/* Copies the BTF out of the guest, as it is; *@ret_data is to be freed. */
int kt_inspect_read_btf(struct kt_inspect *inspect, void **ret_data, size_t *ret_len,
			struct kt_err *reterr);

/* Bytes of a scalar: a bit-field of 64 bits that does not begin at a byte spans nine. */
#define KT_PLACE_SPAN 9u

/* The value of a scalar, of which @bytes are the memory and what follows it. */
uint64_t kt_place_from_bytes(const struct kt_place *place, const uint8_t bytes[KT_PLACE_SPAN]);
