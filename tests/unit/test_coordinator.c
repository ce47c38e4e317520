/* SPDX-License-Identifier: MIT */
/*
 * The freeze coordinator with a machine that only remembers its watches, and a kernel that is made
 * byte by byte: what it watches when, and what it tells at which stop.
 */
#include <errno.h>

#include "tests/unit/walk_view.h"
#include "util/clock.h"
#include "vmm/freeze/freeze.h"

UNIT_SUITE(coordinator);

#define NOW      UINT64_C(4294937296) /* jiffies_64 of the tiny kernel */
#define WATCHDOG 100u                 /* jiffies */
#define FEW      4u                   /* watches of a machine that has not enough of them */
#define QUEUED   5u                   /* WORK_STRUCT_PENDING and WORK_STRUCT_PWQ */
#define PENDING  1u
#define HITS     16u

struct machine {
	struct kt_machine base;
	struct kt_watch watches[KT_WATCHES_MAX];
	bool armed[KT_WATCHES_MAX];
};

static struct machine machine;
static struct kt_freeze *freeze;
static struct kt_freeze_event hits[HITS];
static char names[HITS][16]; /* those of the hits: an event borrows it */
static size_t n_hits;

/* ---- What the coordinator is given ---- */

static int add_watch(struct kt_machine *base, const struct kt_watch *watch,
		     unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr)
{
	unsigned int i = 0;

	(void)base;
	(void)reterr;
	cr_assert(gt(u64, deadline_ns, kt_now_ns()));
	while (machine.armed[i])
		i++;
	cr_assert(lt(u32, i, KT_WATCHES_MAX));
	machine.watches[i] = *watch;
	machine.armed[i] = true;
	*ret_number = i;
	return 0;
}

static int remove_watch(struct kt_machine *base, unsigned int number, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	(void)base;
	(void)reterr;
	cr_assert(gt(u64, deadline_ns, kt_now_ns()));
	cr_assert(machine.armed[number]);
	machine.armed[number] = false;
	return 0;
}

static int give_kernel(void *data, struct kt_inspect **ret_inspect, struct kt_err *reterr)
{
	(void)data;
	(void)reterr;
	*ret_inspect = kernel.inspect;
	return 0;
}

static enum kt_capture_quality on_hit(void *data, const struct kt_freeze_event *event)
{
	(void)data;
	cr_assert(lt(sz, n_hits, HITS));
	(void)snprintf(names[n_hits], sizeof(names[0]), "%s", event->name);
	hits[n_hits++] = *event;
	return KT_CAPTURE_WHOLE;
}

/* Two schedulers without an error, and nobody waits. */
static void start(unsigned int watches_max)
{
	static const struct kt_machine_ops OPS = { .watch = add_watch, .unwatch = remove_watch };
	const struct kt_freeze_config config = {
		.machine = &machine.base,
		.watches_max = watches_max,
		.wants_early = true,
		.inspect = give_kernel,
		.hit = on_hit,
	};

	walk_kernel_init(&kernel);
	for (unsigned int i = 0; i < WALK_SCHEDS; i++) {
		walk_at(&kernel, walk_sched, kernel.scheds[i])->watchdog_timeout = WATCHDOG;
		walk_at(&kernel, walk_sched, kernel.scheds[i])->exit_kind = 0;
	}
	machine = (struct machine){ .base = { .ops = &OPS } };
	n_hits = 0;
	cr_assert(zero(int, kt_freeze_new(&config, &freeze)));
}

static void begin_with_many(void)
{
	start(KT_WATCHES_MAX);
}

static void begin_with_few(void)
{
	start(FEW);
}

static void finish(void)
{
	freeze = kt_freeze_free(freeze);
	walk_kernel_deinit(&kernel);
}

/* ---- Looking ---- */

static void tick(void)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_freeze_tick(freeze, UINT64_MAX, &err)), "%s", err.text);
}

static unsigned int n_armed(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < KT_WATCHES_MAX; i++)
		n += machine.armed[i];
	return n;
}

/* The watch at an address; NULL: there is none. */
static const struct kt_watch *watch_at(uint64_t address)
{
	for (unsigned int i = 0; i < KT_WATCHES_MAX; i++)
		if (machine.armed[i] && machine.watches[i].address == address)
			return &machine.watches[i];
	return NULL;
}

static const struct kt_watch *watch_of(const char *symbol)
{
	return watch_at(tiny_symbol(&kernel.tiny, symbol));
}

static uint64_t exit_kind_of(unsigned int i)
{
	return kernel.scheds[i] + offsetof(struct walk_sched, exit_kind);
}

