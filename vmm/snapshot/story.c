/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/story.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/json.h"

/*
 * Reports are searched as they are, without a model of them: a member that is missing, or of
 * another type, is one that is not known. Of every array, the first ITEMS_MAX elements count, so
 * that the time is bounded, too.
 *
 * The culprit is the scheduler's program, if that was killed; else the task that the message of the
 * kernel names, if there is such a task; else the one that has waited longest. Why that is, is told
 * by what the CPUs run on which it could: a class above sched_ext has them, other tasks of the
 * scheduler do, or one of them has time, and then the scheduler has forgotten the task.
 */

#define KILLED    "program-killed" /* the reason of a report, of vmm/freeze/ */
#define ITEMS_MAX 1024u
#define MOMENT    2   /* jiffies: tasks that the tick has woken wait for less */
#define MASK_CPUS 64u /* whose bits are in a report */

struct teller {
	const struct kt_story_reports *reports;
	const json_t *sched; /* the one that the story is about, at @at; NULL: none */
	const json_t *told;  /* the same where its message is complete */
	json_int_t jiffy_ns; /* 0: unknown */
	json_int_t patience; /* jiffies of the watchdog; 0: unknown */
	bool stalled;        /* the kernel itself says that a task waited too long */
};

/* ---- Members ---- */

