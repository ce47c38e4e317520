/* SPDX-License-Identifier: MIT */
/* Stories of snapshots that are made by hand, and their texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

UNIT_SUITE(story);
UNIT_SUITE(story_text);

/* JSON with ' in place of ". */
static json_t *parse(const char *text)
{
	KT_FREE char *copy = strdup(text);
	json_error_t error;
	json_t *json;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(copy, JSON_DECODE_ANY, &error);
	cr_assert(json != NULL, "%s at %d: %s", error.text, error.position, copy);
	return json;
}

#define KERNEL "'kernel': {'jiffy_ns': 4000000}, 'name': 'exit-claimed', 'reason': 'exit-claimed'"
#define SCHED(kind, info)                                                                          \
	"'schedulers': [{'name': 'fault', 'address': '0xa', 'exit_kind': '" kind                   \
	"', 'watchdog_timeout': 100, 'exit_info': {" info "}}]"
#define STALL   SCHED("SCX_EXIT_ERROR_STALL", "'kind': 'SCX_EXIT_NONE', 'msg': ''")
#define NO_INFO "'kind': 'SCX_EXIT_NONE', 'msg': ''"
#define CPU(n, pid, comm, class)                                                                   \
	"{'cpu': " n ", 'task': {'pid': " pid ", 'comm': '" comm "', 'class': '" class "'}}"
#define TASK(pid, comm, cpu, cpus, dsq, ops, age)                                                  \
	"{'pid': " pid ", 'comm': '" comm "', 'class': 'ext', 'cpu': " cpu ", 'cpus': '" cpus      \
	"', 'on_rq': true, 'on_cpu': false, 'runnable_for': " age ", 'address': '0x" pid           \
	"', 'exec_ns': 1000000, 'scx': {'sched': '0xa', 'dsq': '" dsq "', 'ops_state': '" ops      \
	"', 'flags': ['SCX_TASK_QUEUED']}}"
#define QUEUE(kind, id, address, rest)                                                             \
	"{'kind': '" kind "', 'id': " id ", 'address': '" address "', 'nr': 2" rest "}"
#define REPORT(sched, queues, cpus, tasks)                                                         \
	"{" KERNEL ", 'scx': {" sched ", 'queues': [" queues "]}, 'cpus': [" cpus                  \
	"], 'tasks': [" tasks "]}"

static json_t *tell(const char *report)
{
	KT_JSON json_t *at = parse(report);
	const struct kt_story_reports reports = { .at = at };
	json_t *story = kt_story_make(&reports);

	cr_assert(story != NULL);
	return story;
}

/* A member by its path, as text. */
static const char *at(const json_t *json, const char *path)
{
	static char text[200];
	KT_FREE char *copy = strdup(path);
	char *save;

	for (char *name = strtok_r(copy, ".", &save); name; name = strtok_r(NULL, ".", &save))
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name))
					   : json_object_get(json, name);
	if (json_is_string(json))
		(void)snprintf(text, sizeof(text), "%s", json_string_value(json));
	else if (json_is_integer(json))
		(void)snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(json));
	else
		(void)snprintf(text, sizeof(text), "%s",
			       json_is_null(json)    ? "null"
			       : json_is_true(json)  ? "true"
			       : json_is_false(json) ? "false"
			       : json                ? "more"
						     : "none");
	return text;
}

#define EXPECT(json, path, text) cr_expect(eq(str, (char *)at(json, path), (char *)(text)), path)

static void expect_line(const json_t *story, const char *line)
{
	KT_FREE char *text = kt_story_text(story);

	cr_assert(text != NULL);
	cr_expect(strstr(text, line) != NULL, "'%s' is not in:\n%s", line, text);
}

/* ---- Causes ---- */

#define SPIN(age) TASK("7", "spin", "1", "0x3", "0xd", "SCX_OPSS_NONE", age)
#define USER      QUEUE("user", "1", "0xd", ", 'tasks': [{'pid': 8}, {'pid': 7}]")

