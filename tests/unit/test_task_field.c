/* SPDX-License-Identifier: MIT */
/*
 * A field of a task is read of the task that is meant, and written only while nothing of the kernel
 * depends on it: each check of the chain, on a kernel made byte by byte (tests/tiny_kernel.h).
 */
#include <errno.h>
#include <string.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/view.h"
#include "util/cleanup.h"
#include "vmm/kernel_access.h"

UNIT_SUITE(task_field);

#define START   UINT64_C(123456789)
#define EXITING 0x4u

static const char *const CLASSES[] = { "ext_sched_class", "rt_sched_class", NULL };
static const struct tiny_options OPTIONS = { .variables = CLASSES };

static struct view view;

/* A task of sched_ext that sleeps. */
static void begin(void)
{
	uint64_t task;

	open_view(&view, &OPTIONS);
	task = view.kernel.task;
	tiny_set(&view.kernel, task + TINY_TASK_START, START, 8);
	tiny_set(&view.kernel, task + TINY_TASK_CLASS,
		 tiny_symbol(&view.kernel, "ext_sched_class"), 8);
	tiny_set(&view.kernel, task + TINY_TASK_SCX, 5, 8);
}

static void end(void)
{
	close_view(&view);
}

static void set(unsigned int field, uint64_t value, size_t len)
{
	tiny_set(&view.kernel, view.kernel.task + field, value, len);
}

static uint64_t vtime(void)
{
	return value_of(&view, "task(1).scx.dsq_vtime");
}

static struct kt_kop_item item(void)
{
	return (struct kt_kop_item){ KT_KOP_TASK_FIELD, KT_KOP_U64,       .pid = 1,
				     .start_ns = START, .number = 42,     .field = "scx.dsq_vtime",
				     .any_class = false };
}

static int access_task(bool write, struct kt_kop_item of, uint64_t *ret_number, const char *text)
{
	const struct kt_kop_request request = { .write = write, .n = 1, .items = &of };
	struct kt_kop_reply reply;
	int r;

	cr_assert(zero(int, kt_kop_reply_new(&request, &reply)));
	kt_kernel_access_serve(view.inspect, true, &request, &reply);
	r = reply.answers[0].result;
	if (ret_number)
		*ret_number = reply.answers[0].number;
	if (text)
		cr_assert(reply.answers[0].data && strstr(reply.answers[0].data, text),
			  "\"%s\", not \"%s\"", reply.answers[0].data ?: "", text);
	kt_kop_reply_deinit(&reply);
	return r;
}

/* It can be read, but not written. */
static void expect_no_write(int code, const char *text)
{
	uint64_t number = 0;

	cr_assert(eq(int, access_task(true, item(), NULL, text), code));
	cr_assert(eq(u64, vtime(), 5), "nothing was written");
	cr_assert(zero(int, access_task(false, item(), &number, NULL)));
	cr_assert(eq(u64, number, 5));
}

/* It can be neither read nor written. */
static void expect_nothing(int code, const char *text)
{
	cr_assert(eq(int, access_task(true, item(), NULL, text), code));
	cr_assert(eq(int, access_task(false, item(), NULL, text), code));
	cr_assert(eq(u64, vtime(), 5), "nothing was written");
}

Test(task_field, one_that_sleeps_is_written, .init = begin, .fini = end)
{
	cr_assert(zero(int, access_task(true, item(), NULL, NULL)));
	cr_assert(eq(u64, vtime(), 42));
}

Test(task_field, the_pid_of_nobody_is_an_error, .init = begin, .fini = end)
{
	struct kt_kop_item of = item();

	of.pid = 77;
	cr_assert(eq(int, access_task(true, of, NULL, "no task has the pid 77"), -ESRCH));
}

Test(task_field, another_start_is_another_task, .init = begin, .fini = end)
{
	set(TINY_TASK_START, START + 1, 8);
	expect_nothing(-ESTALE, "is not the task that is meant");
}

Test(task_field, a_dead_one_is_refused, .init = begin, .fini = end)
{
	set(TINY_TASK_EXIT, 0x20, 4);
	expect_nothing(-EOWNERDEAD, "is dead");
	set(TINY_TASK_EXIT, 0, 4);
	set(TINY_TASK_FLAGS, EXITING, 4);
	expect_nothing(-EOWNERDEAD, "is about to be dead");
}

Test(task_field, one_that_is_queued_or_runs_is_only_read, .init = begin, .fini = end)
{
	set(TINY_TASK_ON_RQ, 1, 4);
	expect_no_write(-EBUSY, "is on a runqueue");
	set(TINY_TASK_ON_RQ, 0, 4);
	set(TINY_TASK_ON_CPU, 1, 4);
	expect_no_write(-EBUSY, "runs");
}

Test(task_field, one_in_a_queue_of_sched_ext_is_only_read, .init = begin, .fini = end)
{
	uint64_t node = view.kernel.task + TINY_TASK_RUNNABLE;

	set(TINY_TASK_DSQ, view.kernel.sched, 8);
	expect_no_write(-EBUSY, "is in a dispatch queue");
	set(TINY_TASK_DSQ, 0, 8);
	set(TINY_TASK_RUNNABLE, view.kernel.sched, 8);
	expect_no_write(-EBUSY, "in the list of runnable tasks");
	/* A list that is empty leads to itself. */
	set(TINY_TASK_RUNNABLE, node, 8);
	cr_assert(zero(int, access_task(true, item(), NULL, NULL)));
	cr_assert(eq(u64, vtime(), 42));
}

Test(task_field, another_class_must_be_asked_for, .init = begin, .fini = end)
{
	struct kt_kop_item of = item();

	set(TINY_TASK_CLASS, tiny_symbol(&view.kernel, "rt_sched_class"), 8);
	expect_no_write(-EPERM, "its class is rt_sched_class");
	of.any_class = true;
	cr_assert(zero(int, access_task(true, of, NULL, NULL)));
	cr_assert(eq(u64, vtime(), 42));
}

Test(task_field, the_width_is_that_of_the_field, .init = begin, .fini = end)
{
	struct kt_kop_item of = item();

	of.value = KT_KOP_U32;
	cr_assert(eq(int, access_task(true, of, NULL, "a number of 4 bytes"), -ERANGE));
	of.field = "sched_level";
	cr_assert(eq(int, access_task(true, of, NULL, "a bit-field of 5 bits"), -ERANGE));
	cr_assert(eq(u64, vtime(), 5));
}
