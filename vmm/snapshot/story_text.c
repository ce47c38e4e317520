/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * A story as lines of text: the scheduler, who found the error, the culprit and why it waited, who
 * waited too, and each CPU. A story may come from a file: it is not trusted to be one of ours, so
 * that every count is bounded here again, and no text of it reaches a terminal as it is.
 */

#define CPUS_SHOWN   16u
#define OTHERS_SHOWN 3u
#define WORD_LEN     64u /* bytes that are shown of a name */

static json_int_t number_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* Text of the guest on one line: control characters, which UTF-8 has up to 0x9f, become spaces. */
static void put_text(FILE *out, const char *text, size_t max)
{
	for (size_t i = 0; text[i] && i < max; i++) {
		unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
		bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;

		(void)fputc(c < ' ' || c == 0x7f || is_c1 ? ' ' : c, out);
		i += is_c1;
	}
}

static void put_name(FILE *out, const json_t *task)
{
	const char *comm = kt_json_str(task, "comm");
	size_t cut = KT_MIN(strlen(comm), (size_t)WORD_LEN);

	while (cut && ((unsigned char)comm[cut] & 0xc0) == 0x80)
		cut--;
	put_text(out, comm, cut);
	(void)fprintf(out, "[%" JSON_INTEGER_FORMAT "]", number_of(task, "pid"));
}

static void put_ms(FILE *out, json_int_t ns)
{
	(void)fprintf(out, "%.0f ms", (double)ns / KT_NSEC_PER_MSEC);
}

/* How long a task has waited. */
static void put_wait(FILE *out, const json_t *task)
{
	if (number_of(task, "waited_ns") >= 0)
		put_ms(out, number_of(task, "waited_ns"));
	else
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT " jiffies",
			      number_of(task, "waited_jiffies"));
}

/* ---- The scheduler ---- */

static void put_scheduler(FILE *out, const json_t *story)
{
	const char *kind = kt_json_str(story, "kind"), *message = kt_json_str(story, "message");
	const char *reason = kt_json_str(story, "reason");

	(void)fputs("scheduler ", out);
	put_text(out, kt_json_str(story, "scheduler"), KT_STORY_TEXT);
	if (!*kind)
		(void)fputs(" has reported no error", out);
	else if (*reason) {
		(void)fputs(": ", out);
		put_text(out, reason, KT_STORY_TEXT);
		(void)fputs(" (", out);
		put_text(out, kind, KT_STORY_TEXT);
		(void)fputc(')', out);
	} else {
		(void)fputs(": ", out);
		put_text(out, kind, KT_STORY_TEXT);
	}
	if (*message) {
		(void)fputs(": ", out);
		put_text(out, message, KT_STORY_TEXT);
	}
	(void)fputc('\n', out);
}

static void put_task(FILE *out, const json_t *task)
{
	const char *class = kt_json_str(task, "class");

	if (!strcmp(class, "idle")) {
		(void)fputs("idle", out);
		return;
	}
	put_name(out, task);
	(void)fputs(*class ? " (" : "", out);
	put_text(out, class, WORD_LEN);
	(void)fputs(*class ? ")" : "", out);
}

static bool is_killed(const json_t *culprit)
{
	return !strcmp(kt_json_str(culprit, "cause"), "killed");
}

/* That a killed program's end was claimed where it died, is told with the culprit. */
static void put_found(FILE *out, const json_t *story)
{
	const json_t *frames = json_object_get(story, "found_in");
	const json_t *running = json_object_get(story, "running");
	size_t n = KT_MIN(json_array_size(frames), (size_t)KT_STORY_FRAMES);

	if (number_of(story, "cpu") < 0 || !*kt_json_str(story, "kind") ||
	    is_killed(json_object_get(story, "culprit")))
		return;
	(void)fprintf(out, "found by CPU %" JSON_INTEGER_FORMAT, number_of(story, "cpu"));
	if (json_is_object(running)) {
		(void)fputs(", which ran ", out);
		put_task(out, running);
		(void)fputs(n ? "," : "", out);
	}
	for (size_t i = 0; i < n; i++) {
		(void)fputs(i ? " < " : " in ", out);
		put_text(out, json_string_value(json_array_get(frames, i)) ?: "", KT_STORY_TEXT);
	}
	(void)fputc('\n', out);
}

/* ---- The culprit ---- */

static void put_queue(FILE *out, const json_t *queue)
{
	const json_t *id = json_object_get(queue, "id");
	const char *kind = kt_json_str(queue, "kind");

	if (!strcmp(kind, "local"))
		(void)fprintf(out, "in the local queue of CPU %" JSON_INTEGER_FORMAT,
			      number_of(queue, "cpu"));
	else if (!strcmp(kind, "global"))
		(void)fputs("in the global queue", out);
	else if (!strcmp(kind, "user") && json_is_integer(id))
		(void)fprintf(out, "in queue %" JSON_INTEGER_FORMAT " of the scheduler",
			      json_integer_value(id));
	else if (!strcmp(kind, "user")) {
		(void)fputs("in queue ", out);
		put_text(out, json_string_value(id) ?: "", WORD_LEN);
		(void)fputs(" of the scheduler", out);
	} else if (!strcmp(kind, "bpf"))
		(void)fputs("in no queue: the scheduler's program keeps it", out);
	else if (!strcmp(kind, "moving"))
		(void)fputs("in no queue: it was on its way to one", out);
	else if (!strcmp(kind, "running"))
		(void)fputs("on a CPU", out);
	else if (!strcmp(kind, "none"))
		(void)fputs("asleep", out);
	else {
		(void)fputs("in a queue of kind ", out);
		put_text(out, kind, WORD_LEN);
	}
	if (number_of(queue, "place") >= 0 && number_of(queue, "place") < UINT32_MAX)
		(void)fprintf(out, ", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " there",
			      number_of(queue, "place") + 1, number_of(queue, "nr"));
}

