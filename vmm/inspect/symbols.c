/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * A name is a length of one or two bytes and as many tokens; a token is a byte that the token index
 * turns into a place in the token table, where its characters are. The first character of all is
 * the symbol's type, as nm(1) shows it (Linux: scripts/kallsyms.c, kernel/kallsyms.c).
 *
 * Which of the schemes the addresses follow is decided by _stext, whose address VMCOREINFO has.
 * All of it is the guest's: nothing is read past the end of a buffer, whatever the lengths say.
 */

#define TOKENS       256u
#define TOKEN_MAX    1024u /* bytes; the kernel's longest name has 512 */
#define TABLE_MAX    (UINT16_MAX + TOKEN_MAX)
#define WORD         16u /* bytes */
#define NAME_ROOM    (NAME_MAX_LEN + WORD)
#define NAME_MAX_LEN 1024u
#define NAMES_MAX    (64u << 20) /* bytes, compressed */
#define LONG_NAME    0x80u

struct tokens {
	char table[TABLE_MAX + WORD]; /* WORD bytes from any place on can be read */
	size_t table_len;
	uint16_t index[TOKENS];
};

/* The tables as they are in the guest. */
struct raw {
	uint32_t n;
	struct tokens *tokens;
	uint8_t *names;
	size_t names_len;
	int32_t *offsets;
};

static void raw_deinit(struct raw *raw)
{
	free(raw->tokens);
	free(raw->names);
	free(raw->offsets);
}

static int malformed(struct kt_err *reterr, const char *what)
{
	return kt_err_set(reterr, -EPROTO, "the kernel's symbols are malformed: %s", what);
}

/* How many bytes can be read from @kva on, at most @max. */
static int readable(struct kt_space *space, uint64_t kva, size_t max, size_t *ret_len,
		    struct kt_err *reterr)
{
	uint64_t gpa, len = 0;
	int r = kt_space_translate(space, kva, &gpa, &len, reterr);

	*ret_len = (size_t)KT_MIN(len, (uint64_t)max);
	return r;
}

static int read_tokens(struct kt_space *space, const struct kt_vmcoreinfo *info, struct raw *raw,
		       struct kt_err *reterr)
{
	struct tokens *tokens = raw->tokens = calloc(1, sizeof(*tokens));
	int r;

	if (!tokens)
		return kt_err_oom(reterr);
	r = kt_space_read(space, info->token_index, tokens->index, sizeof(tokens->index), reterr)
		    ?: readable(space, info->token_table, TABLE_MAX, &tokens->table_len, reterr);
	if (r < 0)
		return r;
	return kt_space_read(space, info->token_table, tokens->table, tokens->table_len, reterr);
}

/* The names end before the token table, which every kernel has behind them. */
static int read_names(struct kt_space *space, const struct kt_vmcoreinfo *info, struct raw *raw,
		      struct kt_err *reterr)
{
	uint64_t room = info->token_table - info->names;
	int r = readable(space, info->names, (size_t)KT_MIN(room, (uint64_t)NAMES_MAX),
			 &raw->names_len, reterr);

	if (r < 0)
		return r;
	raw->names = malloc(raw->names_len ?: 1);
	if (!raw->names)
		return kt_err_oom(reterr);
	return kt_space_read(space, info->names, raw->names, raw->names_len, reterr);
}

static int read_raw(struct kt_space *space, const struct kt_vmcoreinfo *info, struct raw *raw,
		    struct kt_err *reterr)
{
	int r = kt_space_read(space, info->num_syms, &raw->n, sizeof(raw->n), reterr);

	if (r < 0)
		return r;
	if (!raw->n || raw->n > KT_SYMBOLS_MAX)
		return malformed(reterr, "their number");
	r = read_tokens(space, info, raw, reterr) ?: read_names(space, info, raw, reterr);
	if (r < 0)
		return r;
	raw->offsets = calloc(raw->n, sizeof(*raw->offsets));
	if (!raw->offsets)
		return kt_err_oom(reterr);
	return kt_space_read(space, info->offsets, raw->offsets, raw->n * sizeof(*raw->offsets),
			     reterr);
}

/* What a token stands for. */
struct token {
	const char *text;
	size_t len;
};

