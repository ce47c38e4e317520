/* SPDX-License-Identifier: MIT */
#pragma once
/* Addresses of kernel symbols, by name. */

#include <stdint.h>

struct kt_ksym {
	const char *name;
	uint64_t address; /* 0: unknown */
};

/*
 * Looks up all of @symbols by a BPF program, some hundred times faster than by reading
 * /proc/kallsyms. None is known on a kernel without BPF, or before 5.16; nor one whose name has
 * more than 31 characters.
 */
void kt_ksyms_find(struct kt_ksym *symbols, unsigned int n);
