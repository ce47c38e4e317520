/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/utf8.h"
#include "vmm/inspect/state.h"

/*
 * A value becomes a tree of JSON, and a text is printed from such a tree: there is one walk over
 * the guest's memory, and one place for its bounds. For a text, the scalars in the tree are texts
 * already, so that an enumerator and a C string can be told apart.
 *
 * The memory of the outermost value is copied at once, as far as the budget goes, and what it
 * contains is taken from the copy. Only what a pointer leads to is read on its own.
 *
 * A failure inside a value, such as a pointer that leads nowhere, is shown in its place and does
 * not end the rest.
 */

#define TRUNCATED    "truncated"
#define ADDRESS      "@" /* key of the address of what a pointer led to */
#define CHECK_EVERY  64u /* values between two looks at the clock */
#define NESTED_MAX   32u /* whatever the limits say */
#define WRAPPERS_MAX 8u  /* structs of one member, in each other */
#define TEXT_ROOM    512u

struct render {
	struct kt_inspect *inspect;
	struct kt_render_limits limits; /* bytes and memory count down */
	bool text;
	uint64_t cpu_end_ns;    /* on kt_thread_cpu_ns(); 0: none */
	unsigned int countdown; /* to the next look at the clock */
	bool exhausted;
	bool no_memory;
};

/* Memory that was copied. What is not in the copy is not shown. */
struct source {
	const struct btf *btf;
	uint64_t kva;
	const uint8_t *bytes;
	size_t len;
};

/* A value in a source. */
struct item {
	uint32_t type;
	uint64_t offset;
	uint64_t size;
	uint8_t bit_shift, bit_size;
};

static json_t *render_item(struct render *render, const struct source *source,
			   const struct item *item, unsigned int depth);

/* Takes @bytes of output from the budget; false when one of the budgets is used up. */
static bool spend(struct render *render, size_t bytes)
{
	if (!render->countdown--) {
		render->countdown = CHECK_EVERY;
		if (render->cpu_end_ns && kt_thread_cpu_ns() > render->cpu_end_ns)
			render->exhausted = true;
	}
	if (bytes > render->limits.bytes)
		render->exhausted = true;
	else
		render->limits.bytes -= bytes;
	return !render->exhausted;
}

static json_t *keep(struct render *render, json_t *json)
{
	render->no_memory = render->no_memory || !json;
	return json;
}

/* Foreign bytes as valid UTF-8: what is none is replaced, and control characters if @escape. */
static int put_foreign(struct kt_buffer *to, const char *bytes, size_t len, bool escape)
{
	const unsigned char *at = (const unsigned char *)bytes;
	int r = 0;

	while (r == 0 && len) {
		size_t n = kt_utf8_len(at, len, NULL);
		char code[8];

		if (n == 1 && escape && (*at < ' ' || *at == 0x7f)) {
			(void)snprintf(code, sizeof(code), "\\x%02x", *at);
			r = kt_buffer_append(to, code, strlen(code));
		} else if (n) {
			r = kt_buffer_append(to, at, n);
		} else {
			r = kt_buffer_append(to, KT_UTF8_REPLACEMENT,
					     sizeof(KT_UTF8_REPLACEMENT) - 1);
		}
		n = n ?: 1;
		at += n;
		len -= n;
	}
	return r;
}

/* @quote is what stands around it: "" or one character. */
static json_t *foreign_text(struct render *render, const char *bytes, size_t len, const char *quote,
			    bool cut)
{
	struct kt_buffer text = KT_BUFFER_NULL;
	json_t *json = NULL;
	int r = kt_buffer_append(&text, quote, strlen(quote));

	if (r == 0)
		r = put_foreign(&text, bytes, len, render->text);
	if (r == 0)
		r = kt_buffer_append(&text, quote, strlen(quote));
	if (r == 0 && cut)
		r = kt_buffer_append(&text, "...", 3);
	if (r == 0 && spend(render, text.len))
		json = json_stringn(text.data ?: "", text.len);
	kt_buffer_deinit(&text);
	return render->exhausted ? keep(render, json_string("")) : keep(render, json);
}

/* A C string: people see by the quotes that it is one. */
static json_t *string(struct render *render, const char *bytes, size_t len, bool cut)
{
	return foreign_text(render, bytes, len, render->text ? "\"" : "", cut);
}