static json_int_t number_of(const json_t *object, const char *name, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* A number that is not negative, so that a difference of two cannot overflow; else 0. */
static json_int_t natural_of(const json_t *object, const char *name)
{
	return KT_MAX(number_of(object, name, 0), 0);
}

/* Elements that count. */
static size_t count(const json_t *array)
{
	return KT_MIN(json_array_size(array), (size_t)ITEMS_MAX);
}

/* A text of the guest, of at most KT_STORY_TEXT bytes; null when there is none. */
static json_t *short_text(const char *text)
{
	size_t len = strlen(text), cut = KT_MIN(len, (size_t)KT_STORY_TEXT);

	/* Not in the middle of a character: its other bytes are 10xxxxxx in UTF-8. */
	while (cut < len && cut && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut ? json_stringn(text, cut) : json_null();
}

static json_t *short_member(const json_t *object, const char *name)
{
	return short_text(kt_json_str(object, name));
}

/* ---- The scheduler ---- */

static bool has_erred(const json_t *sched)
{
	const char *kind = kt_json_str(json_object_get(sched, "exit_info"), "kind");
	const char *claimed = kt_json_str(sched, "exit_kind");

	return (*kind && strcmp(kind, "SCX_EXIT_NONE")) ||
	       (*claimed && strcmp(claimed, "SCX_EXIT_NONE") && strcmp(claimed, "SCX_EXIT_DONE"));
}

/* What the kernel counts as waiting has this flag; a kernel whose types lack it has none. */
static bool is_queued(const json_t *task)
{
	const json_t *flags = json_object_get(json_object_get(task, "scx"), "flags");

	for (size_t i = 0; i < count(flags); i++)
		if (!strcmp(json_string_value(json_array_get(flags, i)) ?: "", "SCX_TASK_QUEUED"))
			return true;
	return !json_array_size(flags);
}

static const json_t *schedulers_of(const json_t *report)
{
	return json_object_get(json_object_get(report, "scx"), "schedulers");
}

static const json_t *sched_at(const json_t *report, const char *address)
{
	const json_t *scheds = schedulers_of(report);

	for (size_t i = 0; *address && i < count(scheds); i++)
		if (!strcmp(kt_json_str(json_array_get(scheds, i), "address"), address))
			return json_array_get(scheds, i);
	return NULL;
}

/* In jiffies; 0: unknown. Since Linux 7.1, each scheduler has its own. */
static json_int_t patience_of(const json_t *report, const json_t *sched)
{
	const json_t *scx = json_object_get(report, "scx");
	json_int_t jiffies =
		number_of(sched, "watchdog_timeout", number_of(scx, "watchdog_timeout", 0));

	return KT_MAX(jiffies, 0);
}

/* The scheduler of the task that has waited longest, if that is half of its watchdog's time. */
static const json_t *find_late(const json_t *report)
{
	const json_t *tasks = json_object_get(report, "tasks"), *late = NULL;
	json_int_t longest = 0;

	for (size_t i = 0; i < count(tasks); i++) {
		const json_t *task = json_array_get(tasks, i), *sched;
		json_int_t age = number_of(task, "runnable_for", -1);

		if (age <= longest || !is_queued(task))
			continue;
		sched = sched_at(report, kt_json_str(json_object_get(task, "scx"), "sched"));
		if (!sched || age < patience_of(report, sched) / 2)
			continue;
		longest = age;
		late = sched;
	}
	return late;
}

/* The scheduler that has erred; else one that makes a task wait; else the root, the first. */
static const json_t *find_sched(const json_t *report)
{
	const json_t *scheds = schedulers_of(report), *first = json_array_get(scheds, 0), *late;

	for (size_t i = 0; i < count(scheds); i++)
		if (has_erred(json_array_get(scheds, i)))
			return json_array_get(scheds, i);
	late = find_late(report);
	if (late)
		return late;
	return json_is_object(first) && json_object_get(first, "name") ? first : NULL;
}

/* The same scheduler where its message is complete. By then, others may have erred, too. */
static const json_t *find_told(const json_t *told, const json_t *sched)
{
	return sched_at(told, kt_json_str(sched, "address")) ?: find_sched(told);
}

static const json_t *exit_info(const struct teller *teller)
{
	return json_object_get(teller->told, "exit_info");
}

/* The kind of the exit, wherever it is: SCX_EXIT_DONE says only that the text is complete. */
static const char *kind_of(const struct teller *teller)
{
	const char *kind = kt_json_str(exit_info(teller), "kind");
	const char *claimed = kt_json_str(teller->sched, "exit_kind");

	if (*kind && strcmp(kind, "SCX_EXIT_NONE"))
		return kind;
	return strcmp(claimed, "SCX_EXIT_NONE") ? claimed : "";
}

/* ---- Tasks ---- */

static bool belongs(const struct teller *teller, const json_t *task)
{
	const char *sched = kt_json_str(json_object_get(task, "scx"), "sched");

	return !*sched || !strcmp(sched, kt_json_str(teller->sched, "address"));
}

/* How many jiffies a task has waited; -1: it does not. */
static json_int_t waited(const struct teller *teller, const json_t *task)
{
	json_int_t jiffies = number_of(task, "runnable_for", -1);

	return jiffies >= 0 && is_queued(task) && belongs(teller, task) ? jiffies : -1;
}

static const json_t *find_task(const json_t *report, json_int_t pid)
{
	const json_t *tasks = json_object_get(report, "tasks");

	for (size_t i = 0; i < count(tasks); i++)
		if (number_of(json_array_get(tasks, i), "pid", -1) == pid)
			return json_array_get(tasks, i);
	return NULL;
}

/* The number in brackets behind @at, which is the first of them; -1: there is none. */
static json_int_t bracketed(const char *at)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)at[1]))
		return -1;
	number = strtoll(at + 1, &end, 10);
	return *end == ']' && number <= UINT32_MAX ? number : -1;
}

/* The task that a message names as "COMM[PID]"; NULL: none of those in the report. */
static const json_t *named_task(const json_t *report, const char *message)
{
	for (const char *at = strchr(message, '['); at; at = strchr(at + 1, '[')) {
		json_int_t pid = bracketed(at);
		const json_t *task = pid >= 0 ? find_task(report, pid) : NULL;
		const char *comm = kt_json_str(task, "comm");
		size_t len = strlen(comm);

		if (len && len <= (size_t)(at - message) && !memcmp(at - len, comm, len))
			return task;
	}
	return NULL;
}

/* ---- Where a task waits ---- */

static size_t place_in(const json_t *queue, json_int_t pid)
{
	const json_t *tasks = json_object_get(queue, "tasks");

	for (size_t i = 0; i < count(tasks); i++)
		if (number_of(json_array_get(tasks, i), "pid", -1) == pid)
			return i;
	return SIZE_MAX;
}

static const json_t *find_queue(const json_t *report, const char *address)
{
	const json_t *queues = json_object_get(json_object_get(report, "scx"), "queues");

	for (size_t i = 0; *address && i < count(queues); i++)
		if (!strcmp(kt_json_str(json_array_get(queues, i), "address"), address))
			return json_array_get(queues, i);
	return NULL;
}

