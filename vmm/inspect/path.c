/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/path.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/state.h"

/*
 * A parser by recursive descent that evaluates what it parses. A value is a place in memory or a
 * number; memory is read only when a pointer is followed. An error is prefixed with the path up to
 * the component that failed.
 */

#define NESTED_MAX   16u /* parentheses and casts in each other */
#define NAME_MAX_LEN 128u
#define WORD_LEN     8u /* bytes of a pointer */

/*
 * Types of variables that BTF does not know. Names that a kernel does not have do no harm: the
 * table is only asked for symbols that exist.
 */
static const struct {
	const char *symbol;
	const char *type;
} GLOBALS[] = {
	{ "__cpu_active_mask", "struct cpumask" },
	{ "__cpu_online_mask", "struct cpumask" },
	{ "__cpu_possible_mask", "struct cpumask" },
	{ "__cpu_present_mask", "struct cpumask" },
	{ "__per_cpu_offset", "unsigned long[0]" },
	{ "__scx_enabled", "struct static_key_false" },
	{ "__scx_switched_all", "struct static_key_false" },
	{ "cgrp_dfl_root", "struct cgroup_root" },
	{ "def_root_domain", "struct root_domain" },
	{ "ext_sched_class", "struct sched_class" },
	{ "fair_sched_class", "struct sched_class" },
	{ "idle_sched_class", "struct sched_class" },
	{ "init_css_set", "struct css_set" },
	{ "init_mm", "struct mm_struct" },
	{ "init_pid_ns", "struct pid_namespace" },
	{ "init_task", "struct task_struct" },
	{ "init_uts_ns", "struct uts_namespace" },
	{ "jiffies", "unsigned long" },
	{ "jiffies_64", "u64" },
	{ "link_idr", "struct idr" },
	{ "linux_banner", "char[256]" },
	{ "loops_per_jiffy", "unsigned long" },
	{ "map_idr", "struct idr" },
	{ "modules", "struct list_head" },
	{ "nr_cpu_ids", "unsigned int" },
	{ "nr_threads", "int" },
	{ "nr_node_ids", "unsigned int" },
	{ "page_offset_base", "unsigned long" },
	{ "phys_base", "unsigned long" },
	{ "prog_idr", "struct idr" },
	{ "root_task_group", "struct task_group" },
	{ "rt_sched_class", "struct sched_class" },
	{ "saved_command_line", "char *" },
	{ "sched_domains_mutex", "struct mutex" },
	{ "scx_aborting", "bool" },
	{ "scx_breather_depth", "atomic_t" },
	{ "scx_bypass_depth", "int" },
	{ "scx_enable_seq", "atomic_long_t" },
	{ "scx_enable_state_var", "atomic_t" },
	{ "scx_hotplug_seq", "atomic_long_t" },
	{ "scx_in_softlockup", "atomic_t" },
	{ "scx_init_task_enabled", "bool" },
	{ "scx_nr_rejected", "atomic_long_t" },
	{ "scx_root", "struct scx_sched *" },
	{ "scx_sched_all", "struct list_head" },
	{ "scx_switching_all", "bool" },
	{ "scx_tasks", "struct list_head" },
	{ "scx_watchdog_interval", "unsigned long" },
	{ "scx_watchdog_timeout", "unsigned long" },
	{ "scx_watchdog_timestamp", "unsigned long" },
	{ "stop_sched_class", "struct sched_class" },
	{ "sysctl_sched_base_slice", "unsigned int" },
	{ "system_state", "enum system_states" },
	{ "task_group_cache", "struct kmem_cache *" },
	{ "task_groups", "struct list_head" },
	{ "vmalloc_base", "unsigned long" },
	{ "vmemmap_base", "unsigned long" },
};

struct value {
	struct kt_place place;
	bool untyped; /* a symbol of which nobody knows what it is */
	bool per_cpu; /* a per-CPU variable; which CPU's is not said yet */
};

struct parser {
	struct kt_inspect *inspect;
	const char *text; /* the whole path */
	const char *at;
	unsigned int depth;
	struct kt_err *reterr;
};

static int parse_unary(struct parser *parser, struct value *value);

