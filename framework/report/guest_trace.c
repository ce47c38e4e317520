/* SPDX-License-Identifier: MIT */
#include "framework/report/guest_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/ftrace.h"
#include "util/io.h"

/*
 * One walk along the lines. A CPU knows who runs on it and since when; the switch that ends this
 * makes a slice of it. A wake-up is a slice without length on the CPU of who wakes, from which an
 * arrow leads to the slice in which the task runs next: both have the same bind_id.
 *
 * The trace comes from the guest. Times of a CPU that run backwards stand still, and tables are of
 * a fixed size: where two tasks meet in that of the wake-ups, the arrow of the earlier one is lost.
 * The first slice of a CPU begins with the first that is known of it, and the last ends with the
 * trace.
 */

#define THREADS     1000 /* numbers of threads for each process */
#define TEST_THREAD 999  /* the track of the test's steps; lower numbers are CPUs */
#define WAKES       1024u
#define MARKS       8u           /* that last, one inside the other */
#define NAME_LEN    ((size_t)64) /* bytes that are shown of a name */

struct cpu {
	bool seen;
	struct kt_ftrace_task task; /* who runs; pid -1: nobody knows yet */
	uint64_t since_ns;
	uint64_t wake; /* that has brought it here; 0: none */
};

struct wake {
	int pid;
	uint64_t number;
};

struct mark {
	struct kt_ftrace_name text;
	uint64_t since_ns;
};

struct writer {
	const struct kt_guest_trace *trace;
	const struct kt_guest_clock *clock;
	struct kt_tracks *tracks;
	int process;
	size_t max;
	unsigned int n_left;
	uint64_t last_ns;
	uint64_t n_wakes;
	struct cpu cpus[KT_FTRACE_CPUS];
	struct wake wakes[WAKES]; /* by the pid's remainder */
	struct mark marks[MARKS];
	unsigned int n_marks; /* may be more than have room */
	bool has_marks;
};

/* ---- the text ------------------------------------------------------------------------------- */

static void note(struct kt_guest_trace *trace, const struct kt_ftrace_event *event,
		 uint64_t *first_ns)
{
	if (event->kind == KT_FTRACE_BEGAN)
		trace->began_ns = event->at_ns;
	else
		*first_ns = KT_MIN(*first_ns, event->at_ns);
}

int kt_guest_trace_init(struct kt_guest_trace *trace, char *text, size_t len)
{
	uint64_t first_ns = UINT64_MAX;
	struct kt_ftrace_event event;

	*trace = (struct kt_guest_trace){ .text = text, .len = len + 1 };
	for (char *at = text; (at = memchr(at, '\n', (size_t)(text + len - at)));)
		*at++ = '\0';
	/* Only the first event matters here, and the kernel sorts them. */
	for (const char *at = text; at < text + len; at += strlen(at) + 1) {
		if ((*at == '#' || first_ns == UINT64_MAX) && kt_ftrace_parse(at, &event) == 0)
			note(trace, &event, &first_ns);
	}
	trace->lead_ns = trace->began_ns - KT_MIN(trace->began_ns, first_ns);
	return trace->began_ns ? 0 : -ENODATA;
}

void kt_guest_trace_deinit(struct kt_guest_trace *trace)
{
	free(trace->text);
	*trace = KT_GUEST_TRACE_NULL;
}

/* ---- tracks --------------------------------------------------------------------------------- */

static bool has_room(struct writer *writer)
{
	bool has = writer->tracks->n_bytes <= writer->max;

	writer->n_left += !has;
	return has;
}

static uint64_t place(const struct writer *writer, uint64_t guest_ns)
{
	return kt_guest_clock_place(writer->clock, (int64_t)(guest_ns - writer->trace->began_ns));
}

static struct kt_span span_of(const struct writer *writer, uint64_t begin_ns, uint64_t end_ns)
{
	return (struct kt_span){ place(writer, begin_ns), place(writer, end_ns) };
}

static struct kt_track track_of(const struct writer *writer, int thread)
{
	return (struct kt_track){ writer->process, writer->process * THREADS + thread };
}

/* Both ends of an arrow have the number, which no other process in the file uses. */
static json_t *bind_json(const struct writer *writer, uint64_t wake)
{
	return wake ? json_sprintf("0x%" PRIx64, (uint64_t)writer->process << 32 | wake) : NULL;
}

static json_t *name_json(struct kt_ftrace_name name)
{
	return kt_json_text(name.at, KT_MIN(name.len, NAME_LEN));
}

/* @state: in which the task leaves the CPU; NULL: it is there when the trace ends. */
static void put_run(struct writer *writer, unsigned int number, uint64_t end_ns, const char *state)
{
	const struct cpu *cpu = &writer->cpus[number];
	json_t *bind = bind_json(writer, cpu->wake);

	if (cpu->task.pid <= 0 || !has_room(writer)) {
		json_decref(bind);
		return;
	}
	kt_tracks_put_slice(writer->tracks, track_of(writer, (int)number), "run",
			    name_json(cpu->task.name), span_of(writer, cpu->since_ns, end_ns),
			    json_pack("{s{si si ss* sI} so* so*}", "args", "pid", cpu->task.pid,
				      "prio", cpu->task.prio, "state", state, "guest_ns",
				      (json_int_t)cpu->since_ns, "bind_id", bind, "flow_in",
				      bind ? json_true() : NULL));
}