static void stop_at(const struct kt_watch *watch, uint64_t value)
{
	const struct kt_machine_stop stop = {
		.watch = (unsigned int)(watch - machine.watches),
		.vcpu = 1,
		.value = value,
	};

	cr_assert(watch != NULL);
	kt_freeze_on_stopped(freeze, &stop);
}

/* The task waits for @age in a queue of scheduler @sched. */
static void let_wait(unsigned int pid, unsigned int sched, uint64_t age)
{
	struct walk_task *task = walk_at(&kernel, walk_task, kernel.tasks[pid - 1]);

	task->on_rq = 1;
	task->on_cpu = 0;
	task->scx.flags = 1;
	task->scx.sched = kernel.scheds[sched];
	task->scx.runnable_at = NOW - age;
}

static void let_time_pass(uint64_t jiffies)
{
	set(tiny_symbol(&kernel.tiny, "jiffies_64"), NOW + jiffies);
}

static void expect_hit(size_t i, enum kt_freeze_reason reason, const char *name)
{
	cr_assert(gt(sz, n_hits, i));
	cr_expect(eq(int, hits[i].reason, reason), "hit %zu", i);
	cr_expect(eq(str, names[i], (char *)name), "hit %zu", i);
}

/* What there is of the end of a scheduler: "none", "single", "dual". */
static void expect_captures(unsigned int sched, const char *captures)
{
	json_t *json = kt_freeze_json(freeze);
	const json_t *entry = json_array_get(json_object_get(json, "schedulers"), sched);

	cr_expect(eq(str, (char *)json_string_value(json_object_get(entry, "captures")),
		     (char *)captures),
		  "scheduler %u", sched);
	json_decref(json);
}

/* ---- Errors ---- */

Test(coordinator, the_end_of_each_scheduler_is_watched, .init = begin_with_many, .fini = finish)
{
	tick();
	cr_assert(eq(u32, n_armed(), 6));
	cr_assert(watch_of("scx_root") && watch_of("scx_sched_all"));
	cr_assert(watch_of("scx_watchdog_timestamp") && watch_of("scx_watchdog_work"));
	stop_at(watch_at(exit_kind_of(1)), 1024);
	stop_at(watch_at(exit_kind_of(1)), 1);
	stop_at(watch_at(exit_kind_of(0)), 64); /* a detach, of a task that lives */
	cr_assert(eq(sz, n_hits, 2));
	expect_hit(0, KT_FREEZE_CLAIMED, "sched-1");
	cr_assert(eq(u64, hits[0].value, 1024));
	cr_assert(eq(u32, hits[0].vcpu, 1));
	cr_assert(eq(u64, hits[0].time_ns, 1001), "the later clock of two");
	expect_hit(1, KT_FREEZE_TOLD, "sched-1");
	for (size_t i = 0; i < 2; i++)
		cr_assert(eq(str, (char *)hits[i].kind, "SCX_EXIT_ERROR"));
	expect_captures(0, "none");
	expect_captures(1, "single");
}

Test(coordinator, who_has_gone_is_not_watched, .init = begin_with_many, .fini = finish)
{
	const struct kt_watch *child;

	tick();
	child = watch_at(exit_kind_of(1));
	/* The list ends behind the root; the write to it has not been seen yet. */
	walk_list_init(&kernel, tiny_symbol(&kernel.tiny, "scx_sched_all"));
	stop_at(child, 1024);
	cr_assert(zero(sz, n_hits), "the memory is another's");
	cr_assert(watch_at(exit_kind_of(1)) == NULL);
	stop_at(watch_of("scx_sched_all"), 0);
	cr_assert(watch_at(exit_kind_of(0)) != NULL);
	cr_assert(eq(u32, n_armed(), 5));
}

/* The only scheduler is replaced by another one: first it is disarmed, then that is watched. */
Test(coordinator, a_successor_is_watched_instead, .init = begin_with_many, .fini = finish)
{
	uint64_t all = tiny_symbol(&kernel.tiny, "scx_sched_all");

	walk_list_init(&kernel, all);
	walk_list_add(&kernel, kernel.scheds[0] + offsetof(struct walk_sched, all), all);
	tick();
	cr_assert(watch_at(exit_kind_of(0)) && !watch_at(exit_kind_of(1)));
	walk_list_init(&kernel, all);
	walk_list_add(&kernel, kernel.scheds[1] + offsetof(struct walk_sched, all), all);
	set(tiny_symbol(&kernel.tiny, "scx_root"), kernel.scheds[1]);
	cr_assert(kt_freeze_is_due(freeze));
	stop_at(watch_of("scx_root"), 0);
	cr_assert(watch_at(exit_kind_of(1)) && !watch_at(exit_kind_of(0)));
	cr_assert(eq(u32, n_armed(), 5));
	cr_assert(not(kt_freeze_is_due(freeze)));
	/* The last one goes. */
	walk_list_init(&kernel, all);
	set(tiny_symbol(&kernel.tiny, "scx_root"), 0);
	stop_at(watch_of("scx_root"), 0);
	cr_assert(eq(u32, n_armed(), 4));
	cr_assert(zero(sz, n_hits));
}