static void skip_space(struct parser *parser)
{
	while (isspace((unsigned char)*parser->at))
		parser->at++;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

/* Takes @text if it is next. */
static bool take(struct parser *parser, const char *text)
{
	skip_space(parser);
	if (strncmp(parser->at, text, strlen(text)) != 0)
		return false;
	parser->at += strlen(text);
	return true;
}

static int expected(struct parser *parser, const char *what)
{
	return kt_err_set(parser->reterr, -EINVAL, "expected %s instead of '%.20s'", what,
			  *parser->at ? parser->at : "the end");
}

/* Takes a name; @what is expected, for the error. */
static int take_name(struct parser *parser, char name[NAME_MAX_LEN], const char *what)
{
	size_t n = 0;

	skip_space(parser);
	while (is_name(parser->at[n]))
		n++;
	if (!n)
		return expected(parser, what);
	if (n >= NAME_MAX_LEN)
		return kt_err_set(parser->reterr, -EINVAL, "the name '%.20s...' is too long",
				  parser->at);
	memcpy(name, parser->at, n);
	name[n] = 0;
	parser->at += n;
	return 0;
}

static int take_number(struct parser *parser, uint64_t *ret_value)
{
	char *end;

	skip_space(parser);
	errno = 0;
	*ret_value = isdigit((unsigned char)*parser->at) ? strtoull(parser->at, &end, 0) : 0;
	if (!isdigit((unsigned char)*parser->at) || errno || is_name(*end))
		return expected(parser, "a number");
	parser->at = end;
	return 0;
}

static const char *describe(const struct value *value, char *text, size_t room)
{
	return kt_btf_describe(value->place.btf, value->place.type, text, room);
}

static const struct btf_type *type_of(const struct kt_place *place)
{
	return btf__type_by_id(place->btf, kt_btf_skip(place->btf, place->type));
}

static bool is_kind(const struct value *value, unsigned int kind)
{
	const struct btf_type *type = type_of(&value->place);

	return type && btf_kind(type) == kind;
}

/* Sets the type, and the size that follows from it; 0 for a type without one. */
static void set_type(struct value *value, const struct btf *btf, uint32_t type)
{
	int64_t size = kt_btf_size(btf, type);

	value->place.btf = btf;
	value->place.type = type;
	value->place.size = size < 0 ? 0 : (uint64_t)size;
}

static void set_place(struct value *value, const struct btf *btf, uint64_t kva, uint32_t type)
{
	*value = (struct value){ .place.kva = kva };
	set_type(value, btf, type);
}

static int set_computed(struct parser *parser, struct value *value, uint64_t number,
			const char *type)
{
	uint32_t id;
	int r = kt_inspect_type(parser->inspect, type, &id, parser->reterr);

	if (r < 0)
		return r;
	set_place(value, parser->inspect->btf, 0, id);
	value->place.computed = true;
	value->place.value = number;
	return 0;
}

/* A value whose memory or number is about to be used must be complete. */
static int complete(struct parser *parser, const struct value *value)
{
	if (value->per_cpu)
		return kt_err_set(parser->reterr, -EINVAL,
				  "this is a variable of each CPU: say which by '[cpu 0]'");
	if (value->untyped)
		return kt_err_set(parser->reterr, -EINVAL,
				  "this symbol has no known type: say what it is by a cast, "
				  "as in '(unsigned long)SYMBOL'");
	return 0;
}

/* The number of a pointer. */
static int load_pointer(struct parser *parser, const struct value *value, uint64_t *ret_kva)
{
	if (value->place.computed) {
		*ret_kva = value->place.value;
		return 0;
	}
	return kt_inspect_read_uint(parser->inspect, value->place.kva, WORD_LEN, ret_kva,
				    parser->reterr);
}

/* Goes to element @index of what a pointer points to, moved by @offset (of per-CPU memory). */
static int deref(struct parser *parser, struct value *value, uint64_t index, uint64_t offset)
{
	const struct btf_type *type = type_of(&value->place);
	const struct btf *btf = value->place.btf;
	uint64_t kva, size;
	char what[256];
	int r = complete(parser, value);

	if (r < 0)
		return r;
	if (!is_kind(value, BTF_KIND_PTR))
		return kt_err_set(parser->reterr, -EINVAL, "%s is not a pointer",
				  describe(value, what, sizeof(what)));
	r = load_pointer(parser, value, &kva);
	if (r < 0)
		return r;
	if (!kva)
		return kt_err_set(parser->reterr, -ENODATA, "this %s is a null pointer",
				  describe(value, what, sizeof(what)));
	if (!kt_inspect_is_kernel(parser->inspect, kva + offset))
		return kt_err_set(parser->reterr, -EFAULT,
				  "this %s is 0x%" PRIx64 ", which is not an address of the kernel",
				  describe(value, what, sizeof(what)), kva);
	set_place(value, btf, kva + offset, type->type);
	if (__builtin_mul_overflow(index, value->place.size, &size))
		return kt_err_set(parser->reterr, -EINVAL, "element %" PRIu64 " is too far", index);
	value->place.kva += size;
	return 0;
}

/* ---- Primaries ---- */

/* What a symbol is by BTF, or else by the table. */
static bool find_type(struct parser *parser, const char *symbol, uint32_t *ret_type)
{
	struct kt_inspect *inspect = parser->inspect;
	struct kt_type_entry entry;

	if (kt_types_find(&inspect->types, KT_TYPE_VAR, symbol, &entry)) {
		*ret_type = btf__type_by_id(inspect->btf, entry.type)->type;
		return true;
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(GLOBALS); i++) {
		if (!strcmp(GLOBALS[i].symbol, symbol))
			return kt_inspect_type(inspect, GLOBALS[i].type, ret_type, NULL) == 0;
	}
	return false;
}

static int parse_symbol(struct parser *parser, struct value *value)
{
	struct kt_inspect *inspect = parser->inspect;
	char name[NAME_MAX_LEN];
	uint32_t type = 0;
	int64_t number;
	uint64_t kva;
	int r = take_name(parser, name, "a symbol");

	if (r < 0)
		return r;
	if (!kt_inspect_has_symbol(inspect, name, &kva)) {
		if (kt_inspect_has_enumerator(inspect, name, &number))
			return set_computed(parser, value, (uint64_t)number, "long");
		return kt_inspect_symbol(inspect, name, &kva, parser->reterr);
	}
	r = find_type(parser, name, &type) ? 0 : 1;
	set_place(value, inspect->btf, kva, type);
	value->untyped = r;
	value->per_cpu = kt_inspect_is_per_cpu(inspect, kva);
	return 0;
}

static int parse_task(struct parser *parser, struct value *value)
{
	uint64_t pid, kva;
	uint32_t type;
	int r = take_number(parser, &pid);

	if (r == 0 && !take(parser, ")"))
		r = expected(parser, "')'");
	if (r == 0 && pid > INT32_MAX)
		r = kt_err_set(parser->reterr, -ESRCH, "no task has the pid %" PRIu64, pid);
	if (r == 0)
		r = kt_inspect_task(parser->inspect, (uint32_t)pid, &kva, parser->reterr)
			    ?: kt_inspect_type(parser->inspect, "struct task_struct", &type,
					       parser->reterr);
	if (r == 0)
		set_place(value, parser->inspect->btf, kva, type);
	return r;
}

/* Takes a text up to @end, which is taken too. */
static int take_until(struct parser *parser, char end, char text[NAME_MAX_LEN])
{
	const char *found = strchr(parser->at, end);
	size_t len;

	skip_space(parser);
	if (!found || (len = (size_t)(found - parser->at)) >= NAME_MAX_LEN)
		return kt_err_set(parser->reterr, -EINVAL, "there is no '%c' behind '%.20s'", end,
				  parser->at);
	memcpy(text, parser->at, len);
	text[len] = 0;
	parser->at = found + 1;
	return 0;
}

static int parse_container(struct parser *parser, struct value *value)
{
	char type[NAME_MAX_LEN], path[NAME_MAX_LEN];
	struct kt_member member;
	uint64_t kva;
	uint32_t id;
	int r = parse_unary(parser, value) ?: complete(parser, value);

	if (r == 0 && !take(parser, ","))
		r = expected(parser, "','");
	if (r == 0)
		r = take_until(parser, ',', type) ?: take_until(parser, ')', path);
	if (r == 0)
		r = kt_inspect_type(parser->inspect, type, &id, parser->reterr)
			    ?: kt_btf_member(parser->inspect->btf, id, path + strspn(path, " "),
					     &member, parser->reterr);
	if (r < 0)
		return r;
	/* A struct may be given itself, or a pointer to it. */
	kva = value->place.kva;
	if (is_kind(value, BTF_KIND_PTR)) {
		r = load_pointer(parser, value, &kva);
		if (r == 0 && !kva)
			r = kt_err_set(parser->reterr, -ENODATA, "this is a null pointer");
	}
	if (r == 0)
		set_place(value, parser->inspect->btf, kva - member.offset, id);
	return r;
}

static int parse_primary(struct parser *parser, struct value *value)
{
	uint64_t number;
	int r;

	if (take(parser, "task("))
		return parse_task(parser, value);
	if (take(parser, "container_of("))
		return parse_container(parser, value);
	if (take(parser, "(")) {
		r = parse_unary(parser, value);
		if (r == 0 && !take(parser, ")"))
			r = expected(parser, "')'");
		return r;
	}
	if (!isdigit((unsigned char)*parser->at))
		return parse_symbol(parser, value);
	r = take_number(parser, &number);
	return r < 0 ? r : set_computed(parser, value, number, "unsigned long");
}

/* ---- Steps ---- */

static int step_member(struct parser *parser, struct value *value, bool arrow)
{
	struct kt_place *place = &value->place;
	char name[NAME_MAX_LEN], what[256];
	struct kt_member member;
	int r = complete(parser, value) ?: take_name(parser, name, "a member");

	if (r < 0)
		return r;
	if (!arrow && is_kind(value, BTF_KIND_PTR))
		return kt_err_set(parser->reterr, -EINVAL, "%s is a pointer: use '->%s'",
				  describe(value, what, sizeof(what)), name);
	if (arrow && !is_kind(value, BTF_KIND_PTR))
		return kt_err_set(parser->reterr, -EINVAL, "%s is not a pointer: use '.%s'",
				  describe(value, what, sizeof(what)), name);
	r = arrow ? deref(parser, value, 0, 0) : 0;
	if (r == 0)
		r = kt_btf_find_member(place->btf, place->type, name, strlen(name), &member,
				       parser->reterr);
	if (r < 0)
		return r;
	if (place->computed)
		return kt_err_set(parser->reterr, -EINVAL, "a number has no members");
	place->kva += member.offset;
	place->type = member.type;
	place->size = member.size;
	place->bit_shift = member.bit_shift;
	place->bit_size = member.bit_size;
	return 0;
}

/* "[cpu N]": of a per-CPU variable, or of the memory behind a __percpu pointer. */
static int step_cpu(struct parser *parser, struct value *value)
{
	uint64_t cpu, offset;
	int r = take_number(parser, &cpu);

	if (r == 0 && !take(parser, "]"))
		r = expected(parser, "']'");
	if (r == 0)
		r = kt_inspect_per_cpu(parser->inspect, 0, (unsigned int)KT_MIN(cpu, UINT32_MAX),
				       &offset, parser->reterr);
	if (r < 0)
		return r;
	if (value->per_cpu) {
		value->place.kva += offset;
		value->per_cpu = false;
		return 0;
	}
	if (!value->untyped && is_kind(value, BTF_KIND_PTR))
		return deref(parser, value, 0, offset);
	return kt_err_set(parser->reterr, -EINVAL,
			  "this is neither a per-CPU variable nor a pointer to per-CPU memory");
}

/* An index is a number, or an enumerator. */
static int take_index(struct parser *parser, uint64_t *ret_index)
{
	char name[NAME_MAX_LEN];
	int64_t number;
	int r;

	skip_space(parser);
	if (isdigit((unsigned char)*parser->at))
		return take_number(parser, ret_index);
	r = take_name(parser, name, "an index");
	if (r == 0)
		r = kt_inspect_enumerator(parser->inspect, name, &number, parser->reterr);
	if (r == 0)
		*ret_index = (uint64_t)number;
	return r;
}

static int step_index(struct parser *parser, struct value *value)
{
	uint64_t index, size, offset;
	uint32_t type;
	int r = take_index(parser, &index);

	if (r == 0 && !take(parser, "]"))
		r = expected(parser, "']'");
	if (r == 0)
		r = complete(parser, value);
	if (r < 0)
		return r;
	if (is_kind(value, BTF_KIND_PTR))
		return deref(parser, value, index, 0);
	r = kt_btf_element(value->place.btf, value->place.type, index, &type, &size,
			   parser->reterr);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(index, size, &offset))
		return kt_err_set(parser->reterr, -EINVAL, "element %" PRIu64 " is too far", index);
	set_place(value, value->place.btf, value->place.kva + offset, type);
	return 0;
}

