/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The symbols of the kernel's image, from the compressed table that the kernel has for itself
 * (kallsyms). Its names are tokens; its addresses are either offsets to a base (up to Linux 6.19),
 * or offsets to their own place (from 7.0 on).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/index.h"
#include "vmm/inspect/space.h"
#include "vmm/inspect/vmcoreinfo.h"

#define KT_SYMBOLS_MAX      (4u << 20)
#define KT_SYMBOLS_TEXT_MAX (128u << 20) /* bytes of all names */

/* The arrays belong to whoever filled this in; kt_symbols_deinit() frees those of a decoder. */
struct kt_symbols {
	size_t n;
	const uint64_t *addresses; /* sorted; as linked, without KASLR */
	const uint32_t *names;     /* where the name begins in @text */
	const char *text;          /* ends with a NUL */
	size_t text_len;
	struct kt_index index;
	uint64_t kaslr; /* what an address of the image is moved by */
};

/* Decodes the table. -EPROTO when it is not what it should be. */
int kt_symbols_decode(struct kt_space *space, const struct kt_vmcoreinfo *info,
		      struct kt_symbols *ret_symbols, struct kt_err *reterr);

void kt_symbols_deinit(struct kt_symbols *symbols);

/* The name of a symbol; NULL when the table is damaged. */
const char *kt_symbols_name(const struct kt_symbols *symbols, size_t i);

/* The address of a symbol in the guest. */
uint64_t kt_symbols_address(const struct kt_symbols *symbols, size_t i);

bool kt_symbols_find(const struct kt_symbols *symbols, const char *name, uint64_t *ret_kva);

/* The last symbol at or before @kva; of several with one address, the first. */
bool kt_symbols_at(const struct kt_symbols *symbols, uint64_t kva, size_t *ret_i);