/* A text of our own. */
static json_t *own_text(struct render *render, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static json_t *own_text(struct render *render, const char *format, ...)
{
	char text[TEXT_ROOM];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)spend(render, strlen(text));
	return keep(render, json_string(text));
}

/* What stands in the place of something that is left out. */
static json_t *left_out(struct render *render)
{
	return render->text ? keep(render, json_string("{...}"))
			    : keep(render, json_pack("{s:b}", TRUNCATED, 1));
}

/* ---- Scalars ---- */

static json_t *number(struct render *render, uint64_t value, bool has_sign)
{
	if (render->text)
		return has_sign ? own_text(render, "%" PRId64, (int64_t)value)
				: own_text(render, "%" PRIu64, value);
	if (!has_sign && value > INT64_MAX)
		return own_text(render, "0x%" PRIx64, value);
	(void)spend(render, 8);
	return keep(render, json_integer((json_int_t)value));
}

static json_t *render_enum(struct render *render, const struct kt_place *place, uint64_t value)
{
	const char *name = kt_btf_enum_name(place->btf, place->type, (int64_t)value);

	if (!name || !*name)
		return number(render, value, kt_place_is_signed(place));
	if (render->text)
		return own_text(render, "%s (%" PRId64 ")", name, (int64_t)value);
	return foreign_text(render, name, strlen(name), "", false);
}

static json_t *render_bool(struct render *render, uint64_t value)
{
	return render->text ? own_text(render, "%s", value ? "true" : "false")
			    : keep(render, json_boolean(value != 0));
}

/* "0xffffffff81234567 <schedule+0x17>" */
static void describe_address(struct render *render, uint64_t kva, char text[TEXT_ROOM])
{
	uint64_t offset;
	const char *symbol = kt_inspect_symbol_at(render->inspect, kva, &offset);

	if (!symbol)
		(void)snprintf(text, TEXT_ROOM, "0x%" PRIx64, kva);
	else if (!offset)
		(void)snprintf(text, TEXT_ROOM, "0x%" PRIx64 " <%.255s>", kva, symbol);
	else
		(void)snprintf(text, TEXT_ROOM, "0x%" PRIx64 " <%.255s+0x%" PRIx64 ">", kva, symbol,
			       offset);
}

static json_t *address(struct render *render, uint64_t kva)
{
	char text[TEXT_ROOM];

	describe_address(render, kva, text);
	return foreign_text(render, text, strlen(text), "", false);
}

static bool is_char(const struct btf *btf, uint32_t type)
{
	const struct btf_type *t = btf__type_by_id(btf, kt_btf_skip(btf, type));
	const char *name = t ? btf__name_by_offset(btf, t->name_off) : NULL;

	return t && btf_kind(t) == BTF_KIND_INT && t->size == 1 && name && !strcmp(name, "char");
}

/* Takes memory from the budget; false when there is too little left. */
static bool spend_memory(struct render *render, size_t len)
{
	if (len > render->limits.memory)
		return false;
	render->limits.memory -= len;
	return true;
}

/* The text that a pointer to char leads to; the address when it leads nowhere. */
static json_t *render_string(struct render *render, uint64_t kva)
{
	size_t room = render->limits.text_len + 1;
	KT_FREE char *text = malloc(room);
	size_t len;

	if (!text)
		return keep(render, NULL);
	if (!spend_memory(render, room) ||
	    kt_inspect_read_text(render->inspect, kva, text, room, NULL) < 0)
		return address(render, kva);
	len = strnlen(text, room);
	return string(render, text, len, len + 1 == room);
}

/* Copies @size bytes, or as many as the budget has; what was copied is in *@ret_source. */
static int copy_memory(struct render *render, const struct btf *btf, uint64_t kva, uint64_t size,
		       uint8_t **ret_bytes, struct source *ret_source, struct kt_err *reterr)
{
	size_t len = (size_t)KT_MIN(size, (uint64_t)render->limits.memory);
	KT_FREE uint8_t *bytes = malloc(len ?: 1);
	int r;

	if (!bytes)
		return kt_err_oom(reterr);
	r = kt_inspect_read(render->inspect, kva, bytes, len, reterr);
	if (r < 0)
		return r;
	render->limits.memory -= len;
	*ret_bytes = kt_steal(bytes);
	*ret_source = (struct source){ btf, kva, *ret_bytes, len };
	return 0;
}

