/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How faults of a declaration (KT_PAYLOAD(), KT_SCHEDULER()) are reported: "file:line: kind name:
 * fault", as compilers do, so that editors find the place. Tests are reported by validate.h.
 */

#include <stdio.h>

/* What a fault is about. All is borrowed. */
struct kt_declaration {
	const char *kind; /* "payload" or "scheduler" */
	const char *name;
	const char *file; /* of the source, where it is declared */
	unsigned int line;
};

/* Writes one fault as a line to @out. Returns 1, so that callers can add up the faults. */
unsigned int kt_declaration_fault(const struct kt_declaration *declaration, FILE *out,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));
