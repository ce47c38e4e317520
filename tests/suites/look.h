/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the kernel's files say, for tests and for workers that observe others; and the workers'
 * reports.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <ktest.h>

#define LOOK_ROOT "/sys/fs/cgroup/ktest/"
#define LOOK_LEN  4096

/* Fields of /proc/PID/stat: proc_pid_stat(5). */
#define STAT_NICE        19
#define STAT_RT_PRIORITY 40
#define STAT_POLICY      41

/*
 * The text of a file without its last newline, in a buffer of the caller; "" if it cannot be read.
 */
__attribute__((format(printf, 2, 3))) static inline char *look(char text[LOOK_LEN],
							       const char *format, ...)
{
	char path[512];
	ssize_t n;
	va_list ap;
	int fd;

	va_start(ap, format);
	(void)vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, LOOK_LEN - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

/* The text of a file of one of the scenario's cgroups. */
static inline const char *look_cgroup(char text[LOOK_LEN], const char *cgroup, const char *file)
{
	return look(text, LOOK_ROOT "%s/%s", cgroup, file);
}

/* The value in the line "KEY:" of a text, without white space around it; "" if there is none. */
static inline const char *look_key(char text[LOOK_LEN], const char *key)
{
	char *save;

	for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
		const char *colon = strchr(at, ':');

		if (colon && (size_t)(colon - at) == strlen(key) && !strncmp(at, key, strlen(key)))
			return colon + 1 + strspn(colon + 1, " \t");
	}
	return "";
}

/* The value behind "KEY:" in the status file of a process, or of a thread by its ID. */
static inline const char *look_status(char text[LOOK_LEN], pid_t pid, const char *key)
{
	return look_key(look(text, "/proc/%d/status", (int)pid), key);
}

/* A field of the stat file of a process or thread; false if there is none. */
static inline bool look_stat(pid_t pid, int field, int *ret_value)
{
	char text[LOOK_LEN];
	/* The parenthesis ends the second field, which can contain any character. */
	const char *at = strrchr(look(text, "/proc/%d/stat", (int)pid), ')');

	for (int i = 2; at && i < field; i++)
		at = strchr(at + 1, ' ');
	*ret_value = at ? atoi(at) : 0;
	return at;
}

/* The first process of a cgroup; 0 if it has none. */
static inline pid_t look_process(const char *cgroup)
{
	char text[LOOK_LEN];

	return atoi(look_cgroup(text, cgroup, "cgroup.procs"));
}

/* The report of the @index-th worker of a cgroup; NULL if there is none. */
static inline const struct kt_worker_report *look_report(const struct kt_ctx *ctx,
							 const char *cgroup, unsigned int index)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(reports[i].cgroup, cgroup) && reports[i].index == index)
			return &reports[i];
	}
	return NULL;
}

/* The sum of the iterations in a cgroup, for workers that count what they have observed. */
static inline unsigned long long look_iterations(const struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	return kt_sum_reports(ctx, cgroup, &sum) ? sum.iterations : 0;
}