static void put_cause(FILE *out, const json_t *culprit)
{
	static const struct {
		const char *cause, *text;
	} CAUSES[] = {
		{ "forgotten", "the scheduler forgot it: a CPU for it has nothing else to do" },
		{ "passed-over", "the scheduler passed it over: its CPUs run other tasks" },
		{ "stop", "not the scheduler's doing: the kernel's stop task has the CPU" },
		{ "dl", "not the scheduler's doing: deadline tasks have every CPU for it" },
		{ "rt", "not the scheduler's doing: real-time tasks have every CPU for it" },
		{ "fair", "not the scheduler's doing: fair tasks have every CPU for it" },
	};
	const char *cause = kt_json_str(culprit, "cause");

	for (size_t i = 0; i < KT_ARRAY_LEN(CAUSES); i++)
		if (!strcmp(cause, CAUSES[i].cause))
			(void)fprintf(out, "%s\n", CAUSES[i].text);
}

static void put_culprit(FILE *out, const json_t *culprit)
{
	bool waits = json_is_integer(json_object_get(culprit, "waited_jiffies"));

	if (!json_is_object(culprit))
		return;
	put_name(out, culprit);
	if (is_killed(culprit)) {
		(void)fprintf(out,
			      " is the scheduler's program, and was killed on CPU "
			      "%" JSON_INTEGER_FORMAT "\n",
			      number_of(culprit, "cpu"));
		return;
	}
	if (number_of(culprit, "target_cpu") >= 0)
		(void)fprintf(out,
			      " was sent to CPU %" JSON_INTEGER_FORMAT
			      ", and is on CPU %" JSON_INTEGER_FORMAT "\n",
			      number_of(culprit, "target_cpu"), number_of(culprit, "cpu"));
	else if (waits) {
		(void)fputs(" has waited for ", out);
		put_wait(out, culprit);
		(void)fprintf(out, " on CPU %" JSON_INTEGER_FORMAT ", ", number_of(culprit, "cpu"));
		put_queue(out, json_object_get(culprit, "queue"));
		(void)fputc('\n', out);
	} else {
		(void)fprintf(out, " is what the message names: CPU %" JSON_INTEGER_FORMAT ", ",
			      number_of(culprit, "cpu"));
		put_queue(out, json_object_get(culprit, "queue"));
		(void)fputc('\n', out);
	}
	if (waits && number_of(culprit, "target_cpu") < 0)
		put_cause(out, culprit);
}

/* The tasks that wait as well. */
static void put_others(FILE *out, const json_t *story)
{
	const json_t *waiting = json_object_get(story, "waiting");
	json_int_t pid = number_of(json_object_get(story, "culprit"), "pid");
	json_int_t more = KT_MIN(KT_MAX(number_of(story, "more_waiting"), 0), UINT32_MAX);
	size_t n = KT_MIN(json_array_size(waiting), (size_t)KT_STORY_WAITING), shown = 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *task = json_array_get(waiting, i);

		if (number_of(task, "pid") == pid)
			continue;
		if (shown == OTHERS_SHOWN) {
			more++;
			continue;
		}
		(void)fputs(shown++ ? ", " : "also waiting: ", out);
		put_name(out, task);
		(void)fputc(' ', out);
		put_wait(out, task);
	}
	if (shown && more > 0)
		(void)fprintf(out, " and %" JSON_INTEGER_FORMAT " more", more);
	if (shown)
		(void)fputc('\n', out);
}

/* ---- CPUs ---- */

static void put_ran(FILE *out, const json_t *ran)
{
	size_t n = KT_MIN(json_array_size(ran), (size_t)KT_STORY_RAN);

	(void)fputs(n ? "; before: " : "", out);
	for (size_t i = 0; i < n; i++) {
		(void)fputs(i ? ", " : "", out);
		put_task(out, json_array_get(ran, i));
		(void)fputc(' ', out);
		put_ms(out, number_of(json_array_get(ran, i), "ns"));
	}
}

static void put_cpus(FILE *out, const json_t *story)
{
	const json_t *cpus = json_object_get(story, "cpus");
	size_t n = json_array_size(cpus), shown = KT_MIN(n, (size_t)CPUS_SHOWN);

	for (size_t i = 0; i < shown; i++) {
		const json_t *cpu = json_array_get(cpus, i);

		(void)fprintf(out, "CPU %" JSON_INTEGER_FORMAT ": ", number_of(cpu, "cpu"));
		put_task(out, cpu);
		put_ran(out, json_object_get(cpu, "ran"));
		(void)fputc('\n', out);
	}
	if (shown < n)
		(void)fprintf(out, "and %zu more CPUs\n", n - shown);
}

static void put_since(FILE *out, const json_t *story)
{
	const json_t *since = json_object_get(story, "since");

	if (!json_is_object(since))
		return;
	(void)fputs("before is since the snapshot ", out);
	put_text(out, kt_json_str(since, "snapshot"), WORD_LEN);
	(void)fputs(", ", out);
	put_ms(out, number_of(since, "ns"));
	(void)fputs(" earlier\n", out);
}

char *kt_story_text(const json_t *story)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (json_is_object(story)) {
		put_scheduler(out, story);
		put_found(out, story);
		put_culprit(out, json_object_get(story, "culprit"));
		put_others(out, story);
		put_cpus(out, story);
		put_since(out, story);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
