/* SPDX-License-Identifier: MIT */
#include "framework/oops.h"

#include <stdio.h>
#include <string.h>

void kt_oops_panic(const char *console, char *text, size_t room)
{
	const char *at = strstr(console, "Kernel panic - not syncing: ");

	*text = '\0';
	if (at)
		(void)snprintf(text, room, ": %.*s", (int)strcspn(at, "\r\n"), at);
}

bool kt_oops_is_stale_code(const char *console, char *where, size_t room)
{
	static const char rip[] = "RIP: 0010:";
	const char *oops = strstr(console, "Oops: int3:");
	const char *function = oops ? strstr(oops, rip) : NULL;
	const char *code = function ? strstr(function, "Code: ") : NULL;
	const char *next = code ? memchr(code, '<', strcspn(code, "\r\n")) : NULL;

	if (!next || next - code < 9 || !strncmp(next - 3, "cc ", 3))
		return false;
	function += strlen(rip);
	(void)snprintf(where, room, "%.*s", (int)strcspn(function, "/ \r\n"), function);
	return true;
}
