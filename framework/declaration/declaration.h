/* SPDX-License-Identifier: MIT */
#pragma once
/* How a fault of a declaration is written: "file:line: kind name: what is wrong". */

#include <stdio.h>

/* What a fault is about. All members are borrowed. */
struct kt_declaration {
	const char *kind; /* "payload" or "scheduler" */
	const char *name;
	const char *file; /* of the source, where it is declared */
	unsigned int line;
};

/* Writes one line to @out. Returns 1, so that callers can add up faults. */
unsigned int kt_declaration_fault(const struct kt_declaration *declaration, FILE *out,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));