static int parse_steps(struct parser *parser, struct value *value)
{
	int r = 0;

	while (r == 0) {
		if (take(parser, "->"))
			r = step_member(parser, value, true);
		else if (take(parser, "."))
			r = step_member(parser, value, false);
		else if (take(parser, "[cpu "))
			r = step_cpu(parser, value);
		else if (take(parser, "["))
			r = step_index(parser, value);
		else
			break;
	}
	return r;
}

/* ---- Casts ---- */

static bool is_type_word(struct parser *parser, const char *word, size_t len)
{
	static const char *const WORDS[] = { "struct",   "union",    "enum",   "const",
					     "volatile", "unsigned", "signed", "char",
					     "short",    "int",      "long",   "void" };
	char name[NAME_MAX_LEN];
	struct kt_type_entry entry;

	for (size_t i = 0; i < KT_ARRAY_LEN(WORDS); i++) {
		if (strlen(WORDS[i]) == len && !strncmp(word, WORDS[i], len))
			return true;
	}
	if (len >= sizeof(name))
		return false;
	memcpy(name, word, len);
	name[len] = 0;
	return kt_types_find(&parser->inspect->types, KT_TYPE_TYPEDEF, name, &entry) ||
	       kt_types_find(&parser->inspect->types, KT_TYPE_BASE, name, &entry);
}

