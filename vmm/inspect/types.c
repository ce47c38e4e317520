/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/types.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/trim.h"

/*
 * Loading of the kernel's BTF, and what a type is by itself. Ids of types are always used with the
 * extension of the BTF that casts.c makes. members.c has the members of structs, enumerators.c the
 * values of enums.
 *
 * BTF is foreign. Its ids and names are checked when it is loaded; what remains to be bounded here
 * are types that contain or refer to themselves.
 */

#define BTF_LEN_MAX   (64u << 20)
#define CHAIN_MAX     64u /* typedefs and qualifiers in a row */
#define NESTED_MAX    16u /* types in a type's name */
#define SIZE_MAX_TYPE (INT64_C(1) << 40)

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