/* The struct that a pointer leads to, with its address; or the address alone. */
static json_t *follow(struct render *render, const struct btf *btf, uint32_t type, uint64_t kva,
		      unsigned int depth)
{
	int64_t size = kt_btf_size(btf, type);
	KT_FREE uint8_t *bytes = NULL;
	struct source source;
	struct item item = { .type = type, .size = (uint64_t)size };
	json_t *json;

	if (size <= 0 || copy_memory(render, btf, kva, (uint64_t)size, &bytes, &source, NULL) < 0)
		return address(render, kva);
	render->limits.pointers--;
	json = render_item(render, &source, &item, depth + 1);
	render->limits.pointers++;
	if (json_is_object(json))
		(void)json_object_set_new(json, ADDRESS, address(render, kva));
	return json;
}

static json_t *render_pointer(struct render *render, const struct btf *btf, uint32_t type,
			      uint64_t kva, unsigned int depth)
{
	const struct btf_type *to = btf__type_by_id(btf, kt_btf_skip(btf, type));

	if (!kva)
		return render->text ? own_text(render, "NULL") : json_null();
	if (is_char(btf, type))
		return render_string(render, kva);
	if (to && btf_is_composite(to) && render->limits.pointers && depth < render->limits.depth)
		return follow(render, btf, type, kva, depth);
	return address(render, kva);
}

static json_t *render_scalar(struct render *render, const struct kt_place *place, uint64_t value,
			     unsigned int depth)
{
	const struct btf_type *type =
		btf__type_by_id(place->btf, kt_btf_skip(place->btf, place->type));

	if (btf_kind(type) == BTF_KIND_PTR)
		return render_pointer(render, place->btf, type->type, value, depth);
	if (btf_is_any_enum(type))
		return render_enum(render, place, value);
	if (btf_int_encoding(type) & BTF_INT_BOOL)
		return render_bool(render, value);
	return number(render, value, kt_place_is_signed(place));
}

static bool in_source(const struct source *source, const struct item *item)
{
	return item->offset <= source->len && item->size <= source->len - item->offset;
}

static uint64_t value_of(const struct source *source, const struct item *item,
			 const struct kt_place *place)
{
	uint8_t bytes[KT_PLACE_SPAN] = { 0 };

	memcpy(bytes, source->bytes + item->offset, KT_MIN(item->size, (uint64_t)sizeof(bytes)));
	return kt_place_from_bytes(place, bytes);
}

/* ---- Structs ---- */

static bool member_item(const struct source *source, const struct btf_type *type, uint32_t i,
			uint64_t base, struct item *ret_item)
{
	struct kt_member member;

	if (!kt_btf_member_at(source->btf, type, i, &member))
		return false;
	*ret_item = (struct item){ .type = member.type,
				   .offset = base + member.offset,
				   .size = member.size,
				   .bit_shift = member.bit_shift,
				   .bit_size = member.bit_size };
	return true;
}

/* Sets a member whose name is the guest's. */
static void set_member(struct render *render, json_t *object, const char *name, json_t *value)
{
	struct kt_buffer key = KT_BUFFER_NULL;
	int r = put_foreign(&key, name, strlen(name) + 1, false);

	if (r < 0 || json_object_set_new(object, key.data, value) < 0)
		render->no_memory = true;
	kt_buffer_deinit(&key);
	(void)spend(render, strlen(name) + 4);
}

static void mark_truncated(struct render *render, json_t *object)
{
	(void)json_object_set_new(object, TRUNCATED, keep(render, json_true()));
}

/* Adds the members of a struct; those of an anonymous one in it become its own. */
static void add_members(struct render *render, const struct source *source, uint32_t id,
			uint64_t base, unsigned int depth, unsigned int nested, json_t *object)
{
	const struct btf_type *type = btf__type_by_id(source->btf, id);

	for (uint32_t i = 0; i < btf_vlen(type) && !render->no_memory; i++) {
		const char *name = btf__name_by_offset(source->btf, btf_members(type)[i].name_off);
		const struct btf_type *inner;
		struct item item;

		if (!spend(render, 1)) {
			mark_truncated(render, object);
			return;
		}
		if (!member_item(source, type, i, base, &item))
			continue;
		inner = btf__type_by_id(source->btf, kt_btf_skip(source->btf, item.type));
		if (name && *name)
			set_member(render, object, name,
				   render_item(render, source, &item, depth + 1));
		else if (inner && btf_is_composite(inner) && nested < NESTED_MAX)
			add_members(render, source, kt_btf_skip(source->btf, item.type),
				    item.offset, depth, nested + 1, object);
	}
}

