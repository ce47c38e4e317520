/* SPDX-License-Identifier: MIT */
#pragma once
/* Names for code addresses of this program. */

#include <stddef.h>
#include <stdint.h>

/*
 * Writes "function+0x12" for an address relative to the load address of this program's ELF
 * file, or the bare address when its symbol table does not cover it.
 */
void kt_symbol_describe(uint64_t address, char *text, size_t room);