Test(coordinator, an_error_that_is_there_already_was_missed, .init = begin_with_many,
     .fini = finish)
{
	walk_at(&kernel, walk_sched, kernel.scheds[1])->exit_kind = 1024;
	tick();
	cr_assert(eq(sz, n_hits, 1), "before it was watched");
	expect_hit(0, KT_FREEZE_MISSED, "sched-1");
	cr_assert(not(kt_freeze_is_due(freeze)));
	walk_at(&kernel, walk_sched, kernel.scheds[0])->exit_kind = 1024;
	cr_assert(kt_freeze_is_due(freeze));
	tick();
	tick();
	cr_assert(eq(sz, n_hits, 2), "while it was");
	expect_hit(1, KT_FREEZE_MISSED, "sched-0");
	cr_assert(not(kt_freeze_is_due(freeze)));
}

/* Hits take their time: the VMM has to hear of them. */
Test(coordinator, an_error_whose_hit_is_under_way_is_not_missed, .init = begin_with_many,
     .fini = finish)
{
	uint64_t info = walk_alloc(&kernel, sizeof(struct walk_exit_info));

	tick();
	for (unsigned int i = 0; i < WALK_SCHEDS; i++) {
		walk_at(&kernel, walk_sched, kernel.scheds[i])->exit_info = info;
		walk_at(&kernel, walk_sched, kernel.scheds[i])->exit_kind = 1024;
	}
	cr_assert(not(kt_freeze_is_due(freeze)));
	tick();
	cr_assert(zero(sz, n_hits), "the CPU stands at the write");
	stop_at(watch_at(exit_kind_of(0)), 1024);
	expect_hit(0, KT_FREEZE_CLAIMED, "sched-0");
	walk_at(&kernel, walk_exit_info, info)->kind = 1024;
	cr_assert(kt_freeze_is_due(freeze));
	tick();
	cr_assert(eq(sz, n_hits, 2), "of the one that was told, there is no more");
	expect_hit(1, KT_FREEZE_MISSED, "sched-1");
	cr_assert(not(kt_freeze_is_due(freeze)));
}

/* ---- Early captures ---- */

Test(coordinator, half_of_the_time_is_found_when_the_watchdog_checks, .init = begin_with_many,
     .fini = finish)
{
	tick();
	let_wait(2, 1, 49);
	stop_at(watch_of("scx_watchdog_timestamp"), 0);
	cr_assert(zero(sz, n_hits));
	let_time_pass(1);
	stop_at(watch_of("scx_watchdog_timestamp"), 0);
	stop_at(watch_of("scx_watchdog_timestamp"), 0);
	cr_assert(eq(sz, n_hits, 1), "it is captured once");
	expect_hit(0, KT_FREEZE_EARLY, "sched-1");
	cr_assert(eq(u64, hits[0].value, 2));
	cr_assert(zero(ptr, (void *)hits[0].kind));
	stop_at(watch_at(exit_kind_of(1)), 1024);
	expect_hit(1, KT_FREEZE_CLAIMED, "sched-1");
	expect_captures(1, "dual");
	kt_freeze_end(freeze);
	expect_captures(0, "none");
}

/* The watchdog's work is queued, and nobody takes it up. */
Test(coordinator, half_of_the_time_is_found_in_a_stall_of_all, .init = begin_with_many,
     .fini = finish)
{
	const struct kt_watch *late;

	tick();
	let_wait(2, 0, 20);
	let_wait(3, 1, 10);
	stop_at(watch_of("scx_watchdog_work"), PENDING); /* its timer runs */
	cr_assert(watch_of("jiffies_64") == NULL);
	stop_at(watch_of("scx_watchdog_work"), QUEUED);
	late = watch_of("jiffies_64");
	cr_assert(late && late->when.compare == KT_WATCH_GE);
	cr_assert(eq(u64, late->when.number, NOW + 30), "the root's task is the first");
	let_time_pass(30);
	stop_at(late, NOW + 30);
	expect_hit(0, KT_FREEZE_EARLY, "sched-0");
	late = watch_of("jiffies_64");
	cr_assert(late != NULL);
	cr_assert(eq(u64, late->when.number, NOW + 40), "then that of the other");
	let_time_pass(40);
	stop_at(late, NOW + 40);
	expect_hit(1, KT_FREEZE_EARLY, "sched-1");
	cr_assert(watch_of("jiffies_64") == NULL, "there is no more to be found");
}

