/* SPDX-License-Identifier: MIT */
/* The trace of a guest: what is read of its lines, and the tracks that become of it. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "framework/report/ftrace.h"
#include "framework/report/guest_trace.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(guest_trace);

#define WAKING "sched_waking: comm=w pid=77 prio=120 target_cpu=001\n"
#define TO_W                                                                                       \
	"prev_comm=swapper/1 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=w next_pid=77 "
#define FROM_W                                                                                     \
	"prev_comm=w prev_pid=77 prev_prio=120 prev_state=S ==> next_comm=swapper/1 next_pid=0 "
#define WITH(x) "sched_switch: " x "next_prio=120\n"
#define ON(cpu) "           ktest-1       [00" #cpu "] d..2.    "

/* From 9 s to 11 s on the guest's clock; the test begins at 10 s. */
static const char text[] =
	"# tracer: nop\n" ON(0) " 9.000000: tracing_mark_write: B|1|step running\n" ON(
		0) "10.000100: " WAKING
		ON(1) "10.000110: " WITH(TO_W)
			ON(1) "10.000300: " WITH(FROM_W) "[... 17 bytes left out ...]\n" ON(
				0) "10.500000: tracing_mark_write: I|1|scheduler enabled: "
				   "fifo\n" ON(0) "11.000000: tracing_mark_write: E|1|\n"
						  "# ktest: the test began at 10.000000000\n";

static struct kt_ftrace_event parse(const char *line)
{
	struct kt_ftrace_event event;

	cr_assert(zero(int, kt_ftrace_parse(line, &event)), "%s", line);
	return event;
}

static void expect_name(struct kt_ftrace_name name, const char *expected)
{
	KT_FREE char *copy = strndup(name.at, name.len);

	cr_expect(eq(str, copy, (char *)expected));
}

Test(guest_trace, a_line_is_read)
{
	struct kt_ftrace_event event = parse(ON(3) "12.345678: " WITH(TO_W));

	cr_expect(eq(int, event.kind, KT_FTRACE_SWITCH));
	cr_expect(eq(u32, event.cpu, 3));
	cr_expect(eq(u64, event.at_ns, 12345678000));
	cr_expect(eq(int, event.before.pid, 0));
	cr_expect(eq(int, event.task.pid, 77));
	cr_expect(eq(str, event.state, (char *)"R"));
	expect_name(event.task.name, "w");
	expect_name(event.before.name, "swapper/1");
	event = parse("# ktest: the test began at 7.000000009");
	cr_expect(eq(u64, event.at_ns, 7000000009));
}

Test(guest_trace, names_may_hold_anything)
{
	struct kt_ftrace_event event =
		parse(" a] [9] 1.2: x:--7       [000] d..2. 1.000000: sched_switch: "
		      "prev_comm= prev_pid=9 prev_pid=7 prev_prio=120 prev_state=D|K ==> "
		      "next_comm=-next_pid= next_pid=8 next_prio=-1");

	cr_expect(eq(u32, event.cpu, 0));
	expect_name(event.before.name, " prev_pid=9");
	cr_expect(eq(int, event.before.pid, 7));
	cr_expect(eq(str, event.state, (char *)"D|K"));
	expect_name(event.task.name, "-next_pid=");
	cr_expect(eq(int, event.task.prio, -1));
}

Test(guest_trace, other_lines_are_passed_over)
{
	static const char *const lines[] = {
		"",
		"# entries",
		"# ktest: the test began at 1.x",
		"[... 17 bytes left out ...]",
		ON(0) "1.000000: sched_stat: x",
		ON(0) "1.000000: sched_waking: comm=x",
		ON(0) "1.9999999: " WAKING,
		ON(999) "1.000000: " WAKING,
		ON(0) "1.000000: tracing_mark_write: Z|1|x",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(lines); i++) {
		struct kt_ftrace_event event;

		cr_expect(eq(int, kt_ftrace_parse(lines[i], &event), -EINVAL), "%s", lines[i]);
	}
}

/* The only event of a kind and a name. */
static const json_t *find(const json_t *events, const char *kind, const char *name)
{
	const json_t *event, *found = NULL;
	size_t i;

	json_array_foreach((json_t *)events, i, event)
	{
		if (strcmp(kt_json_str(event, "ph"), kind) ||
		    strcmp(kt_json_str(event, "name"), name))
			continue;
		cr_expect(zero(ptr, (void *)found), "%s is there twice", name);
		found = event;
	}
	cr_assert(not(zero(ptr, (void *)found)), "%s", name);
	return found;
}

