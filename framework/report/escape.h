/* SPDX-License-Identifier: MIT */
#pragma once
/* Text of a guest in XML and HTML. */

#include <stddef.h>
#include <stdio.h>

/*
 * Writes @len bytes of text for an element or an attribute. XML 1.0 (section 2.2) allows no control
 * characters but tab, newline and carriage return, no surrogates, and neither U+FFFE nor U+FFFF.
 * Control characters are dropped; what is not valid otherwise becomes U+FFFD.
 */
void kt_report_put_escaped(FILE *out, const char *text, size_t len);