Test(coordinator, the_tick_is_watched_only_while_the_watchdog_waits, .init = begin_with_many,
     .fini = finish)
{
	tick();
	stop_at(watch_of("scx_watchdog_work"), QUEUED);
	cr_assert(watch_of("jiffies_64") != NULL);
	/* Nobody has waited when the time has come: it is looked again later. */
	let_time_pass(50);
	stop_at(watch_of("jiffies_64"), NOW + 50);
	cr_assert(eq(u64, watch_of("jiffies_64")->when.number, NOW + 100));
	stop_at(watch_of("scx_watchdog_work"), 0); /* a worker has it */
	stop_at(watch_of("scx_watchdog_work"), PENDING);
	cr_assert(watch_of("jiffies_64") == NULL);
	cr_assert(zero(sz, n_hits));
	cr_assert(eq(u32, n_armed(), 6));
}

/* A machine with few watches has them for its owner: the schedulers and their tasks are polled. */
Test(coordinator, few_watches_are_kept, .init = begin_with_few, .fini = finish)
{
	cr_assert(not(kt_freeze_is_due(freeze)), "nobody has asked for it");
	tick();
	cr_assert(eq(u32, n_armed(), WALK_SCHEDS));
	let_wait(2, 1, 49);
	cr_assert(not(kt_freeze_is_due(freeze)));
	let_wait(2, 1, 50);
	cr_assert(kt_freeze_is_due(freeze));
	tick();
	expect_hit(0, KT_FREEZE_EARLY, "sched-1");
	cr_assert(not(kt_freeze_is_due(freeze)), "it is captured once");
	tick();
	cr_assert(eq(sz, n_hits, 1));
}

/* ---- Watches of the owner ---- */

static int watch_as(const char *name, struct kt_err *reterr)
{
	const struct kt_freeze_spec spec = { .name = name, .path = "jiffies_64", .n_max = 2 };

	return kt_freeze_watch(freeze, &spec, UINT64_MAX, reterr);
}

static json_int_t counted(const char *name)
{
	json_t *json = kt_freeze_json(freeze);
	json_int_t n = json_integer_value(
		json_object_get(json_array_get(json_object_get(json, "watches"), 0), name));

	json_decref(json);
	return n;
}

Test(coordinator, hits_of_an_owner_are_bounded_and_counted, .init = begin_with_many, .fini = finish)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, watch_as("mine", &err)), "%s", err.text);
	cr_assert(eq(u32, watch_of("jiffies_64")->len, 8));
	for (uint64_t i = 0; i < 3; i++)
		stop_at(watch_of("jiffies_64"), NOW + i);
	cr_assert(eq(sz, n_hits, 2));
	expect_hit(1, KT_FREEZE_WATCH, "mine");
	cr_assert(eq(u64, hits[1].value, NOW + 1));
	cr_assert(eq(i64, counted("hits"), 3));
	cr_assert(eq(i64, counted("captures"), 2));
	cr_assert(eq(i64, counted("left_out"), 1));
	cr_assert(zero(int, kt_freeze_unwatch(freeze, "mine", UINT64_MAX, &err)));
	cr_assert(zero(u32, n_armed()));
	cr_assert(eq(int, kt_freeze_unwatch(freeze, "mine", UINT64_MAX, &err), -ENOENT));
	cr_assert(eq(i64, counted("hits"), 3), "what was counted stays");
}

Test(coordinator, an_owner_has_what_the_coordinator_leaves, .init = begin_with_few, .fini = finish)
{
	static const char *const NAMES[] = { "a", "b", "c" };
	struct kt_err err = KT_ERR_NULL;

	for (size_t i = 0; i < FEW - 1; i++)
		cr_assert(zero(int, watch_as(NAMES[i], &err)), "%s", err.text);
	cr_assert(eq(int, watch_as("a", &err), -EEXIST));
	cr_assert(eq(int, watch_as("d", &err), -ENOSPC));
	expect_text(&err, "this machine can have 3 watches at a time");
	cr_assert(zero(int, kt_freeze_unwatch(freeze, "b", UINT64_MAX, &err)));
	cr_assert(zero(int, watch_as("d", &err)), "%s", err.text);
}