/* The events of @trace, whose test lies in the second from 1 s to 2 s of the file. */
static json_t *tracks_of(unsigned int mips, size_t max, int left)
{
	KT_CLEANUP(kt_guest_trace_deinit) struct kt_guest_trace trace = KT_GUEST_TRACE_NULL;
	KT_CLEANUP(kt_tracks_deinit) struct kt_tracks tracks;
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_guest_clock clock;
	KT_JSON json_t *json = NULL;
	KT_FREE char *file = NULL;
	size_t len;

	cr_assert(zero(int, kt_tracks_init(&tracks)));
	outcome.mips = mips;
	outcome.result.since_begin_ns = mips ? 3000000000 : 1000000000;
	cr_assert(zero(int, kt_guest_trace_init(&trace, strdup(text), strlen(text))));
	cr_expect(eq(u64, trace.lead_ns, 1000000000));
	clock = kt_guest_clock_of(
		&outcome,
		(struct kt_span){ tracks.began_ns + 1000000000, tracks.began_ns + 2000000000 },
		trace.lead_ns);
	cr_expect(eq(int, kt_guest_trace_put(&trace, &clock, 2, max, &tracks), left));
	file = kt_tracks_text(&tracks, json_object(), &len);
	cr_assert(zero(int, kt_json_parse(file, len, "file", &json, NULL)));
	return json_incref(json_object_get(json, "traceEvents"));
}

static void expect_place(const json_t *event, int thread, double begin_us, double len_us)
{
	cr_expect(eq(int, (int)json_integer_value(json_object_get(event, "tid")), thread));
	cr_expect(epsilon_eq(dbl, json_number_value(json_object_get(event, "ts")), begin_us, 0.01));
	cr_expect(epsilon_eq(dbl, json_number_value(json_object_get(event, "dur")), len_us, 0.01));
}

Test(guest_trace, real_time_ends_with_the_run)
{
	KT_JSON json_t *events = tracks_of(0, SIZE_MAX, 0);
	const json_t *run = find(events, "X", "w"), *wake = find(events, "X", "wakes w");

	expect_place(run, 2001, 1000110, 190);
	expect_place(wake, 2000, 1000100, 0);
	cr_expect(
		eq(str, (char *)kt_json_str(run, "bind_id"), (char *)kt_json_str(wake, "bind_id")));
	cr_expect(zero(int, !json_is_true(json_object_get(run, "flow_in"))));
	cr_expect(zero(int, !json_is_true(json_object_get(wake, "flow_out"))));
	/* What was before the phase begins with it. */
	expect_place(find(events, "X", "step running"), 2999, 1000000, 1000000);
	expect_place(find(events, "i", "scheduler enabled: fifo"), 2999, 1500000, 0);
}

/* Four seconds, of which one is before the test, become one. */
Test(guest_trace, virtual_time_is_stretched)
{
	KT_JSON json_t *events = tracks_of(100, SIZE_MAX, 0);
	json_int_t guest_ns;

	expect_place(find(events, "X", "w"), 2001, 1250027.5, 47.5);
	expect_place(find(events, "X", "step running"), 2999, 1000000, 500000);
	expect_place(find(events, "i", "scheduler enabled: fifo"), 2999, 1375000, 0);
	guest_ns = json_integer_value(
		json_object_get(json_object_get(find(events, "X", "w"), "args"), "guest_ns"));
	cr_expect(eq(long, (long)guest_ns, 10000110000));
}

Test(guest_trace, what_has_no_room_is_counted)
{
	KT_JSON json_t *events = tracks_of(100, 0, 3);

	/* The first event finds room, and the names of tracks always do. */
	cr_expect(eq(sz, json_array_size(events), 4));
}

Test(guest_trace, a_text_without_a_beginning_is_none)
{
	KT_CLEANUP(kt_guest_trace_deinit) struct kt_guest_trace trace = KT_GUEST_TRACE_NULL;

	cr_expect(eq(int, kt_guest_trace_init(&trace, strdup(ON(0) "1.0: x\n"), 7), -ENODATA));
}