Test(story, a_task_that_an_idle_cpu_could_run_is_forgotten)
{
	KT_JSON json_t *story = tell(REPORT(
		STALL, USER, CPU("0", "0", "swapper/0", "idle") "," CPU("1", "9", "hog", "rt"),
		SPIN("90")));

	EXPECT(story, "scheduler", "fault");
	EXPECT(story, "kind", "SCX_EXIT_ERROR_STALL");
	EXPECT(story, "watchdog_ns", "400000000");
	EXPECT(story, "culprit.pid", "7");
	EXPECT(story, "culprit.comm", "spin");
	EXPECT(story, "culprit.cpu", "1");
	EXPECT(story, "culprit.waited_ns", "360000000");
	EXPECT(story, "culprit.queue.kind", "user");
	EXPECT(story, "culprit.queue.id", "1");
	EXPECT(story, "culprit.queue.place", "1");
	EXPECT(story, "culprit.cause", "forgotten");
	EXPECT(story, "culprit.named", "false");
	expect_line(story, "spin[7] has waited for 360 ms on CPU 1, in queue 1 of the scheduler, "
			   "2 of 2 there\n");
	expect_line(story, "the scheduler forgot it");
	expect_line(story, "CPU 0: idle\nCPU 1: hog[9] (rt)\n");
}

/* It finds the stall from a task of sched_ext, which has the CPU then. */
Test(story, the_watchdog_does_not_keep_a_cpu_busy)
{
#define WATCHES                                                                                    \
	"{'cpu': 0, 'task': {'pid': 4, 'comm': 'kworker', 'class': 'ext'}, 'stack': ["             \
	"'scx_claim_exit+0x1', 'scx_watchdog_workfn+0x2']}"
	KT_JSON json_t *idle = tell(REPORT(STALL, USER, WATCHES, SPIN("90")));
	KT_JSON json_t *busy =
		tell(REPORT(STALL, USER, WATCHES,
			    SPIN("90") "," TASK("8", "other", "0", "0x1", "0xe", "", "2")));
	KT_JSON json_t *same =
		tell(REPORT(STALL, USER, WATCHES,
			    SPIN("90") "," TASK("8", "other", "0", "0x1", "0xd", "", "9")));

	KT_JSON json_t *woken =
		tell(REPORT(STALL, USER, WATCHES,
			    SPIN("90") "," TASK("8", "other", "0", "0x1", "0xe", "", "1")));

	EXPECT(woken, "culprit.cause", "forgotten");
	EXPECT(idle, "culprit.cause", "forgotten");
	EXPECT(busy, "culprit.cause", "passed-over");
	EXPECT(same, "culprit.cause", "forgotten");
}

