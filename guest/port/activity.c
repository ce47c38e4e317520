/* SPDX-License-Identifier: MIT */
#include "guest/port/activity.h"

#include <pthread.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "util/io.h"

#define NAME_LEN 64u

/* The lock is only ever held for a copy: PID 1 may hang in what it does, but not in here. */
static struct {
	pthread_mutex_t lock;
	const char *phase; /* NULL: no test has begun */
	int step, index;
	char step_name[NAME_LEN];
	const char *operation; /* NULL: none */
	char argument[NAME_LEN];
	const char *awaited; /* NULL: nothing */
	char whom[NAME_LEN];
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void copy(char to[NAME_LEN], const char *text)
{
	(void)snprintf(to, NAME_LEN, "%s", text ?: "");
}

void kt_activity_begin(const char *phase, int step, const char *step_name)
{
	(void)pthread_mutex_lock(&now.lock);
	now.phase = phase;
	now.step = step;
	copy(now.step_name, step_name);
	now.operation = now.awaited = NULL;
	(void)pthread_mutex_unlock(&now.lock);
}

void kt_activity_operate(int index, const char *name, const char *argument)
{
	(void)pthread_mutex_lock(&now.lock);
	now.index = index;
	now.operation = name;
	copy(now.argument, argument);
	now.awaited = NULL;
	(void)pthread_mutex_unlock(&now.lock);
}

void kt_activity_await(const char *what, const char *whom)
{
	(void)pthread_mutex_lock(&now.lock);
	now.awaited = what;
	copy(now.whom, whom);
	(void)pthread_mutex_unlock(&now.lock);
}

static char *operation_text(void)
{
	const char *quote = now.argument[0] ? "\"" : "";
	char index[24] = "an operation";

	if (!now.operation)
		return kt_format("%s", "");
	if (now.index >= 0)
		(void)snprintf(index, sizeof(index), "operation %d", now.index);
	return kt_format("%s, %s(%s%s%s), in ", index, now.operation, quote, now.argument, quote);
}

static char *step_text(void)
{
	const char *open = now.step_name[0] ? " (" : "", *close = now.step_name[0] ? ")" : "";

	if (now.step < 0)
		return kt_format("%s", "");
	return kt_format(" of step %d%s%s%s", now.step, open, now.step_name, close);
}

char *kt_activity_text(void)
{
	KT_FREE char *operation = NULL, *step = NULL;
	char *text = NULL;

	(void)pthread_mutex_lock(&now.lock);
	operation = operation_text();
	step = step_text();
	if (now.phase && operation && step)
		text = kt_format("%s%s%s%s%s%s%s", operation, now.phase, step,
				 now.awaited ? ", waiting for " : "", now.awaited ?: "",
				 now.awaited && now.whom[0] ? " " : "",
				 now.awaited ? now.whom : "");
	(void)pthread_mutex_unlock(&now.lock);
	return text;
}