/*
 * Whether a cast is next: the first word in the parentheses is a type, and behind them begins what
 * is cast. "(jiffies)" is a symbol in parentheses even if there should be such a type.
 */
static bool is_cast(struct parser *parser)
{
	const char *at = parser->at, *word, *behind;
	size_t len = 0;

	if (*at != '(')
		return false;
	at += 1 + strspn(at + 1, " \t");
	word = at;
	while (is_name(word[len]))
		len++;
	behind = strchr(word, ')');
	if (!len || !behind || isdigit((unsigned char)*word))
		return false;
	for (at = word; at < behind; at++) {
		if (!is_name(*at) && !strchr(" \t*[]", *at))
			return false;
	}
	behind += 1 + strspn(behind + 1, " \t");
	return (is_name(*behind) || *behind == '(' || *behind == '*' || *behind == '&') &&
	       is_type_word(parser, word, len);
}

static bool is_number(const struct btf *btf, uint32_t type)
{
	const struct btf_type *t = btf__type_by_id(btf, kt_btf_skip(btf, type));

	return t &&
	       (btf_kind(t) == BTF_KIND_INT || btf_kind(t) == BTF_KIND_PTR || btf_is_any_enum(t));
}

/* Converts a value; where it has a place and the sizes are the same, it keeps its place. */
static int cast_value(struct parser *parser, struct value *value, uint32_t type)
{
	const struct btf *btf = parser->inspect->btf;
	char from[256], to[256];
	uint64_t number;
	int r = complete(parser, value);

	if (r < 0)
		return r;
	if (!is_number(btf, type) || !kt_place_is_scalar(&value->place))
		return kt_err_set(parser->reterr, -EINVAL, "%s cannot be cast to %s",
				  describe(value, from, sizeof(from)),
				  kt_btf_describe(btf, type, to, sizeof(to)));
	if (!value->place.computed && !value->place.bit_size &&
	    kt_btf_size(btf, type) == (int64_t)value->place.size) {
		set_type(value, btf, type);
		return 0;
	}
	r = kt_inspect_load(parser->inspect, &value->place, &number, parser->reterr);
	if (r < 0)
		return r;
	set_place(value, btf, 0, type);
	value->place.computed = true;
	value->place.value = number;
	return 0;
}