static uint64_t take_wake(struct writer *writer, int pid)
{
	struct wake *wake = &writer->wakes[(unsigned int)pid % WAKES];
	uint64_t number = wake->pid == pid ? wake->number : 0;

	if (number)
		wake->number = 0;
	return number;
}

static void on_switch(struct writer *writer, const struct kt_ftrace_event *event, uint64_t at_ns)
{
	struct cpu *cpu = &writer->cpus[event->cpu];

	if (cpu->task.pid < 0)
		cpu->task = event->before;
	put_run(writer, event->cpu, at_ns, event->state);
	cpu->task = event->task;
	cpu->since_ns = at_ns;
	cpu->wake = take_wake(writer, event->task.pid);
}

static void on_waking(struct writer *writer, const struct kt_ftrace_event *event, uint64_t at_ns)
{
	struct wake *wake = &writer->wakes[(unsigned int)event->task.pid % WAKES];
	struct kt_ftrace_name name = event->task.name;
	KT_FREE char *text = kt_format("wakes %.*s", (int)KT_MIN(name.len, NAME_LEN), name.at);

	if (!text || !has_room(writer))
		return;
	*wake = (struct wake){ event->task.pid, ++writer->n_wakes };
	kt_tracks_put_slice(writer->tracks, track_of(writer, (int)event->cpu), "wake",
			    kt_json_text(text, strlen(text)), span_of(writer, at_ns, at_ns),
			    json_pack("{s{si sI} so sb}", "args", "pid", event->task.pid,
				      "guest_ns", (json_int_t)at_ns, "bind_id",
				      bind_json(writer, wake->number), "flow_out", true));
}

static void put_moment(struct writer *writer, struct kt_ftrace_name text, uint64_t at_ns)
{
	struct kt_track track = track_of(writer, TEST_THREAD);

	if (has_room(writer))
		kt_tracks_put(writer->tracks,
			      json_pack("{ss ss so ss sf si si s{sI}}", "ph", "i", "s", "p", "name",
					name_json(text), "cat", "mark", "ts",
					kt_tracks_us(writer->tracks, place(writer, at_ns)), "pid",
					track.process, "tid", track.thread, "args", "guest_ns",
					(json_int_t)at_ns));
}

/* Ends the innermost of the marks that last. */
static void end_mark(struct writer *writer, uint64_t at_ns)
{
	const struct mark *mark;

	if (!writer->n_marks || --writer->n_marks >= MARKS)
		return;
	mark = &writer->marks[writer->n_marks];
	if (has_room(writer))
		kt_tracks_put_slice(
			writer->tracks, track_of(writer, TEST_THREAD), "mark",
			name_json(mark->text), span_of(writer, mark->since_ns, at_ns),
			json_pack("{s{sI}}", "args", "guest_ns", (json_int_t)mark->since_ns));
}

static void on_mark(struct writer *writer, const struct kt_ftrace_event *event, uint64_t at_ns)
{
	writer->has_marks = true;
	if (event->mark == 'I')
		put_moment(writer, event->text, at_ns);
	else if (event->mark == 'E')
		end_mark(writer, at_ns);
	else if (writer->n_marks++ < MARKS)
		writer->marks[writer->n_marks - 1] = (struct mark){ event->text, at_ns };
}

static void on_event(struct writer *writer, const struct kt_ftrace_event *event)
{
	struct cpu *cpu = &writer->cpus[event->cpu];
	uint64_t at_ns = KT_MAX(event->at_ns, writer->last_ns);

	if (event->kind == KT_FTRACE_BEGAN)
		return;
	writer->last_ns = at_ns;
	if (!cpu->seen)
		*cpu = (struct cpu){ .seen = true, .task.pid = -1, .since_ns = at_ns };
	if (event->kind == KT_FTRACE_SWITCH)
		on_switch(writer, event, at_ns);
	else if (event->kind == KT_FTRACE_WAKING)
		on_waking(writer, event, at_ns);
	else
		on_mark(writer, event, at_ns);
}

/* What still lasts ends with the trace, and the tracks that there are get their names. */
static void end_tracks(struct writer *writer)
{
	char name[32];

	while (writer->n_marks)
		end_mark(writer, writer->last_ns);
	if (writer->has_marks)
		kt_tracks_put_name(writer->tracks, "thread_name", track_of(writer, TEST_THREAD),
				   "test");
	for (unsigned int i = 0; i < KT_FTRACE_CPUS; i++) {
		if (!writer->cpus[i].seen)
			continue;
		put_run(writer, i, writer->last_ns, NULL);
		(void)snprintf(name, sizeof(name), "CPU %u", i);
		kt_tracks_put_name(writer->tracks, "thread_name", track_of(writer, (int)i), name);
	}
}

int kt_guest_trace_put(const struct kt_guest_trace *trace, const struct kt_guest_clock *clock,
		       int process, size_t max, struct kt_tracks *tracks)
{
	KT_FREE struct writer *writer = calloc(1, sizeof(*writer));
	const char *end = trace->text + trace->len - 1;
	struct kt_ftrace_event event;

	if (!writer)
		return -ENOMEM;
	writer->trace = trace;
	writer->clock = clock;
	writer->tracks = tracks;
	writer->process = process;
	writer->max = max;
	for (const char *at = trace->text; at < end; at += strlen(at) + 1) {
		if (kt_ftrace_parse(at, &event) == 0)
			on_event(writer, &event);
	}
	end_tracks(writer);
	return (int)KT_MIN(writer->n_left, (unsigned int)INT_MAX);
}
