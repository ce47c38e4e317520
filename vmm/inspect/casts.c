/* SPDX-License-Identifier: MIT */
#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/state.h"
#include "vmm/inspect/types.h"

/*
 * Types that casts name, as C writes them: words, pointers, arrays. The BTF of the kernel is never
 * changed. What a cast needs and it lacks, such as a pointer to a type that nothing points to, is
 * added to an extension of it (a "split BTF"), in which the ids of the kernel's types are valid
 * too.
 */

#define NESTED_MAX 16u   /* dimensions of an array */
#define EXTRA_MAX  4096u /* types that casts add */
#define NAME_ROOM  256u

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
