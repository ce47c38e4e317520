/* SPDX-License-Identifier: MIT */
#pragma once
/* What the kernel's own files say of workers, for checks and for custom workers that look on. */
#include <ktest.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "/sys/fs/cgroup/ktest/"

/* Fields of /proc/PID/stat: proc_pid_stat(5). */
#define STAT_NICE        19
#define STAT_RT_PRIORITY 40
#define STAT_POLICY      41

/* A whole small file; false when there is none. */
static inline bool look_read(const char *path, char *text, size_t len)
{
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(text, 1, len - 1, file) : 0;

	text[n] = '\0';
	if (file)
		(void)fclose(file);
	return file;
}

/* The first process of a cgroup, 0 when it has none. */
static inline int look_process(const char *cgroup)
{
	char path[256], text[4096];

	(void)snprintf(path, sizeof(path), ROOT "%s/cgroup.procs", cgroup);
	return look_read(path, text, sizeof(text)) ? atoi(text) : 0;
}

/* A field of /proc/WHO/stat; false when there is no such process. */
static inline bool look_stat(const char *who, int field, int *ret_value)
{
	char path[64], text[1024];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", who);
	at = look_read(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;
	/* The parenthesis ends the second one, which may hold anything. */
	for (int i = 2; at && i < field; i++)
		at = strchr(at + 1, ' ');
	*ret_value = at ? atoi(at) : 0;
	return at;
}

/* The value behind "KEY:" in /proc/thread-self/status, without white space around it. */
static inline const char *look_status(const char *key, char *text, size_t len)
{
	char *save;

	if (!look_read("/proc/thread-self/status", text, len))
		return "";
	for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
		const char *colon = strchr(at, ':');

		if (colon && (size_t)(colon - at) == strlen(key) && !strncmp(at, key, strlen(key)))
			return colon + 1 + strspn(colon + 1, " \t");
	}
	return "";
}

/* The report of one worker, NULL when there is none. */
static inline const struct kt_worker_report *look_report(struct kt_ctx *ctx, const char *cgroup,
							 unsigned int index)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(reports[i].cgroup, cgroup) && reports[i].index == index)
			return &reports[i];
	}
	return NULL;
}

/* Sums up the iterations in a cgroup; for workers that count what they have seen. */
static inline unsigned long long look_iterations(struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	return kt_sum_reports(ctx, cgroup, &sum) ? sum.iterations : 0;
}
