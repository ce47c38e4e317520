/* SPDX-License-Identifier: MIT */
#include "framework/report/ftrace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

/*
 * "          TASK-PID     [CPU] FLAGS SECONDS.MICROSECONDS: EVENT: FIELDS". The kernel puts the
 * name of the task into 16 columns; so the name, which may hold any of the other characters, is
 * passed over. Names within the fields end where the last " pid=" begins, for the same reason.
 */

#define TASK_COLUMNS 16

/* Where @what is in @text for the last time; NULL: nowhere. */
static const char *find_last(const char *text, const char *what)
{
	const char *last = NULL;

	for (const char *at = text; (at = strstr(at, what)); at++)
		last = at;
	return last;
}

/* The text behind @before in @text; NULL when it does not begin so. */
static const char *behind(const char *text, const char *before)
{
	size_t len = strlen(before);

	return strncmp(text, before, len) ? NULL : text + len;
}

/* Reads "NAME@pid N WORD=N ..." of @text, with a name that ends before @end at the latest. */
static int parse_task(const char *text, const char *end, const char *pid,
		      struct kt_ftrace_task *ret_task)
{
	const char *name_end = NULL;

	for (const char *at = text; (at = strstr(at, pid)) && at < end; at++)
		name_end = at;
	if (!name_end || sscanf(name_end + strlen(pid), "%9d %*[a-z_]=%9d", &ret_task->pid,
				&ret_task->prio) != 2)
		return -EINVAL;
	ret_task->name = (struct kt_ftrace_name){ text, (size_t)(name_end - text) };
	return ret_task->pid < 0 ? -EINVAL : 0;
}

static int parse_switch(const char *fields, struct kt_ftrace_event *event)
{
	const char *name = behind(fields, "prev_comm="), *next = find_last(fields, " ==> ");
	const char *next_name = next ? behind(next, " ==> next_comm=") : NULL;
	const char *state = find_last(fields, " prev_state=");

	event->kind = KT_FTRACE_SWITCH;
	if (!name || !next_name || !state || sscanf(state, " prev_state=%7s", event->state) != 1)
		return -EINVAL;
	return parse_task(name, next, " prev_pid=", &event->before)
		       ?: parse_task(next_name, next_name + strlen(next_name),
				     " next_pid=", &event->task);
}

static int parse_waking(const char *fields, struct kt_ftrace_event *event)
{
	const char *name = behind(fields, "comm=");

	event->kind = KT_FTRACE_WAKING;
	return name ? parse_task(name, name + strlen(name), " pid=", &event->task) : -EINVAL;
}

/* "B|PID|TEXT", "E|PID|" or "I|PID|TEXT". */
static int parse_mark(const char *fields, struct kt_ftrace_event *event)
{
	const char *pid = fields[0] && strchr("BEI", fields[0]) ? behind(fields + 1, "|") : NULL;
	const char *text = pid ? strchr(pid, '|') : NULL;

	if (!text)
		return -EINVAL;
	event->kind = KT_FTRACE_MARK;
	event->mark = fields[0];
	event->text = (struct kt_ftrace_name){ text + 1, strlen(text + 1) };
	return 0;
}

static int parse_fields(const char *at, struct kt_ftrace_event *event)
{
	static const struct {
		const char *name;
		int (*parse)(const char *fields, struct kt_ftrace_event *event);
	} events[] = {
		{ "sched_switch: ", parse_switch },
		{ "sched_waking: ", parse_waking },
		{ "tracing_mark_write: ", parse_mark },
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		const char *fields = behind(at, events[i].name);

		if (fields)
			return events[i].parse(fields, event);
	}
	return -EINVAL;
}

/* The line that the guest puts behind the kernel's text (guest/test/trace.c). */
static int parse_began(const char *line, struct kt_ftrace_event *event)
{
	unsigned int seconds, ns;

	if (sscanf(line, "# ktest: the test began at %9u.%9u", &seconds, &ns) != 2 ||
	    ns >= KT_NSEC_PER_SEC)
		return -EINVAL;
	event->kind = KT_FTRACE_BEGAN;
	event->at_ns = seconds * KT_NSEC_PER_SEC + ns;
	return 0;
}

int kt_ftrace_parse(const char *line, struct kt_ftrace_event *ret_event)
{
	unsigned int seconds, us;
	int fields = 0;

	*ret_event = (struct kt_ftrace_event){ .cpu = 0 };
	if (line[0] == '#')
		return parse_began(line, ret_event);
	if (strnlen(line, TASK_COLUMNS) < TASK_COLUMNS ||
	    sscanf(line + TASK_COLUMNS, "-%*9d [%9u] %*s %9u.%9u: %n", &ret_event->cpu, &seconds,
		   &us, &fields) != 3 ||
	    !fields || ret_event->cpu >= KT_FTRACE_CPUS || us >= 1000000)
		return -EINVAL;
	ret_event->at_ns = seconds * KT_NSEC_PER_SEC + us * KT_NSEC_PER_USEC;
	return parse_fields(line + TASK_COLUMNS + fields, ret_event);
}