/* Where a task is that no queue has: the program has it, or the kernel moves it. */
static const char *unqueued(const json_t *task)
{
	const char *state = kt_json_str(json_object_get(task, "scx"), "ops_state");

	if (json_is_true(json_object_get(task, "on_cpu")))
		return "running";
	if (!strcmp(state, "SCX_OPSS_QUEUED"))
		return "bpf";
	return json_is_true(json_object_get(task, "on_rq")) ? "moving" : "none";
}

/* {"kind", "id", "cpu", "nr", "place"} */
static json_t *queue_json(const json_t *report, const json_t *task)
{
	const json_t *queue = find_queue(report, kt_json_str(json_object_get(task, "scx"), "dsq"));
	size_t place = queue ? place_in(queue, number_of(task, "pid", -1)) : SIZE_MAX;
	const json_t *id = json_object_get(queue, "id");

	if (!queue)
		return json_pack("{s:s, s:n, s:n, s:n, s:n}", "kind", unqueued(task), "id", "cpu",
				 "nr", "place");
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "kind", short_member(queue, "kind"), "id",
			 json_is_integer(id) ? json_integer(json_integer_value(id))
					     : short_member(queue, "id"),
			 "cpu",
			 json_is_integer(json_object_get(queue, "cpu"))
				 ? json_integer(number_of(queue, "cpu", 0))
				 : json_null(),
			 "nr", json_integer(number_of(queue, "nr", 0)), "place",
			 place == SIZE_MAX ? json_null() : json_integer((json_int_t)place));
}

/* A task of a report, with how long it has waited and where. */
static json_t *task_json(const struct teller *teller, const json_t *report, const json_t *task)
{
	json_int_t jiffies = waited(teller, task);
	bool known = jiffies >= 0 && teller->jiffy_ns && jiffies < INT64_MAX / teller->jiffy_ns;

	return json_pack("{s:I, s:o, s:o, s:I, s:o, s:o, s:o}", "pid", number_of(task, "pid", -1),
			 "comm", short_member(task, "comm"), "class", short_member(task, "class"),
			 "cpu", number_of(task, "cpu", -1), "waited_jiffies",
			 jiffies < 0 ? json_null() : json_integer(jiffies), "waited_ns",
			 known ? json_integer(jiffies * teller->jiffy_ns) : json_null(), "queue",
			 queue_json(report, task));
}

/* ---- Why it waited ---- */

/*
 * The CPU that claimed the error. What the kernel notes as the CPU of a stall is that of the task.
 * -1: unknown.
 */
static json_int_t found_by(const struct teller *teller)
{
	const json_t *at = teller->reports->at;
	const char *reason = kt_json_str(at, "reason");

	if ((!strcmp(reason, "exit-claimed") || !strcmp(reason, KILLED)) &&
	    number_of(at, "vcpu", -1) >= 0)
		return number_of(at, "vcpu", -1);
	return number_of(exit_info(teller), "exit_cpu", -1);
}

static const json_t *cpu_of(const json_t *report, json_int_t number)
{
	const json_t *cpus = json_object_get(report, "cpus");

	for (size_t i = 0; i < count(cpus); i++)
		if (number_of(json_array_get(cpus, i), "cpu", -1) == number)
			return json_array_get(cpus, i);
	return NULL;
}

/* A queue of a CPU leads to that alone, whatever the task may use. */
static bool may_run(const json_t *task, const json_t *queue, json_int_t cpu)
{
	const char *mask = kt_json_str(task, "cpus");

	if (json_is_integer(json_object_get(queue, "cpu")))
		return number_of(queue, "cpu", -1) == cpu;
	if (!*mask || cpu < 0 || cpu >= MASK_CPUS)
		return true;
	return strtoull(mask, NULL, 16) >> cpu & 1;
}

static bool is_online(const json_t *report, json_int_t cpu)
{
	const json_t *rqs = json_object_get(report, "runqueues");

	for (size_t i = 0; i < count(rqs); i++)
		if (number_of(json_array_get(rqs, i), "cpu", -1) == cpu)
			return number_of(json_array_get(rqs, i), "online", 1) != 0;
	return true;
}

/* ---- What ran ---- */

