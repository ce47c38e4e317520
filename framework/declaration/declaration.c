/* SPDX-License-Identifier: MIT */
#include "framework/declaration/declaration.h"

#include <stdarg.h>

unsigned int kt_declaration_fault(const struct kt_declaration *declaration, FILE *out,
				  const char *format, ...)
{
	va_list ap;

	(void)fprintf(out, "%s:%u: %s %s: ", declaration->file, declaration->line,
		      declaration->kind, declaration->name);
	va_start(ap, format);
	(void)vfprintf(out, format, ap);
	va_end(ap);
	(void)fputc('\n', out);
	return 1;
}
