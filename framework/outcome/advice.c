/* SPDX-License-Identifier: MIT */
#include "framework/outcome/advice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/memory.h"

static void append(struct kt_err *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct kt_err *err, const char *format, ...)
{
	size_t len = strlen(err->text);
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(err->text + len, sizeof(err->text) - len, format, ap);
	va_end(ap);
}

/* The number of a limit; "unlimited" is one that was raised meanwhile. */
static const char *limit_text(int resource, char *text, size_t room)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		(void)snprintf(text, room, "unlimited");
	else
		(void)snprintf(text, room, "%" PRIu64, (uint64_t)limit.rlim_cur);
	return text;
}

/* The host's limit of all processes together; "unknown" without /proc. */
static void advise_host_files(struct kt_err *err)
{
	KT_FREE char *text = NULL;

	if (kt_file_read("/proc/sys/fs/file-max", 64, &text, NULL) == 0)
		text[strcspn(text, "\n")] = '\0';
	append(err,
	       "; the limit of the host (fs.file-max) is %s: run fewer virtual CPUs at once (-j "
	       "N), "
	       "or raise it (sysctl fs.file-max=N)",
	       text ?: "unknown");
}

static void advise_memory(struct kt_err *err)
{
	uint64_t mib = kt_meminfo_mib("MemAvailable:");

	if (mib)
		append(err, "; the host has %" PRIu64 " MiB of memory available", mib);
	append(err, "; run fewer machines at once (--memory-budget SIZE, -j N)");
}

int kt_advise(struct kt_err *reterr, int code)
{
	char limit[32];

	if (!reterr)
		return code;
	if (code == -EMFILE)
		append(reterr,
		       "; the limit of this process (RLIMIT_NOFILE) is %s: run fewer virtual CPUs "
		       "at once (-j N), or raise it (ulimit -n N)",
		       limit_text(RLIMIT_NOFILE, limit, sizeof(limit)));
	else if (code == -ENFILE)
		advise_host_files(reterr);
	else if (code == -ENOMEM)
		advise_memory(reterr);
	else if (code == -EAGAIN)
		append(reterr,
		       "; the limit of this user's processes (RLIMIT_NPROC) is %s, and the cgroup "
		       "can have a lower one (pids.max): run fewer virtual CPUs at once (-j N), or "
		       "raise it (ulimit -u N)",
		       limit_text(RLIMIT_NPROC, limit, sizeof(limit)));
	return code;
}

int kt_advise_cache(struct kt_err *reterr, int code)
{
	if (reterr && (code == -ENOSPC || code == -EDQUOT))
		append(reterr, "; 'ktests cache prune' frees space, and --template-cache-size "
			       "limits what templates take");
	return code;
}