struct ran {
	const json_t *task;
	json_int_t ns;
};

/*
 * Whether what @task ran since the earlier report is known: it is the same task there, or the
 * report lists all tasks, and it has begun since.
 */
static bool is_known_since(const json_t *before, const json_t *task, const json_t *old)
{
	if (old)
		return !strcmp(kt_json_str(old, "address"), kt_json_str(task, "address"));
	return before && count(json_object_get(before, "tasks")) < ITEMS_MAX;
}

/* The tasks whose last CPU is @cpu, by what they ran since the earlier report. */
static size_t find_ran(const struct kt_story_reports *reports, json_int_t cpu, struct ran *ret_ran)
{
	const json_t *tasks = json_object_get(reports->at, "tasks");
	size_t n = 0;

	for (size_t i = 0; i < count(tasks); i++) {
		const json_t *task = json_array_get(tasks, i), *old;
		size_t at = n;
		json_int_t ns;

		if (number_of(task, "cpu", -1) != cpu)
			continue;
		old = find_task(reports->before, number_of(task, "pid", -1));
		if (!is_known_since(reports->before, task, old))
			continue;
		ns = natural_of(task, "exec_ns") - natural_of(old, "exec_ns");
		if (ns <= 0)
			continue;
		while (at && ret_ran[at - 1].ns < ns)
			at--;
		if (at == KT_STORY_RAN)
			continue;
		n = KT_MIN(n + 1, (size_t)KT_STORY_RAN);
		memmove(&ret_ran[at + 1], &ret_ran[at], (n - at - 1) * sizeof(ret_ran[0]));
		ret_ran[at] = (struct ran){ task, ns };
	}
	return n;
}

/* The latest clock of a run queue; 0: unknown. */
static json_int_t clock_of(const json_t *report)
{
	const json_t *rqs = json_object_get(report, "runqueues");
	json_int_t latest = 0;

	for (size_t i = 0; i < count(rqs); i++)
		latest = KT_MAX(latest, natural_of(json_array_get(rqs, i), "clock"));
	return latest;
}

/* Between the two reports; -1: unknown. */
static json_int_t since_ns(const struct kt_story_reports *reports)
{
	json_int_t then = clock_of(reports->before), now = clock_of(reports->at);

	return reports->before && now >= then ? now - then : -1;
}

/* Whether the CPU had nothing to run for more than half of the time since the earlier report. */
static bool was_idle(const struct kt_story_reports *reports, json_int_t cpu)
{
	struct ran ran[KT_STORY_RAN];
	size_t n = find_ran(reports, cpu, ran);
	json_int_t since = since_ns(reports), ns = 0;

	for (size_t i = 0; i < n; i++)
		ns += ran[i].ns;
	return since > 0 && ns < since / 2;
}

/* ---- Why it waited ---- */

/* Classes that the kernel picks tasks from before sched_ext, but for "fair", which it may. */
static const char *const ABOVE[] = { "stop", "dl", "rt", "fair" };

/* Whether a CPU runs the watchdog, and nothing of sched_ext waits there but for @task's queue. */
static bool only_watches(const json_t *report, const json_t *cpu, const json_t *task)
{
	const json_t *stack = json_object_get(cpu, "stack"),
		     *tasks = json_object_get(report, "tasks");
	const char *queue = kt_json_str(json_object_get(task, "scx"), "dsq");
	bool watches = false;

	for (size_t i = 0; i < count(stack); i++)
		watches |= !strncmp(json_string_value(json_array_get(stack, i)) ?: "",
				    "scx_watchdog_workfn+", 20);
	for (size_t i = 0; watches && i < count(tasks); i++) {
		const json_t *other = json_array_get(tasks, i);

		if (number_of(other, "runnable_for", -1) >= MOMENT &&
		    number_of(other, "cpu", -1) == number_of(cpu, "cpu", -1) && other != task &&
		    strcmp(kt_json_str(json_object_get(other, "scx"), "dsq"), queue))
			return false;
	}
	return watches;
}

/* The CPUs on which a task could run, by what is on them. */
struct chances {
	unsigned int n, idle, ext, above[KT_ARRAY_LEN(ABOVE)];
};

/*
 * What is on a CPU now may just have come. An earlier report tells what was there before. Without
 * it, only the watchdog's own task is known to have come just now.
 */
