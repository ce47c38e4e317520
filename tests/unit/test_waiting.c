/* SPDX-License-Identifier: MIT */
/* Which task has waited for so long that the watchdog is about to find it. */
#include "tests/unit/leaks.h"
#include "tests/walk_kernel.h"
#include "vmm/freeze/waiting.h"

UNIT_SUITE(waiting);

#define NOW      UINT64_C(4294937296) /* jiffies_64 of the tiny kernel */
#define WATCHDOG 100u                 /* jiffies */
#define QUEUED   1u                   /* SCX_TASK_QUEUED */

static struct walk_kernel kernel;

static struct walk_task *task_of(unsigned int pid)
{
	return walk_at(&kernel, walk_task, kernel.tasks[pid - 1]);
}

/* The task waits for @age in a queue of the root. */
static void let_wait(unsigned int pid, uint64_t age)
{
	struct walk_task *task = task_of(pid);

	task->on_rq = 1;
	task->on_cpu = 0;
	task->scx.flags = QUEUED;
	task->scx.runnable_at = NOW - age;
}

static void make_kernel(void)
{
	walk_kernel_init(&kernel);
	walk_at(&kernel, walk_sched, kernel.scheds[0])->watchdog_timeout = WATCHDOG;
	for (unsigned int pid = 1; pid <= WALK_TASKS; pid++)
		task_of(pid)->on_rq = 0;
}

static void free_kernel(void)
{
	walk_kernel_deinit(&kernel);
}

/* The pid of the task that is found; 0: none. */
static uint32_t find(void)
{
	struct kt_err err = KT_ERR_NULL;
	uint32_t pid = 0;
	int r = kt_waiting_find(kernel.inspect, kernel.scheds[0], &pid, &err);

	cr_assert(ge(int, r, 0), "%s", err.text);
	return r ? pid : 0;
}

Test(waiting, from_half_of_the_time_to_all_of_it, .init = make_kernel, .fini = free_kernel)
{
	static const struct {
		uint64_t age;
		bool is_found;
	} cases[] = { { 0, false }, { 49, false }, { 50, true },
		      { 51, true }, { 100, true }, { 101, false } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		let_wait(2, cases[i].age);
		cr_expect(eq(u32, find(), cases[i].is_found ? 2 : 0), "%zu", i);
	}
}

Test(waiting, the_longest_is_found, .init = make_kernel, .fini = free_kernel)
{
	let_wait(1, 60);
	let_wait(3, 90);
	let_wait(4, 70);
	cr_expect(eq(u32, find(), 3));
}

Test(waiting, who_runs_or_sleeps_does_not_wait, .init = make_kernel, .fini = free_kernel)
{
	let_wait(2, 80);
	task_of(2)->on_cpu = 1;
	cr_expect(eq(u32, find(), 0), "it runs");
	let_wait(2, 80);
	task_of(2)->on_rq = 0;
	cr_expect(eq(u32, find(), 0), "it sleeps");
	let_wait(2, 80);
	task_of(2)->scx.flags = 0;
	cr_expect(eq(u32, find(), 0), "it is in no queue");
}

/* Each scheduler has its own tasks, since there is more than one at a time. */
Test(waiting, tasks_of_another_scheduler_do_not_count, .init = make_kernel, .fini = free_kernel)
{
	let_wait(1, 90);
	let_wait(2, 60);
	task_of(1)->scx.sched = kernel.scheds[1];
	task_of(2)->scx.sched = kernel.scheds[0];
	cr_expect(eq(u32, find(), 2));
	task_of(2)->scx.sched = kernel.scheds[1];
	cr_expect(zero(u32, find()));
}

/* The value of jiffies_64, from now on, at which somebody will have waited for half of the time. */
static uint64_t until(void)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t jiffies = 0;

	cr_assert(zero(int, kt_waiting_until(kernel.inspect, kernel.scheds[0], &jiffies, &err)),
		  "%s", err.text);
	return jiffies - NOW;
}

Test(waiting, half_of_the_time_comes_first_for_the_longest, .init = make_kernel,
     .fini = free_kernel)
{
	/* Who begins to wait now is the first. */
	cr_expect(eq(u64, until(), WATCHDOG / 2));
	let_wait(1, 10);
	cr_expect(eq(u64, until(), WATCHDOG / 2 - 10));
	let_wait(3, 49);
	cr_expect(eq(u64, until(), 1));
	/* It is later than now, whoever has waited. */
	let_wait(3, 50);
	cr_expect(eq(u64, until(), 1));
	let_wait(3, 100);
	cr_expect(eq(u64, until(), 1));
	/* Of another scheduler, or too late: the kernel tells. */
	let_wait(3, 101);
	cr_expect(eq(u64, until(), WATCHDOG / 2 - 10));
}
