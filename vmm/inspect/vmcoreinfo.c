/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/vmcoreinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * The text begins a page, or follows the header of a note that begins a page. The search therefore
 * reads only the first bytes of each page that is not a hole, many of them with one system call.
 *
 * RAM has more such texts than one: a template of the first line in the kernel's constants, and
 * what an earlier kernel left. Whether a text is the one is decided by its user, who tries to reach
 * the symbols by it.
 */

#define PAGE_LEN   4096u
#define NOTE_LEN   24u /* header and name of a note, before the text */
#define HEAD_LEN   40u /* bytes of a page that tell whether it is of interest */
#define HEADS_MAX  256u
#define DIGITS_MAX 20u

static const char FIRST[] = "OSRELEASE=";

/* Copies the value of the line "KEY=VALUE" that begins with @key; returns false without one. */
static bool find_line(const char *text, const char *key, char *value, size_t room)
{
	size_t key_len = strlen(key);

	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		size_t len = (size_t)(end - line);

		if (len < key_len + 1 || strncmp(line, key, key_len) != 0 || line[key_len] != '=')
			continue;
		len -= key_len + 1;
		if (len >= room)
			return false;
		memcpy(value, line + key_len + 1, len);
		value[len] = 0;
		return true;
	}
	return false;
}

/* The kernel prints addresses in hexadecimal without 0x, and numbers in decimal or with 0x. */
static int find_number(const char *text, const char *key, int base, uint64_t *ret_value,
		       struct kt_err *reterr)
{
	char value[DIGITS_MAX + 1], *end;
	unsigned long long number;

	if (!find_line(text, key, value, sizeof(value)))
		return kt_err_set(reterr, -EAGAIN, "VMCOREINFO has no %s yet", key);
	errno = 0;
	number = value[0] == '-' ? (unsigned long long)strtoll(value, &end, base)
				 : strtoull(value, &end, base);
	if (errno || end == value || *end)
		return kt_err_set(reterr, -EPROTO, "VMCOREINFO has a malformed %s", key);
	*ret_value = number;
	return 0;
}

static int find_text(const char *text, const char *key, char *value, size_t room,
		     struct kt_err *reterr)
{
	if (!find_line(text, key, value, room) || !value[0])
		return kt_err_set(reterr, -EAGAIN, "VMCOREINFO has no %s yet", key);
	return 0;
}

struct number {
	const char *key;
	int base;
	bool optional;
	uint64_t *value;
};

static int find_numbers(const char *text, const struct number *numbers, size_t n,
			struct kt_err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		struct kt_err err = KT_ERR_NULL;
		int r = find_number(text, numbers[i].key, numbers[i].base, numbers[i].value, &err);

		if (r < 0 && !(r == -EAGAIN && numbers[i].optional))
			return kt_err_set(reterr, r, "%s", err.text);
	}
	return 0;
}

static int parse_text(const char *text, struct kt_vmcoreinfo *info, struct kt_err *reterr)
{
	uint64_t five_levels = 0;
	/* KERNELOFFSET is among the last lines: where it stands, the text is complete. */
	const struct number numbers[] = {
		{ "KERNELOFFSET", 16, false, &info->kernel_offset },
		{ "NUMBER(phys_base)", 0, false, &info->phys_base },
		{ "SYMBOL(init_top_pgt)", 16, false, &info->root },
		{ "NUMBER(pgtable_l5_enabled)", 0, false, &five_levels },
		{ "NUMBER(sme_mask)", 0, true, &info->sme_mask },
		{ "NUMBER(KERNEL_IMAGE_SIZE)", 0, false, &info->image_len },
		{ "SYMBOL(_stext)", 16, false, &info->stext },
		{ "SYMBOL(kallsyms_names)", 16, false, &info->names },
		{ "SYMBOL(kallsyms_num_syms)", 16, false, &info->num_syms },
		{ "SYMBOL(kallsyms_token_table)", 16, false, &info->token_table },
		{ "SYMBOL(kallsyms_token_index)", 16, false, &info->token_index },
		{ "SYMBOL(kallsyms_offsets)", 16, false, &info->offsets },
		{ "SYMBOL(kallsyms_relative_base)", 16, true, &info->relative_base },
	};
	int r = find_text(text, "OSRELEASE", info->release, sizeof(info->release), reterr) ?:
		find_text(text, "BUILD-ID", info->build_id, sizeof(info->build_id), reterr) ?:
		find_numbers(text, numbers, KT_ARRAY_LEN(numbers), reterr);

	if (r == 0 && strspn(info->build_id, "0123456789abcdef") != strlen(info->build_id))
		r = kt_err_set(reterr, -EPROTO, "VMCOREINFO has a malformed BUILD-ID");
	info->levels = five_levels ? 5 : 4;
	return r;
}

int kt_vmcoreinfo_parse(const char *text, size_t len, struct kt_vmcoreinfo *ret_info,
			struct kt_err *reterr)
{
	struct kt_vmcoreinfo info = { .levels = 0 };
	KT_FREE char *copy = NULL;
	int r;