static int parse_cast(struct parser *parser, struct value *value)
{
	char text[NAME_MAX_LEN];
	uint32_t type;
	int r;

	parser->at++;
	r = take_until(parser, ')', text)
		    ?: kt_inspect_type(parser->inspect, text, &type, parser->reterr);
	if (r < 0)
		return r;
	r = parse_unary(parser, value);
	if (r < 0)
		return r;
	if (!value->untyped)
		return cast_value(parser, value, type);
	/* The cast says what the symbol is. */
	set_type(value, parser->inspect->btf, type);
	value->untyped = false;
	return 0;
}

/* Any symbol has an address, also one whose type or CPU is not said. */
static int address_of(struct parser *parser, struct value *value)
{
	struct kt_inspect *inspect = parser->inspect;
	/* The kernel's types can be extended; those of other BTFs are left alone. */
	bool typed = !value->untyped && value->place.btf == inspect->btf;
	uint64_t kva = value->place.kva;
	uint32_t type;
	int r;

	if (value->place.computed || value->place.bit_size)
		return kt_err_set(parser->reterr, -EINVAL, "this has no address");
	r = typed ? kt_inspect_pointer_to(inspect, value->place.type, &type, parser->reterr)
		  : kt_inspect_type(inspect, "void *", &type, parser->reterr);
	if (r < 0)
		return r;
	set_place(value, inspect->btf, 0, type);
	value->place.computed = true;
	value->place.value = kva;
	return 0;
}

