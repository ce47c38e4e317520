/* SPDX-License-Identifier: MIT */
#include "framework/report/escape.h"

#include <stdint.h>

#include "util/utf8.h"

void kt_report_put_escaped(FILE *out, const char *text, size_t len)
{
	while (len) {
		const unsigned char *at = (const unsigned char *)text;
		uint32_t code = 0;
		size_t n = kt_utf8_len(at, len, &code);

		if (!n || code == 0xfffe || code == 0xffff)
			(void)fputs(KT_UTF8_REPLACEMENT, out);
		else if (code == '&')
			(void)fputs("&amp;", out);
		else if (code == '<')
			(void)fputs("&lt;", out);
		else if (code == '>')
			(void)fputs("&gt;", out);
		else if (code == '"')
			(void)fputs("&quot;", out);
		else if (code == '\n')
			(void)fputs("&#10;", out);
		else if (code >= ' ' || code == '\t')
			(void)fwrite(text, 1, n, out);
		n = n ?: 1;
		text += n;
		len -= n;
	}
}
