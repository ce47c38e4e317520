/* SPDX-License-Identifier: MIT */
/*
 * Reads the kernel's log as records. User space can write to the same log (/dev/kmsg). Only
 * the kernel's own records may count as complaints, so this file marks the others.
 */

#include "guest/test/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define KMSG "/dev/kmsg"

/*
 * The kernel's log is a ring: a record that is not read in time is overwritten, and read(2) says so
 * once (EPIPE) before it goes on with the oldest record that is left.
 */
struct kt_kmsg {
	int fd;
	bool lost; /* records were overwritten since kt_kmsg_begin() */
};

int kt_kmsg_open(struct kt_kmsg **ret_kmsg, struct kt_err *reterr)
{
	KT_FREE struct kt_kmsg *kmsg = calloc(1, sizeof(*kmsg));

	if (!kmsg)
		return kt_err_oom(reterr);
	kmsg->fd = open(KMSG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->fd < 0)
		return kt_err_set(reterr, -errno, "cannot open " KMSG ": %m");
	*ret_kmsg = kt_steal(kmsg);
	return 0;
}

int kt_kmsg_fd(const struct kt_kmsg *kmsg)
{
	return kmsg->fd;
}

void kt_kmsg_begin(struct kt_kmsg *kmsg)
{
	(void)lseek(kmsg->fd, 0, SEEK_END);
	kmsg->lost = false;
}

struct kt_kmsg *kt_kmsg_close(struct kt_kmsg *kmsg)
{
	if (!kmsg)
		return NULL;
	(void)kt_close(kmsg->fd);
	free(kmsg);
	return NULL;
}

/*
 * Appends a line for the record: ' ' or '#', the time, the text. A record is
 * "prio,seq,usec,flags;text\n", followed by lines that begin with a space and are left out here
 * (Documentation/ABI/testing/dev-kmsg). Facility 0 (prio >> 3) is the kernel. Other facilities are
 * user space, which cannot write as facility 0; their lines begin with '#'.
 */
static void append_record(FILE *out, char *record)
{
	char *text = strchr(record, ';');
	unsigned long long usec = 0;
	unsigned int prio = 0;

	if (!text)
		return;
	(void)sscanf(record, "%u,%*u,%llu", &prio, &usec);
	text++;
	text[strcspn(text, "\n")] = '\0';
	(void)fprintf(out, "%c[%5llu.%06llu] %s\n", prio >> 3 ? '#' : ' ', usec / 1000000,
		      usec % 1000000, text);
}

int kt_kmsg_read(struct kt_kmsg *kmsg, char **ret_text, struct kt_err *reterr)
{
	char record[8192]; /* the largest record of any kernel (CONSOLE_EXT_LOG_MAX) */
	FILE *out = NULL;
	size_t len;
	ssize_t n;

	*ret_text = NULL;
	while ((n = read(kmsg->fd, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (!out)
			out = open_memstream(ret_text, &len);
		if (!out)
			return kt_err_oom(reterr);
		if (n < 0) {
			kmsg->lost = true;
			(void)fputs("#(records lost)\n", out);
			continue;
		}
		record[n] = '\0';
		append_record(out, record);
	}
	return out && fclose(out) ? kt_err_oom(reterr) : 0;
}

bool kt_kmsg_has_lost(const struct kt_kmsg *kmsg)
{
	return kmsg->lost;
}

char *kt_kmsg_complaint(const char *text)
{
	static const char *const signs[] = {
		"WARNING: ",
		"BUG: ",
		"Oops: ",
		"kernel BUG at ",
		"general protection fault",
		"INFO: task ", /* ... blocked for more than N seconds */
		"possible circular locking dependency",
		"possible recursive locking",
		"inconsistent lock state",
		"suspicious RCU usage",
		"rcu: INFO: ",
		"soft lockup",
		"hard LOCKUP",
		"UBSAN: ",
		"KASAN: ",
		"KCSAN: ",
	};

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		/* Only lines of the kernel itself begin with a blank. */
		for (size_t i = 0; *line == ' ' && i < KT_ARRAY_LEN(signs); i++) {
			if (memmem(line, len, signs[i], strlen(signs[i])))
				return strndup(line + 1, len - 1);
		}
		line += len + (line[len] == '\n');
	}
	return NULL;
}
