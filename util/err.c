/* SPDX-License-Identifier: MIT */
#include "util/err.h"

#include <stdio.h>
#include <string.h>

int kt_err_vset(struct kt_err *reterr, int code, const char *format, va_list ap)
{
	if (!reterr)
		return code;
	errno = -code; /* for %m */
	(void)vsnprintf(reterr->text, sizeof(reterr->text), format, ap);
	return code;
}

int kt_err_set(struct kt_err *reterr, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)kt_err_vset(reterr, code, format, ap);
	va_end(ap);
	return code;
}

int kt_err_prefix(struct kt_err *reterr, int code, const char *format, ...)
{
	/* The format replaces the old text, which is copied first. */
	struct kt_err old;
	size_t len;
	va_list ap;

	if (!reterr)
		return code;
	old = *reterr;
	va_start(ap, format);
	(void)kt_err_vset(reterr, code, format, ap);
	va_end(ap);
	len = strlen(reterr->text);
	(void)snprintf(reterr->text + len, sizeof(reterr->text) - len, ": %s",
		       old.text[0] ? old.text : strerror(-code));
	return code;
}

int kt_err_oom(struct kt_err *reterr)
{
	return kt_err_set(reterr, -ENOMEM, "out of memory");
}