/* "0-3,8": the CPUs of a struct cpumask. */
static json_t *render_cpumask(struct render *render, const struct source *source,
			      const struct item *item)
{
	unsigned int n =
		(unsigned int)KT_MIN(kt_inspect_facts(render->inspect)->n_cpus, item->size * 8);
	const uint8_t *bits = source->bytes + item->offset;
	char text[TEXT_ROOM] = "";
	size_t len = 0;

	for (unsigned int cpu = 0; cpu < n && len < sizeof(text); cpu++) {
		unsigned int first = cpu;

		if (!(bits[cpu / 8] >> cpu % 8 & 1))
			continue;
		while (cpu + 1 < n && bits[(cpu + 1) / 8] >> (cpu + 1) % 8 & 1)
			cpu++;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					first == cpu ? "%s%u" : "%s%u-%u", len ? "," : "", first,
					cpu);
	}
	return own_text(render, render->text ? "CPUs %s" : "%s", text);
}

/*
 * The integer that a type is nothing but a wrapper of, as atomic_t is: a typedef of a struct with
 * one member, as often as necessary.
 */
static bool unwrap(const struct source *source, const struct item *item, struct item *ret_item)
{
	struct item at = *item;

	for (unsigned int i = 0; i < WRAPPERS_MAX; i++) {
		const struct btf_type *outer = btf__type_by_id(source->btf, at.type);
		const struct btf_type *type =
			btf__type_by_id(source->btf, kt_btf_skip(source->btf, at.type));

		if (!type || !outer)
			return false;
		if (btf_kind(type) == BTF_KIND_INT) {
			*ret_item = at;
			return i > 0;
		}
		if (btf_kind(type) != BTF_KIND_STRUCT || btf_vlen(type) != 1 || outer == type ||
		    !member_item(source, type, 0, at.offset, &at))
			return false;
	}
	return false;
}

static json_t *render_struct(struct render *render, const struct source *source,
			     const struct item *item, unsigned int depth)
{
	uint32_t id = kt_btf_skip(source->btf, item->type);
	const struct btf_type *type = btf__type_by_id(source->btf, id);
	const char *name = btf__name_by_offset(source->btf, type->name_off);
	struct item inner;
	json_t *object;

	if (unwrap(source, item, &inner))
		return render_item(render, source, &inner, depth);
	if (name && !strcmp(name, "cpumask") && in_source(source, item))
		return render_cpumask(render, source, item);
	if (depth >= render->limits.depth || depth >= NESTED_MAX)
		return left_out(render);
	object = keep(render, json_object());
	if (object)
		add_members(render, source, id, item->offset, depth, 0, object);
	return object;
}

/* ---- Arrays ---- */

static json_t *render_chars(struct render *render, const struct source *source,
			    const struct item *item)
{
	const char *text = (const char *)source->bytes + item->offset;
	size_t len = strnlen(text, item->size);
	bool cut = len > render->limits.text_len;

	return string(render, text, cut ? render->limits.text_len : len, cut);
}

static void add_rest(struct render *render, json_t *array, uint64_t n)
{
	(void)json_array_append_new(
		array, keep(render, render->text ? json_sprintf("... %" PRIu64 " more", n)
						 : json_pack("{s:I}", TRUNCATED, (json_int_t)n)));
}

static json_t *render_array(struct render *render, const struct source *source,
			    const struct item *item, unsigned int depth)
{
	const struct btf_type *type =
		btf__type_by_id(source->btf, kt_btf_skip(source->btf, item->type));
	uint32_t n = btf_array(type)->nelems, element = btf_array(type)->type;
	int64_t size = kt_btf_size(source->btf, element);
	uint32_t shown = KT_MIN(n, render->limits.elements), i;
	json_t *array;

	if (is_char(source->btf, element) && in_source(source, item))
		return render_chars(render, source, item);
	if (depth >= NESTED_MAX)
		return left_out(render);
	array = keep(render, json_array());
	for (i = 0; array && size >= 0 && i < shown && !render->exhausted; i++) {
		struct item at = { .type = element,
				   .offset = item->offset + i * (uint64_t)size,
				   .size = (uint64_t)size };

		if (json_array_append_new(array, render_item(render, source, &at, depth)) < 0)
			render->no_memory = true;
	}
	if (array && i < n)
		add_rest(render, array, n - i);
	return array;
}

