/* SPDX-License-Identifier: MIT */
#pragma once
/* What is wrong with a declaration, for people: "file:line: kind name: what". */

#include <stdio.h>

struct kt_declaration {
	const char *kind; /* "payload" */
	const char *name;
	const char *file;
	unsigned int line;
};

/* Writes a line to @out; returns 1, to be added up. */
unsigned int kt_declaration_fault(const struct kt_declaration *declaration, FILE *out,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));