	if (len < sizeof(FIRST) || strncmp(text, FIRST, sizeof(FIRST) - 1) != 0)
		return kt_err_set(reterr, -EAGAIN, "there is no VMCOREINFO");
	copy = strndup(text, len);
	if (!copy)
		return kt_err_oom(reterr);
	r = parse_text(copy, &info, reterr);
	if (r == 0)
		*ret_info = info;
	return r;
}

/* Where the text begins in a page, by its first bytes; negative: it is not there. */
static int text_at(const char head[HEAD_LEN])
{
	static const char NOTE[] = "VMCOREINFO";

	if (!memcmp(head, FIRST, sizeof(FIRST) - 1))
		return 0;
	if (!memcmp(head + 12, NOTE, sizeof(NOTE)) &&
	    !memcmp(head + NOTE_LEN, FIRST, sizeof(FIRST) - 1))
		return NOTE_LEN;
	return -1;
}

struct search {
	struct kt_ram *ram;
	kt_vmcoreinfo_fn fn;
	void *data;
	char (*heads)[HEAD_LEN]; /* HEADS_MAX of them */
	int final;               /* what was wrong with a text that is complete; 0: nothing */
	struct kt_err *error;    /* of the last text */
	struct kt_err final_error;
};

/* Whether the page still holds what it held: a kernel may be writing it. */
static bool unchanged(struct kt_ram *ram, uint64_t gpa, const char *page)
{
	char again[PAGE_LEN];

	return kt_ram_read(ram, gpa, again, sizeof(again), NULL) == 0 &&
	       !memcmp(again, page, sizeof(again));
}

/*
 * A text that is being written is not there yet, whatever is wrong with it. With one that is
 * complete and of no use, the search goes on: it may be an old one.
 */
static int try_page(struct search *search, uint64_t gpa)
{
	char page[PAGE_LEN];
	struct kt_vmcoreinfo info;
	int at, r = kt_ram_read(search->ram, gpa, page, sizeof(page), search->error);

	at = r < 0 ? -1 : text_at(page);
	if (at < 0)
		return r;
	r = kt_vmcoreinfo_parse(page + at, sizeof(page) - (size_t)at, &info, search->error);
	if (r == 0)
		r = search->fn(search->data, gpa, &info, search->error);
	if (r >= 0 || r == -ENOMEM)
		return r;
	if (r != -EAGAIN && unchanged(search->ram, gpa, page)) {
		search->final = r;
		search->final_error = *search->error;
	}
	return 0;
}

/* Reads the heads of @n pages and looks at those that are of interest. */
static int try_pages(struct search *search, uint64_t gpa, size_t n)
{
	struct kt_mem_piece pieces[HEADS_MAX];
	int r;

	for (size_t i = 0; i < n; i++)
		pieces[i] = (struct kt_mem_piece){ gpa + i * PAGE_LEN, search->heads[i], HEAD_LEN };
	r = kt_ram_readv(search->ram, pieces, n, search->error);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (text_at(search->heads[i]) >= 0)
			r = try_page(search, pieces[i].gpa);
	}
	return r;
}

static int try_range(struct search *search, const struct kt_ram_range *range)
{
	uint64_t at = (range->gpa + PAGE_LEN - 1) & ~(uint64_t)(PAGE_LEN - 1);
	uint64_t end = range->gpa + range->len;
	int r = 0;

	while (r == 0 && at < end && end - at >= PAGE_LEN) {
		size_t n = (size_t)KT_MIN((uint64_t)HEADS_MAX, (end - at) / PAGE_LEN);

		r = try_pages(search, at, n);
		at += n * PAGE_LEN;
	}
	return r;
}

static int try_all(struct search *search)
{
	struct kt_ram_range range = { 0, 0 };
	int r = 0;

	while (r == 0 && kt_ram_data(search->ram, range.gpa + range.len, &range) == 0 && range.len)
		r = try_range(search, &range);
	return r;
}

static int try_hints(struct search *search, const uint64_t *hints, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (hints[i] && kt_ram_has(search->ram, hints[i], PAGE_LEN))
			r = try_page(search, hints[i]);
	}
	return r;
}

static int search_all(struct search *search, const uint64_t *hints, size_t n_hints)
{
	int r = try_hints(search, hints, n_hints) ?: try_all(search);

	if (r)
		return r;
	if (search->final)
		return kt_err_set(search->error, search->final, "%s", search->final_error.text);
	if (search->error->text[0])
		return -EAGAIN;
	return kt_err_set(search->error, -EAGAIN, "the kernel has not written VMCOREINFO yet");
}

int kt_vmcoreinfo_find(struct kt_ram *ram, const uint64_t *hints, size_t n_hints,
		       kt_vmcoreinfo_fn fn, void *data, struct kt_err *reterr)
{
	KT_FREE void *heads = malloc((size_t)HEADS_MAX * HEAD_LEN);
	struct kt_err error = KT_ERR_NULL;
	struct search search = {
		.ram = ram, .fn = fn, .data = data, .heads = heads, .error = &error
	};
	int r;

	if (!heads)
		return kt_err_oom(reterr);
	r = search_all(&search, hints, n_hints);
	return r < 0 ? kt_err_set(reterr, r, "%s", error.text) : 0;
}
