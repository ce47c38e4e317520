/* SPDX-License-Identifier: MIT */
#pragma once
/* Names of functions for code addresses of this program, which is also PID 1 in the guest. */

#include <stddef.h>
#include <stdint.h>

/*
 * Writes "function+0x12" for @address, which is relative to the load address of this program's ELF
 * file. Writes the bare address when no function in the symbol table covers it. @room is at least
 * 1; longer names are cut.
 */
void kt_symbol_describe(uint64_t address, char *text, size_t room);