/* What is on the CPU when the error is found may just have come there. */
Test(story, what_ran_before_tells_whether_a_cpu_had_time)
{
#define CLOCK(ns)   "'runqueues': [{'cpu': 0, 'clock': " ns "}]"
#define HOG(ns)     "{'pid': 8, 'comm': 'x', 'cpu': 0, 'address': '0x8', 'exec_ns': " ns "}"
#define BEFORE(old) "{'name': 'half-watchdog', " CLOCK("100") ", 'tasks': [" old "]}"
#define AFTER(ns)                                                                                  \
	"{" KERNEL ", " CLOCK("1100") ", 'scx': {" STALL ", 'queues': [" USER "]}, 'cpus': [" CPU( \
		"0", "8", "x", "ext") "], 'tasks': [" HOG(ns) "," SPIN("90") "]}"
	static const struct {
		const char *before, *after, *cause;
	} cases[] = {
		{ BEFORE(HOG("7")), AFTER("507"), "passed-over" }, /* for half of the time */
		{ BEFORE(HOG("7")), AFTER("506"), "forgotten" },
		{ BEFORE(HOG("7")), AFTER("7"), "forgotten" },
		{ BEFORE("{}"), AFTER("507"), "passed-over" }, /* it has begun since */
		{ BEFORE("{}"), AFTER("20"), "forgotten" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_JSON json_t *before = parse(cases[i].before), *after = parse(cases[i].after);
		const struct kt_story_reports reports = { .before = before, .at = after };
		KT_JSON json_t *story = kt_story_make(&reports);

		cr_expect(eq(str, (char *)at(story, "culprit.cause"), (char *)cases[i].cause),
			  "%zu", i);
	}
}

Test(story, a_real_time_task_on_every_cpu_is_the_cause)
{
	KT_JSON json_t *all =
		tell(REPORT(STALL, USER, CPU("0", "8", "hog", "rt") "," CPU("1", "9", "hog", "rt"),
			    SPIN("90")));
	/* It may use CPU 1 only, and CPU 0 idles. */
	KT_JSON json_t *pinned = tell(REPORT(
		STALL, USER, CPU("0", "0", "swapper/0", "idle") "," CPU("1", "9", "hog", "rt"),
		TASK("7", "spin", "1", "0x2", "0xd", "SCX_OPSS_NONE", "90")));
	/* The local queue of CPU 1 leads to that alone. */
	KT_JSON json_t *local = tell(REPORT(
		STALL, QUEUE("local", "'L'", "0xd", ", 'cpu': 1"),
		CPU("0", "0", "swapper/0", "idle") "," CPU("1", "9", "hog", "rt"), SPIN("90")));

	EXPECT(all, "culprit.cause", "rt");
	EXPECT(pinned, "culprit.cause", "rt");
	EXPECT(local, "culprit.cause", "rt");
	EXPECT(local, "culprit.queue.cpu", "1");
	expect_line(local, "in the local queue of CPU 1");
	expect_line(local, "real-time tasks have every CPU for it");
}

Test(story, other_classes_are_told_apart)
{
	KT_JSON json_t *dl = tell(REPORT(
		STALL, USER, CPU("0", "8", "hog", "rt") "," CPU("1", "9", "d", "dl"), SPIN("90")));
	KT_JSON json_t *ext = tell(REPORT(
		STALL, USER, CPU("0", "8", "x", "ext") "," CPU("1", "9", "hog", "rt"), SPIN("90")));
	KT_JSON json_t *fair = tell(REPORT(STALL, USER, CPU("0", "8", "x", "fair"), SPIN("90")));
	KT_JSON json_t *unknown = tell(REPORT(STALL, USER, "{'cpu': 0}", SPIN("90")));

	EXPECT(dl, "culprit.cause", "dl");
	EXPECT(ext, "culprit.cause", "passed-over");
	EXPECT(fair, "culprit.cause", "fair");
	EXPECT(unknown, "culprit.cause", "null");
}

Test(story, where_a_task_is_that_is_in_no_queue)
{
#define IN(ops) REPORT(STALL, "", "", TASK("7", "s", "0", "0x1", "0x0", ops, "90"))
	KT_JSON json_t *kept = tell(IN("SCX_OPSS_QUEUED"));
	KT_JSON json_t *moving = tell(IN("SCX_OPSS_DISPATCHING"));
	KT_JSON json_t *global =
		tell(REPORT(STALL, QUEUE("global", "'G'", "0xd", ""), "", SPIN("90")));

	EXPECT(kept, "culprit.queue.kind", "bpf");
	EXPECT(moving, "culprit.queue.kind", "moving");
	EXPECT(global, "culprit.queue.kind", "global");
	expect_line(kept, "the scheduler's program keeps it");
	expect_line(global, "in the global queue\n");
}

/* ---- The culprit ---- */

Test(story, the_longest_waiter_is_the_culprit_and_the_rest_is_bounded)
{
	char tasks[8000] = "", report[9000];

	for (int i = 0; i < 20; i++)
		(void)snprintf(tasks + strlen(tasks), sizeof(tasks) - strlen(tasks),
			       "%s{'pid': %d, 'comm': 't', 'class': 'ext', 'runnable_for': %d, "
			       "'scx': {'flags': ['SCX_TASK_QUEUED']}}",
			       i ? "," : "", i, i * 7 % 20 + 60);
	(void)snprintf(report, sizeof(report), "{%s, 'scx': {%s}, 'tasks': [%s]}", KERNEL, STALL,
		       tasks);
	{
		KT_JSON json_t *story = tell(report);

		EXPECT(story, "culprit.pid", "17"); /* 17 * 7 % 20 is 19 */
		EXPECT(story, "waiting.0.waited_jiffies", "79");
		EXPECT(story, "waiting.7.waited_jiffies", "72");
		EXPECT(story, "waiting.8.pid", "none");
		EXPECT(story, "more_waiting", "12");
		expect_line(story, "also waiting: t[14] 312 ms, t[11] 308 ms, t[8] 304 ms and 16 "
				   "more\n");
	}
}

/* Waiting is no fault before half of the watchdog's time, unless the kernel says so. */
Test(story, who_waits_a_little_is_no_culprit)
{
	KT_JSON json_t *error =
		tell(REPORT(SCHED("SCX_EXIT_ERROR_BPF", NO_INFO), USER, "", SPIN("49")));
	KT_JSON json_t *half =
		tell(REPORT(SCHED("SCX_EXIT_ERROR_BPF", NO_INFO), USER, "", SPIN("50")));
	KT_JSON json_t *stall = tell(REPORT(STALL, USER, "", SPIN("3")));

	EXPECT(error, "culprit", "null");
	EXPECT(half, "culprit.pid", "7");
	EXPECT(stall, "culprit.pid", "7");
}

/* A task of another scheduler, one that is not queued, and one that does not wait. */
Test(story, tasks_of_others_do_not_count)
{
	KT_JSON json_t *story = tell("{" KERNEL ", 'scx': {" STALL "}, 'tasks': ["
				     "{'pid': 1, 'runnable_for': 90, 'scx': {'sched': '0xb'}},"
				     "{'pid': 2, 'runnable_for': 90, 'scx': {'flags': ['X']}},"
				     "{'pid': 3, 'runnable_for': null}, {'error': 'gone'}]}");

	EXPECT(story, "culprit", "null");
	EXPECT(story, "waiting.0", "none");
}

#define TOLD(message)                                                                              \
	SCHED("SCX_EXIT_DONE",                                                                     \
	      "'kind': 'SCX_EXIT_ERROR', 'reason': 'runtime error', 'msg': '" message              \
	      "', 'exit_cpu': 1")

/* The message names it, whoever has waited longer; where it was comes from the first snapshot. */
/* Nothing of the kind was found yet: the story is of the scheduler that makes a task wait. */
Test(story, before_an_error_it_is_of_the_scheduler_that_is_late)
{
#define FAMILY(kind)                                                                               \
	"'schedulers': [{'name': 'parent', 'address': '0xa', 'exit_kind': 'SCX_EXIT_NONE', "       \
	"'watchdog_timeout': 1000}, {'name': 'child', 'address': '0xb', 'exit_kind': '" kind       \
	"', 'watchdog_timeout': 100}]"
#define OF_CHILD(age)                                                                              \
	"{'pid': 8, 'comm': 'late', 'class': 'ext', 'cpu': 0, 'runnable_for': " age                \
	", 'scx': {'sched': '0xb', 'flags': ['SCX_TASK_QUEUED']}}"
#define NONE "SCX_EXIT_NONE"
	KT_JSON json_t *late = tell(REPORT(FAMILY(NONE), "", "", SPIN("60") "," OF_CHILD("50")));
	KT_JSON json_t *early = tell(REPORT(FAMILY(NONE), "", "", SPIN("60") "," OF_CHILD("49")));
	KT_JSON json_t *root = tell(REPORT(FAMILY(NONE), "", "", SPIN("600") "," OF_CHILD("50")));

	EXPECT(late, "scheduler", "child");
	EXPECT(late, "culprit.pid", "8");
	EXPECT(late, "watchdog_ns", "400000000");
	EXPECT(early, "scheduler", "parent");
	EXPECT(early, "culprit", "null");
	EXPECT(root, "scheduler", "parent");
	EXPECT(root, "culprit.pid", "7");
}

/* When the message of the child is complete, its parent may have erred, too. */
Test(story, the_message_is_that_of_the_same_scheduler)
{
	KT_JSON json_t *claimed = parse(REPORT(FAMILY("SCX_EXIT_ERROR"), "", "", ""));
	KT_JSON json_t *told = parse(
		"{'scx': {'schedulers': ["
		"{'name': 'parent', 'address': '0xa', 'exit_info': {'kind': 'SCX_EXIT_ERROR', "
		"'msg': 'of the parent'}}, {'name': 'child', 'address': '0xb', 'exit_info': "
		"{'kind': 'SCX_EXIT_ERROR_STALL', 'msg': 'of the child'}}]}}");
	const struct kt_story_reports reports = { .at = claimed, .told = told };
	KT_JSON json_t *story = kt_story_make(&reports);

	EXPECT(story, "scheduler", "child");
	EXPECT(story, "kind", "SCX_EXIT_ERROR_STALL");
	EXPECT(story, "message", "of the child");
}

Test(story, a_killed_program_is_the_culprit)
{
#define KILLED(reason, stack)                                                                      \
	"{'kernel': {'jiffy_ns': 4000000}, 'name': 'k', 'reason': '" reason "', 'vcpu': 1, "       \
	"'scx': {" SCHED("SCX_EXIT_UNREG", NO_INFO) "}, 'cpus': [" CPU(                            \
		"0", "9", "hog",                                                                   \
		"rt") ", {'cpu': 1, 'task': {'pid': 8, 'comm': 'loader', 'class': 'ext'}, "        \
		      "'stack': [" stack                                                           \
		      "]}], 'tasks': [" SPIN(                                                      \
			      "90") ", {'pid': 8, 'comm': 'loader', 'class': 'ext', 'cpu': 1, "    \
				    "'on_cpu': true, 'runnable_for': null}]}"
	KT_JSON json_t *story =
		tell(KILLED("program-killed", "'scx_disable+0x1', 'bpf_scx_unreg+0x2'"));
	KT_JSON json_t *claimed = tell(KILLED("exit-claimed", "'bpf_scx_unreg+0x2'"));

	EXPECT(story, "kind", "SCX_EXIT_UNREG");
	EXPECT(story, "cpu", "1");
	EXPECT(story, "running.pid", "8");
	EXPECT(story, "found_in.0", "bpf_scx_unreg");
	EXPECT(story, "culprit.pid", "8");
	EXPECT(story, "culprit.cpu", "1");
	EXPECT(story, "culprit.cause", "killed");
	EXPECT(story, "culprit.named", "false");
	expect_line(story, "loader[8] is the scheduler's program, and was killed on CPU 1\n");
	expect_line(story, "also waiting: spin[7] 360 ms\n");
	/* Any other report is of a task that waits. */
	EXPECT(claimed, "culprit.pid", "7");
}

Test(story, the_kernels_message_names_the_culprit)
{
	KT_JSON json_t *claimed = parse(
		REPORT(SCHED("SCX_EXIT_ERROR", NO_INFO), USER, "",
		       SPIN("0") "," TASK("9", "old", "0", "0x1", "0xe", "SCX_OPSS_NONE", "90")));
	KT_JSON json_t *told = parse(REPORT(
		TOLD("SCX_DSQ_LOCAL[_ON] target CPU 3 not allowed for spin[7]"), "", "", ""));
	const struct kt_story_reports reports = { .at = claimed, .told = told };
	KT_JSON json_t *story = kt_story_make(&reports);

	EXPECT(story, "kind", "SCX_EXIT_ERROR");
	EXPECT(story, "reason", "runtime error");
	EXPECT(story, "cpu", "1");
	EXPECT(story, "culprit.pid", "7");
	EXPECT(story, "culprit.named", "true");
	EXPECT(story, "culprit.target_cpu", "3");
	EXPECT(story, "culprit.queue.id", "1");
	expect_line(story, "scheduler fault: runtime error (SCX_EXIT_ERROR): SCX_DSQ_LOCAL[_ON] "
			   "target CPU 3 not allowed for spin[7]\n");
	expect_line(story, "spin[7] was sent to CPU 3, and is on CPU 1\n");
}

/* A name in brackets is no task unless its name stands before it. */
Test(story, a_message_can_lie)
{
	static const char *const messages[] = {
		"spin[8]", "pink[7]", "pin[7]x", "[7]", "spin[]", "spin[99999999999999999999]",
		"spin[7",  "",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(messages); i++) {
		char report[1500];

		(void)snprintf(
			report, sizeof(report),
			REPORT(SCHED("SCX_EXIT_DONE", "'kind': 'SCX_EXIT_ERROR', 'msg': '%s'"), "",
			       "", SPIN("1")),
			messages[i]);
		{
			KT_JSON json_t *story = tell(report);

			/* The second one is a name that ends with the other one's. */
			cr_expect(eq(str, (char *)at(story, "culprit"), "null"), "%s", messages[i]);
		}
	}
}

/* ---- Where it was found, and what ran ---- */

Test(story, the_stack_says_where_the_error_was_found)
{
	KT_JSON json_t *story = tell("{" KERNEL ", 'vcpu': 1, 'scx': {" SCHED(
		"SCX_EXIT_ERROR_BPF",
		NO_INFO) "}, 'cpus': [{'cpu': 0, 'stack': ['x+0x1']}, {'cpu': 1, 'task': {'pid': "
			 "5, 'comm': 'a', 'class': 'rt'}, 'stack': ["
			 "'scx_claim_exit+0x1d', 'scx_exit_bstr+0x63', 'scx_bpf_error_bstr+0x60', "
			 "'0x1010', '0x9999', '? guess+0x1', 'entry+0x2', 'last+0x1']}], "
			 "'programs': "
			 "[{'name': 'fault_tick', 'code': '0x1000', 'code_len': 17}]}");

	EXPECT(story, "cpu", "1");
	EXPECT(story, "running.pid", "5");
	EXPECT(story, "found_in.0", "scx_bpf_error_bstr");
	EXPECT(story, "found_in.1", "fault_tick");
	EXPECT(story, "found_in.2", "0x9999");
	EXPECT(story, "found_in.3", "entry");
	EXPECT(story, "found_in.4", "none");
	expect_line(story, "found by CPU 1, which ran a[5] (rt), in scx_bpf_error_bstr < "
			   "fault_tick < 0x9999 < entry\n");
}

Test(story, what_ran_since_an_earlier_snapshot)
{
	KT_JSON json_t *before = parse(
		"{'name': 'half-watchdog', 'runqueues': [{'cpu': 0, 'clock': 1000000}], 'tasks': ["
		"{'pid': 1, 'exec_ns': 5, 'address': '0x1'}, {'pid': 2, 'exec_ns': 5, 'address': "
		"'0x2'}, {'pid': 3, 'exec_ns': 5, 'address': '0x33'}]}");
	KT_JSON json_t *now = parse(
		"{" KERNEL ", 'runqueues': [{'cpu': 0, 'clock': 251000000}], 'scx': {" STALL "}, "
		"'cpus': [" CPU(
			"0", "2", "hog",
			"rt") "], 'tasks': ["
			      "{'pid': 1, 'cpu': 0, 'comm': 'a', 'class': 'ext', 'exec_ns': "
			      "50000005, 'address': "
			      "'0x1'}, {'pid': 2, 'cpu': 0, 'comm': 'hog', 'class': 'rt', "
			      "'exec_ns': 200000005, "
			      "'address': '0x2'}, {'pid': 3, 'cpu': 0, 'comm': 'new', 'exec_ns': "
			      "900, 'address': "
			      "'0x3'}, {'pid': 4, 'cpu': 0, 'exec_ns': -9223372036854775807}]}");
	const struct kt_story_reports reports = { .before = before, .at = now };
	KT_JSON json_t *story = kt_story_make(&reports);

	EXPECT(story, "since.snapshot", "half-watchdog");
	EXPECT(story, "since.ns", "250000000");
	EXPECT(story, "cpus.0.ran.0.comm", "hog");
	EXPECT(story, "cpus.0.ran.0.class", "rt");
	EXPECT(story, "cpus.0.ran.0.ns", "200000000");
	EXPECT(story, "cpus.0.ran.1.comm", "a");
	EXPECT(story, "cpus.0.ran.2", "none"); /* another task had the id before */
	expect_line(story, "CPU 0: hog[2] (rt); before: hog[2] (rt) 200 ms, a[1] (ext) 50 ms\n");
	expect_line(story, "before is since the snapshot half-watchdog, 250 ms earlier\n");
}

/* ---- What there is not ---- */

Test(story, no_scheduler_no_story)
{
	static const char *const reports[] = {
		"{}",
		"[]",
		"1",
		"{'scx': {'error': 'none'}}",
		"{'scx': {'schedulers': []}}",
		"{'scx': {'schedulers': [{'error': 'no'}]}}",
		"{'error': 'placeholder'}",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(reports); i++) {
		KT_JSON json_t *story = tell(reports[i]);
		KT_FREE char *text = kt_story_text(story);

		cr_expect(eq(str, (char *)at(story, ""), "null"), "%s", reports[i]);
		cr_expect(eq(str, text, ""));
	}
	cr_expect(kt_story_make(&(struct kt_story_reports){ .at = NULL }) == json_null());
}

/* A watchdog of all schedulers, and no length of a jiffy: 6.16, and a kernel without the symbol. */
Test(story, what_a_kernel_lacks_is_left_out)
{
	KT_JSON json_t *story = tell("{'scx': {'watchdog_timeout': 100, 'schedulers': [{'name': "
				     "'f', 'exit_kind': 'SCX_EXIT_ERROR_STALL'}]}, 'tasks': ["
				     "{'pid': 1, 'comm': 'a', 'runnable_for': 90}]}");

	EXPECT(story, "watchdog_ns", "null");
	EXPECT(story, "cpu", "null");
	EXPECT(story, "culprit.waited_ns", "null");
	EXPECT(story, "culprit.waited_jiffies", "90");
	expect_line(story, "a[1] has waited for 90 jiffies on CPU -1");
}

/* ---- Text ---- */

Test(story_text, control_characters_of_the_guest_do_nothing)
{
	KT_JSON json_t *story = tell("{'scx': {'schedulers': [{'name': 'f\\u001b[2J\\n', "
				     "'exit_kind': 'SCX_EXIT_ERROR_STALL', 'exit_info': {'kind': "
				     "'K', 'reason': '\\u009b31m\\u007f', 'msg': 'a\\r\\nb'}}]}}");
	KT_FREE char *text = kt_story_text(story);

	cr_expect(eq(str, text, "scheduler f [2J :  31m  (K): a  b\n"));
}

Test(story_text, a_story_is_short_whatever_it_is)
{
	KT_JSON json_t *story = parse("{'scheduler': 's', 'kind': 'k', 'cpu': 1, 'cpus': [], "
				      "'waiting': [], 'found_in': [], 'more_waiting': "
				      "9223372036854775807, 'culprit': {'queue': {'place': "
				      "9223372036854775807}}}");
	json_t *cpus = json_object_get(story, "cpus"), *waiting = json_object_get(story, "waiting");
	KT_FREE char *text = NULL;
	unsigned int lines = 0;

	for (int i = 0; i < 5000; i++) {
		(void)json_array_append_new(cpus, json_object());
		(void)json_array_append_new(waiting, json_pack("{s:i}", "pid", i));
	}
	text = kt_story_text(story);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	cr_expect(le(u32, lines, KT_STORY_LINES));
	cr_expect(strstr(text, "and 4984 more CPUs\n") != NULL);
}