static json_t *render_item(struct render *render, const struct source *source,
			   const struct item *item, unsigned int depth)
{
	const struct btf_type *type =
		btf__type_by_id(source->btf, kt_btf_skip(source->btf, item->type));
	const struct kt_place place = { .btf = source->btf,
					.type = item->type,
					.size = item->size,
					.bit_shift = item->bit_shift,
					.bit_size = item->bit_size };

	/* Even what shows nothing costs a byte, so that types without an end come to one. */
	if (!spend(render, 1) || !type)
		return left_out(render);
	if (btf_is_composite(type))
		return render_struct(render, source, item, depth);
	if (btf_kind(type) == BTF_KIND_ARRAY)
		return render_array(render, source, item, depth);
	if (!kt_place_is_scalar(&place) || !in_source(source, item))
		return left_out(render);
	return render_scalar(render, &place, value_of(source, item, &place), depth);
}

/* ---- The outermost value ---- */

/* Of an array, only the elements that will be shown are read. */
static uint64_t bytes_needed(const struct render *render, const struct kt_place *place)
{
	const struct btf_type *type =
		btf__type_by_id(place->btf, kt_btf_skip(place->btf, place->type));
	uint32_t element;
	uint64_t size;

	if (!type || btf_kind(type) != BTF_KIND_ARRAY ||
	    kt_btf_element(place->btf, place->type, 0, &element, &size, NULL) < 0)
		return place->size;
	if (is_char(place->btf, element))
		return KT_MIN(place->size, (uint64_t)render->limits.text_len + 1);
	return KT_MIN(place->size, render->limits.elements * size);
}

static json_t *render_place(struct render *render, const struct kt_place *place,
			    struct kt_err *reterr)
{
	struct item item = { .type = place->type,
			     .size = place->size,
			     .bit_shift = place->bit_shift,
			     .bit_size = place->bit_size };
	KT_FREE uint8_t *bytes = NULL;
	struct source source = { .btf = place->btf };
	char what[256];
	uint64_t need = bytes_needed(render, place);

	if (place->computed)
		return render_scalar(render, place, place->value, 0);
	if (!place->size) {
		(void)kt_err_set(reterr, -EINVAL, "%s has no size",
				 kt_btf_describe(place->btf, place->type, what, sizeof(what)));
		return NULL;
	}
	if (copy_memory(render, place->btf, place->kva, need, &bytes, &source, reterr) < 0)
		return NULL;
	/* A text may be cut by its limit before its array ends. */
	if (item.size > source.len &&
	    btf_kind(btf__type_by_id(place->btf, kt_btf_skip(place->btf, place->type))) ==
		    BTF_KIND_ARRAY)
		item.size = source.len;
	return render_item(render, &source, &item, 0);
}

static int render_tree(struct kt_inspect *inspect, const struct kt_place *place,
		       const struct kt_render_limits *limits, bool text, json_t **ret_json,
		       struct kt_err *reterr)
{
	struct render render = { .inspect = inspect,
				 .limits = limits ? *limits : KT_RENDER_LIMITS_DEFAULT,
				 .text = text };
	struct kt_err err = KT_ERR_NULL;
	json_t *json;

	if (render.limits.cpu_ns)
		render.cpu_end_ns = kt_thread_cpu_ns() + render.limits.cpu_ns;
	json = render_place(&render, place, &err);
	if (render.no_memory || (!json && !err.text[0])) {
		json_decref(json);
		return kt_err_oom(reterr);
	}
	if (!json)
		return kt_err_set(reterr, place->size ? -EFAULT : -EINVAL, "%s", err.text);
	*ret_json = json;
	return 0;
}

int kt_render_json(struct kt_inspect *inspect, const struct kt_place *place,
		   const struct kt_render_limits *limits, json_t **ret_json, struct kt_err *reterr)
{
	return render_tree(inspect, place, limits, false, ret_json, reterr);
}

int kt_render_text(struct kt_inspect *inspect, const struct kt_place *place,
		   const struct kt_render_limits *limits, char **ret_text, struct kt_err *reterr)
{
	json_t *json;
	char *text;
	int r = render_tree(inspect, place, limits, true, &json, reterr);

	if (r < 0)
		return r;
	text = kt_render_print(json);
	json_decref(json);
	if (!text)
		return kt_err_oom(reterr);
	*ret_text = text;
	return 0;
}