static int parse_operators(struct parser *parser, struct value *value)
{
	int r;

	skip_space(parser);
	if (is_cast(parser))
		return parse_cast(parser, value);
	if (take(parser, "*")) {
		r = parse_unary(parser, value);
		return r < 0 ? r : deref(parser, value, 0, 0);
	}
	if (take(parser, "&")) {
		r = parse_unary(parser, value);
		return r < 0 ? r : address_of(parser, value);
	}
	return parse_primary(parser, value) ?: parse_steps(parser, value);
}

static int parse_unary(struct parser *parser, struct value *value)
{
	int r;

	if (parser->depth == NESTED_MAX)
		return kt_err_set(parser->reterr, -EINVAL, "too much is nested");
	parser->depth++;
	r = parse_operators(parser, value);
	parser->depth--;
	return r;
}

/* What is left when a path ends. */
static int finish(struct parser *parser, const struct value *value, struct kt_place *ret_place)
{
	int r = complete(parser, value);

	skip_space(parser);
	if (r == 0 && *parser->at)
		r = kt_err_set(parser->reterr, -EINVAL, "'%.20s' does not belong there",
			       parser->at);
	if (r == 0)
		*ret_place = value->place;
	return r;
}

/* Puts the path, up to what failed, before the error. */
static int fail(const struct parser *parser, int code)
{
	struct kt_err *reterr = parser->reterr;
	int len = (int)(parser->at - parser->text);

	return kt_err_prefix(reterr, code, "'%.*s'", len, parser->text);
}

static int check_length(const char *path, struct kt_err *reterr)
{
	if (!*path)
		return kt_err_set(reterr, -EINVAL, "the path is empty");
	if (strnlen(path, KT_PATH_MAX) == KT_PATH_MAX)
		return kt_err_set(reterr, -EINVAL, "the path '%.40s...' is longer than %u bytes",
				  path, KT_PATH_MAX - 1);
	return 0;
}

int kt_inspect_resolve(struct kt_inspect *inspect, const char *path, struct kt_place *ret_place,
		       struct kt_err *reterr)
{
	struct parser parser = { .inspect = inspect, .text = path, .at = path, .reterr = reterr };
	struct value value;
	int r = kt_inspect_load_types(inspect, reterr) ?: check_length(path, reterr);

	if (r < 0)
		return r;
	r = parse_unary(&parser, &value) ?: finish(&parser, &value, ret_place);
	return r < 0 ? fail(&parser, r) : 0;
}

int kt_inspect_follow(struct kt_inspect *inspect, const struct kt_place *from, const char *steps,
		      struct kt_place *ret_place, struct kt_err *reterr)
{
	struct parser parser = { .inspect = inspect, .text = steps, .at = steps, .reterr = reterr };
	struct value value = { .place = *from };
	int r = kt_inspect_load_types(inspect, reterr) ?: check_length(steps, reterr);

	if (r < 0)
		return r;
	skip_space(&parser);
	r = is_name(*parser.at) ? step_member(&parser, &value, false) : 0;
	if (r == 0)
		r = parse_steps(&parser, &value) ?: finish(&parser, &value, ret_place);
	return r < 0 ? fail(&parser, r) : 0;
}

int kt_inspect_place(struct kt_inspect *inspect, uint64_t kva, const char *type,
		     struct kt_place *ret_place, struct kt_err *reterr)
{
	struct value value;
	uint32_t id;
	int r = kt_inspect_type(inspect, type, &id, reterr);

	if (r < 0)
		return r;
	set_place(&value, inspect->btf, kva, id);
	*ret_place = value.place;
	return 0;
}

int kt_inspect_value(struct kt_inspect *inspect, const char *path, uint64_t *ret_value,
		     struct kt_err *reterr)
{
	struct kt_place place;
	int r = kt_inspect_resolve(inspect, path, &place, reterr);

	if (r < 0)
		return r;
	r = kt_inspect_load(inspect, &place, ret_value, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "'%s'", path) : 0;
}