static bool had_time(const struct kt_story_reports *reports, const json_t *cpu, const json_t *task)
{
	const char *class = kt_json_str(json_object_get(cpu, "task"), "class");

	return !strcmp(class, "idle") || was_idle(reports, number_of(cpu, "cpu", -1)) ||
	       (!strcmp(class, "ext") && only_watches(reports->at ?: reports->told, cpu, task));
}

static void add_chance(struct chances *chances, const struct kt_story_reports *reports,
		       const json_t *cpu, const json_t *task)
{
	const char *class = kt_json_str(json_object_get(cpu, "task"), "class");

	chances->n++;
	if (had_time(reports, cpu, task)) {
		chances->idle++;
		return;
	}
	chances->ext += !strcmp(class, "ext");
	for (size_t i = 0; i < KT_ARRAY_LEN(ABOVE); i++)
		chances->above[i] += !strcmp(class, ABOVE[i]);
}

static struct chances find_chances(const struct kt_story_reports *reports, const json_t *task,
				   const json_t *queue)
{
	const json_t *report = reports->at ?: reports->told;
	const json_t *cpus = json_object_get(report, "cpus");
	struct chances chances = { .n = 0 };

	for (size_t i = 0; i < count(cpus); i++) {
		const json_t *cpu = json_array_get(cpus, i);
		json_int_t number = number_of(cpu, "cpu", -1);

		if (may_run(task, queue, number) && is_online(report, number))
			add_chance(&chances, reports, cpu, task);
	}
	return chances;
}

/* "forgotten", "passed-over", a class above sched_ext; NULL: it cannot be told. */
static const char *cause_of(const struct chances *chances)
{
	unsigned int n_above = 0;
	const char *highest = NULL;

	if (!chances->n)
		return NULL;
	if (chances->idle)
		return "forgotten";
	for (size_t i = 0; i < KT_ARRAY_LEN(ABOVE); i++) {
		n_above += chances->above[i];
		highest = highest ?: chances->above[i] ? ABOVE[i] : NULL;
	}
	if (n_above == chances->n)
		return highest;
	return chances->ext ? "passed-over" : NULL;
}

/* ---- The culprit ---- */

/* A CPU that the message says the task was sent to: "target CPU 3 not allowed for". */
static json_t *target_of(const char *message)
{
	static const char WORDS[] = "target CPU ";
	const char *at = strstr(message, WORDS);
	long long number;

	if (!at || !isdigit((unsigned char)at[strlen(WORDS)]))
		return json_null();
	number = strtoll(at + strlen(WORDS), NULL, 10);
	return number <= UINT32_MAX ? json_integer(number) : json_null();
}

