/* SPDX-License-Identifier: MIT */
#pragma once
/* UTF-8 (RFC 3629), for text of unknown encoding. */

#include <stddef.h>
#include <stdint.h>

#define KT_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Returns the length of the well-formed sequence at @at, of which @left bytes may be read; 0 when
 * there is none. *@ret_code, which may be NULL, is its code point.
 */
size_t kt_utf8_len(const unsigned char *at, size_t left, uint32_t *ret_code);