static void find_tokens(const struct tokens *tokens, struct token ret_tokens[TOKENS])
{
	for (size_t i = 0; i < TOKENS; i++) {
		size_t at = KT_MIN((size_t)tokens->index[i], tokens->table_len);

		ret_tokens[i].text = tokens->table + at;
		ret_tokens[i].len = strnlen(tokens->table + at, tokens->table_len - at);
	}
}

/* Takes the length of the name at *@at, and moves *@at behind it; false when it cannot be. */
static bool take_length(const struct raw *raw, size_t *at, size_t *ret_len)
{
	size_t n;

	if (*at >= raw->names_len)
		return false;
	n = raw->names[(*at)++];
	if (n & LONG_NAME) {
		if (*at >= raw->names_len)
			return false;
		n = (n & ~LONG_NAME) | (size_t)raw->names[(*at)++] << 7;
	}
	*ret_len = n;
	return n <= raw->names_len - *at;
}

/*
 * Expands @n tokens into @name and ends it with a NUL. Most are shorter than WORD, and copied as
 * one: a copy of a fixed length is much quicker. Returns the length, 0 when it is too much.
 */
static size_t expand(const struct token *tokens, const uint8_t *bytes, size_t n,
		     char name[NAME_ROOM])
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		const struct token *token = &tokens[bytes[i]];

		if (len + token->len >= NAME_MAX_LEN)
			return 0;
		if (token->len <= WORD)
			memcpy(name + len, token->text, WORD);
		else
			memcpy(name + len, token->text, token->len);
		len += token->len;
	}
	name[len] = 0;
	return len;
}

/* Makes room for one more name, whatever its length. */
static int grow(char **text, size_t len, size_t *room)
{
	char *bigger;

	if (*room - len >= NAME_ROOM)
		return 0;
	*room = *room * 2 + NAME_ROOM;
	bigger = realloc(*text, *room);
	if (!bigger)
		return -ENOMEM;
	*text = bigger;
	return 0;
}

/* The type of a symbol stays before its name. */
static int expand_names(const struct raw *raw, struct kt_symbols *symbols, struct kt_err *reterr)
{
	uint32_t *names = calloc(raw->n, sizeof(*names));
	size_t at = 0, len = 0, room = 0;
	struct token tokens[TOKENS];
	char *text = NULL;
	int r = names ? 0 : kt_err_oom(reterr);

	find_tokens(raw->tokens, tokens);
	for (size_t i = 0; r == 0 && i < raw->n; i++) {
		size_t n, name_len;

		if (len > KT_SYMBOLS_TEXT_MAX || !take_length(raw, &at, &n)) {
			r = malformed(reterr, "the length of a name");
			break;
		}
		r = grow(&text, len, &room) < 0 ? kt_err_oom(reterr) : 0;
		name_len = r < 0 ? 0 : expand(tokens, raw->names + at, n, text + len);
		if (r == 0 && name_len < 2)
			r = malformed(reterr, "a name");
		if (r < 0)
			break;
		names[i] = (uint32_t)len + 1;
		len += name_len + 1;
		at += n;
	}
	symbols->names = names;
	symbols->text = text;
	symbols->text_len = len;
	return r;
}

static struct kt_index_key key_of(const void *data, size_t i)
{
	return (struct kt_index_key){ .name = kt_symbols_name(data, i) };
}

static int build_index(struct kt_symbols *symbols, struct kt_err *reterr)
{
	uint32_t *slots;
	int r = kt_index_build(key_of, symbols, symbols->n, &slots, &symbols->index.n_slots);

	if (r == -ENOMEM)
		return kt_err_oom(reterr);
	if (r < 0)
		return malformed(reterr, "their names collide");
	symbols->index.slots = slots;
	return 0;
}

/* How an address is made of an offset. */
enum scheme {
	PLACE_RELATIVE,  /* from Linux 7.0 on: the offset counts from its own place */
	BASE_RELATIVE,   /* the offset counts from kallsyms_relative_base */
	ABSOLUTE_PERCPU, /* before 6.15: as is if positive, else counted from the base downwards */
	SCHEMES,
};