/* The tasks that have waited for @jiffies or longer, the longest first. */
static size_t list_waiting(const struct teller *teller, json_int_t jiffies,
			   const json_t **ret_tasks, size_t *ret_more)
{
	const json_t *tasks = json_object_get(teller->reports->at, "tasks");
	size_t n = 0;

	*ret_more = 0;
	for (size_t i = 0; i < count(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		json_int_t age = waited(teller, task);
		size_t at = n;

		if (age < 0 || age < jiffies)
			continue;
		while (at && waited(teller, ret_tasks[at - 1]) < age)
			at--;
		*ret_more += n == KT_STORY_WAITING;
		if (at == KT_STORY_WAITING)
			continue;
		n = KT_MIN(n + 1, (size_t)KT_STORY_WAITING);
		memmove(&ret_tasks[at + 1], &ret_tasks[at], (n - at - 1) * sizeof(ret_tasks[0]));
		ret_tasks[at] = task;
	}
	return n;
}

/* Those that have waited for half of the watchdog's time; in a stall, if there are none, all. */
static size_t find_waiting(const struct teller *teller, const json_t **ret_tasks, size_t *ret_more)
{
	size_t n = list_waiting(teller, teller->patience / 2, ret_tasks, ret_more);

	return n || !teller->stalled ? n : list_waiting(teller, 0, ret_tasks, ret_more);
}

/* The scheduler's program, whose end has taken it along; NULL: it was not killed. */
static const json_t *killed_task(const struct teller *teller)
{
	const json_t *at = teller->reports->at, *cpu = cpu_of(at, found_by(teller));

	if (strcmp(kt_json_str(at, "reason"), KILLED))
		return NULL;
	return find_task(at, number_of(json_object_get(cpu, "task"), "pid", -1));
}

/* @task as it was when the error was claimed; what moved it since is not its story. */
static json_t *culprit_json(const struct teller *teller, const json_t *task, bool named)
{
	const json_t *report = teller->reports->at ?: teller->reports->told;
	json_t *json = task_json(teller, report, task);
	const json_t *queue = find_queue(report, kt_json_str(json_object_get(task, "scx"), "dsq"));
	struct chances chances = find_chances(teller->reports, task, queue);
	const char *cause = task == killed_task(teller) ? "killed"
			    : waited(teller, task) >= 0 ? cause_of(&chances)
							: NULL;

	if (!json)
		return NULL;
	(void)json_object_set_new(json, "named", json_boolean(named));
	(void)json_object_set_new(json, "target_cpu",
				  named ? target_of(kt_json_str(exit_info(teller), "msg"))
					: json_null());
	(void)json_object_set_new(json, "cause", cause ? json_string(cause) : json_null());
	return json;
}

static json_t *find_culprit(const struct teller *teller, const json_t *const *waiting, size_t n)
{
	const json_t *killed = killed_task(teller);
	const struct kt_story_reports *reports = teller->reports;
	const char *message = kt_json_str(exit_info(teller), "msg");
	const json_t *named =
		named_task(reports->at, message) ?: named_task(reports->told, message);

	if (killed)
		return culprit_json(teller, killed, false);
	if (named)
		return culprit_json(teller, named, true);
	return n ? culprit_json(teller, waiting[0], false) : json_null();
}

/* ---- The CPUs ---- */

static json_t *ran_json(const struct kt_story_reports *reports, json_int_t cpu)
{
	struct ran ran[KT_STORY_RAN];
	size_t n = find_ran(reports, cpu, ran);
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		(void)json_array_append_new(
			array,
			json_pack("{s:I, s:o, s:o, s:I}", "pid", number_of(ran[i].task, "pid", -1),
				  "comm", short_member(ran[i].task, "comm"), "class",
				  short_member(ran[i].task, "class"), "ns", ran[i].ns));
	return array;
}

static json_t *cpu_json(const struct kt_story_reports *reports, const json_t *cpu)
{
	const json_t *task = json_object_get(cpu, "task");
	json_t *json =
		json_pack("{s:I, s:I, s:o, s:o, s:o}", "cpu", number_of(cpu, "cpu", -1), "pid",
			  number_of(task, "pid", -1), "comm", short_member(task, "comm"), "class",
			  short_member(task, "class"), "mode", short_member(cpu, "mode"));

	if (json && reports->before)
		(void)json_object_set_new(json, "ran",
					  ran_json(reports, number_of(cpu, "cpu", -1)));
	return json;
}

static json_t *cpus_json(const struct kt_story_reports *reports)
{
	const json_t *cpus = json_object_get(reports->at ?: reports->told, "cpus");
	json_t *array = json_array();

	for (size_t i = 0; array && i < KT_MIN(count(cpus), (size_t)KT_STORY_CPUS); i++)
		(void)json_array_append_new(array, cpu_json(reports, json_array_get(cpus, i)));
	return array;
}

/* ---- Where the error was found ---- */

/* The task on the CPU that found it: a scheduler's program runs in the midst of a task. */
static json_t *running_json(const struct teller *teller)
{
	const json_t *cpu = cpu_of(teller->reports->at, found_by(teller));
	const json_t *task = json_object_get(cpu, "task");

	if (!task || !*kind_of(teller))
		return json_null();
	return json_pack("{s:I, s:o, s:o}", "pid", number_of(task, "pid", -1), "comm",
			 short_member(task, "comm"), "class", short_member(task, "class"));
}

/* Functions that make an exit of whatever has called them. */
static bool is_messenger(const char *frame)
{
	static const char *const NAMES[] = { "scx_claim_exit+", "scx_vexit+",   "scx_exit+",
					     "__scx_exit+",     "scx_error+",   "scx_verror+",
					     "scx_exit_bstr+",  "scx_kf_exit+", "__scx_error+",
					     "scx_disable+" };

	for (size_t i = 0; i < KT_ARRAY_LEN(NAMES); i++)
		if (!strncmp(frame, NAMES[i], strlen(NAMES[i])))
			return true;
	return false;
}

/* The BPF program whose code is at an address, which is all that a frame says; NULL: none. */
static const char *program_at(const json_t *report, const char *frame)
{
	const json_t *programs = json_object_get(report, "programs");
	uint64_t ip = strtoull(frame, NULL, 16);

	for (size_t i = 0; !strncmp(frame, "0x", 2) && i < count(programs); i++) {
		const json_t *program = json_array_get(programs, i);
		uint64_t code = strtoull(kt_json_str(program, "code"), NULL, 16);

		if (ip >= code && ip - code < (uint64_t)natural_of(program, "code_len"))
			return kt_json_str(program, "name");
	}
	return NULL;
}

/* The name of a function, without the offset in it. */
static json_t *function_json(const json_t *report, const char *frame)
{
	const char *program = program_at(report, frame);
	KT_FREE char *name = strndup(program ?: frame, strcspn(program ?: frame, "+"));

	return short_text(name ?: "");
}

/* The functions that found it, innermost first; none if the CPU was elsewhere already. */
static json_t *found_in(const struct teller *teller)
{
	const json_t *report = teller->reports->at;
	const json_t *stack = json_object_get(cpu_of(report, found_by(teller)), "stack");
	json_t *array = json_array();
	bool claims = killed_task(teller);

	for (size_t i = 0; i < count(stack); i++) {
		const char *frame = json_string_value(json_array_get(stack, i)) ?: "";

		if (json_array_size(array) == KT_STORY_FRAMES)
			break;
		if (is_messenger(frame))
			claims = true;
		else if (claims && strncmp(frame, "? ", 2))
			(void)json_array_append_new(array, function_json(report, frame));
	}
	return array;
}

/* ---- All ---- */

static json_t *waiting_json(const struct teller *teller, const json_t *const *tasks, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		(void)json_array_append_new(array,
					    task_json(teller, teller->reports->at, tasks[i]));
	return array;
}

static json_t *since_json(const struct kt_story_reports *reports)
{
	json_int_t ns = since_ns(reports);

	return ns < 0 ? json_null()
		      : json_pack("{s:o, s:I}", "snapshot", short_member(reports->before, "name"),
				  "ns", ns);
}

static json_t *nullable(json_int_t number)
{
	return number < 0 ? json_null() : json_integer(number);
}

static json_t *tell(const struct teller *teller)
{
	const json_t *waiting[KT_STORY_WAITING + 1];
	size_t more, n = find_waiting(teller, waiting, &more);
	json_int_t patience = teller->patience;
	bool known = patience > 0 && teller->jiffy_ns && patience < INT64_MAX / teller->jiffy_ns;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "scheduler",
		short_member(teller->sched, "name"), "kind", short_text(kind_of(teller)), "reason",
		short_member(exit_info(teller), "reason"), "message",
		short_member(exit_info(teller), "msg"), "cpu", nullable(found_by(teller)),
		"running", running_json(teller), "found_in", found_in(teller), "watchdog_ns",
		known ? json_integer(patience * teller->jiffy_ns) : json_null(), "culprit",
		find_culprit(teller, waiting, n), "waiting", waiting_json(teller, waiting, n),
		"more_waiting", (json_int_t)more, "cpus", cpus_json(teller->reports), "since",
		since_json(teller->reports));
}

json_t *kt_story_make(const struct kt_story_reports *reports)
{
	const json_t *first = reports->at ?: reports->told;
	const json_t *kernel = json_object_get(first, "kernel");
	struct teller teller = {
		.reports = reports,
		.sched = find_sched(first),
		.jiffy_ns = KT_MAX(number_of(kernel, "jiffy_ns", 0), 0),
	};

	teller.told = find_told(reports->told, teller.sched) ?: teller.sched;
	teller.sched = teller.sched ?: teller.told;
	if (!teller.sched)
		return json_null();
	teller.patience = patience_of(first, teller.sched);
	teller.stalled = strstr(kind_of(&teller), "STALL") != NULL;
	return tell(&teller);
}
