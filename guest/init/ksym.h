/* SPDX-License-Identifier: MIT */
#pragma once
/* Addresses of kernel symbols, by name. */

#include <stdint.h>

struct kt_ksym {
	const char *name;
	uint64_t address; /* 0: unknown */
};

/*
 * Fills in the address of each of the @n symbols by a BPF program, which is about a hundred times
 * faster than reading /proc/kallsyms. All are unknown on a kernel without BPF or before 5.16; so is
 * a symbol with a name of more than 31 characters.
 */
void kt_ksyms_find(struct kt_ksym *symbols, unsigned int n);