static uint64_t address_by(enum scheme scheme, const struct kt_vmcoreinfo *info, uint64_t base,
			   const int32_t *offsets, size_t i)
{
	switch (scheme) {
	case PLACE_RELATIVE:
		return info->offsets + i * sizeof(*offsets) + (uint64_t)(int64_t)offsets[i];
	case BASE_RELATIVE:
		return base + (uint32_t)offsets[i];
	default:
		return offsets[i] >= 0 ? (uint64_t)offsets[i]
				       : base - 1 - (uint64_t)(int64_t)offsets[i];
	}
}

/* The scheme by which _stext is where VMCOREINFO says that it is. */
static int find_scheme(const struct raw *raw, const struct kt_vmcoreinfo *info, uint64_t base,
		       const struct kt_symbols *symbols, enum scheme *ret_scheme,
		       struct kt_err *reterr)
{
	size_t i;

	if (!kt_index_find(&symbols->index, key_of, symbols, symbols->n, "_stext", 0, &i))
		return malformed(reterr, "they have no _stext");
	for (unsigned int scheme = 0; scheme < SCHEMES; scheme++) {
		if (scheme != PLACE_RELATIVE && !info->relative_base)
			break;
		*ret_scheme = scheme;
		if (address_by(scheme, info, base, raw->offsets, i) == info->stext)
			return 0;
	}
	return malformed(reterr, "_stext is not where VMCOREINFO says");
}

static int decode_addresses(struct kt_space *space, const struct kt_vmcoreinfo *info,
			    const struct raw *raw, struct kt_symbols *symbols,
			    struct kt_err *reterr)
{
	uint64_t *addresses, base = 0;
	enum scheme scheme = PLACE_RELATIVE;
	int r = 0;

	if (info->relative_base)
		r = kt_space_read(space, info->relative_base, &base, sizeof(base), reterr);
	if (r < 0)
		return r;
	r = find_scheme(raw, info, base, symbols, &scheme, reterr);
	if (r < 0)
		return r;
	symbols->addresses = addresses = calloc(raw->n, sizeof(*addresses));
	if (!addresses)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < raw->n; i++) {
		uint64_t kva = address_by(scheme, info, base, raw->offsets, i);

		addresses[i] = kva >= KT_START_KERNEL_MAP ? kva - info->kernel_offset : kva;
	}
	return 0;
}

int kt_symbols_decode(struct kt_space *space, const struct kt_vmcoreinfo *info,
		      struct kt_symbols *ret_symbols, struct kt_err *reterr)
{
	struct kt_symbols symbols = { .kaslr = info->kernel_offset };
	KT_CLEANUP(raw_deinit) struct raw raw = { .n = 0 };
	int r = read_raw(space, info, &raw, reterr);

	if (r < 0)
		return r;
	symbols.n = raw.n;
	r = expand_names(&raw, &symbols, reterr) ?:
		build_index(&symbols, reterr) ?:
		decode_addresses(space, info, &raw, &symbols, reterr);
	if (r < 0) {
		kt_symbols_deinit(&symbols);
		return r;
	}
	*ret_symbols = symbols;
	return 0;
}

void kt_symbols_deinit(struct kt_symbols *symbols)
{
	free((void *)symbols->addresses);
	free((void *)symbols->names);
	free((void *)symbols->text);
	free((void *)symbols->index.slots);
	*symbols = (struct kt_symbols){ .n = 0 };
}

const char *kt_symbols_name(const struct kt_symbols *symbols, size_t i)
{
	if (i >= symbols->n || symbols->names[i] >= symbols->text_len)
		return NULL;
	return symbols->text + symbols->names[i];
}

uint64_t kt_symbols_address(const struct kt_symbols *symbols, size_t i)
{
	uint64_t linked = symbols->addresses[i];

	return linked >= KT_START_KERNEL_MAP ? linked + symbols->kaslr : linked;
}

bool kt_symbols_find(const struct kt_symbols *symbols, const char *name, uint64_t *ret_kva)
{
	size_t i;

	if (!kt_index_find(&symbols->index, key_of, symbols, symbols->n, name, 0, &i))
		return false;
	*ret_kva = kt_symbols_address(symbols, i);
	return true;
}

bool kt_symbols_at(const struct kt_symbols *symbols, uint64_t kva, size_t *ret_i)
{
	size_t low = 0, high = symbols->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kt_symbols_address(symbols, middle) <= kva)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	low--;
	while (low && symbols->addresses[low - 1] == symbols->addresses[low])
		low--;
	*ret_i = low;
	return true;
}
