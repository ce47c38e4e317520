/* SPDX-License-Identifier: MIT */
#include "util/utf8.h"

size_t kt_utf8_len(const unsigned char *at, size_t left, uint32_t *ret_code)
{
	uint32_t code;
	size_t len;

	if (at[0] < 0x80)
		len = 1;
	else if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	else
		len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (len > left)
		return 0;
	code = len == 1 ? at[0] : at[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if ((len == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
	    (len == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	if (ret_code)
		*ret_code = code;
	return len;
}
