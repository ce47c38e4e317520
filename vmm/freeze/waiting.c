/* SPDX-License-Identifier: MIT */
#include "vmm/freeze/waiting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/tasks.h"
#include "vmm/inspect/types.h"

#define TASKS_MAX 65536u

/* In jiffies. Since Linux 7.1, each scheduler has its own. */
static int read_watchdog(struct kt_inspect *inspect, uint64_t sched, uint64_t *ret_timeout,
			 struct kt_err *reterr)
{
	char path[96];

	if (!kt_inspect_has_member(inspect, "struct scx_sched", "watchdog_timeout",
				   &(struct kt_member){ 0 }))
		return kt_inspect_value(inspect, "scx_watchdog_timeout", ret_timeout, reterr);
	(void)snprintf(path, sizeof(path), "((struct scx_sched *)0x%" PRIx64 ")->watchdog_timeout",
		       sched);
	return kt_inspect_value(inspect, path, ret_timeout, reterr);
}

/* Where a task does not know its scheduler, there is one. */
static bool is_waiting(const struct kt_task *task, uint64_t sched, int64_t queued)
{
	return task->has_scx && task->on_rq && !task->on_cpu &&
	       (task->scx.flags & (uint32_t)queued) &&
	       (!task->scx.sched || task->scx.sched == sched);
}

static void close_tasks(struct kt_tasks **tasks)
{
	(void)kt_tasks_close(*tasks);
}

/* What the tasks of a scheduler wait for, in jiffies. */
struct wait {
	uint64_t now, timeout;
	uint64_t longest; /* 0: nobody waits */
	uint32_t pid;     /* of the task that has waited longest */
};

/* A task that has waited for longer than the watchdog lets it is an error that the kernel tells. */
static void find_longest(struct kt_tasks *tasks, uint64_t sched, int64_t queued, struct wait *wait)
{
	struct kt_task task;

	for (unsigned int i = 0; i < TASKS_MAX; i++) {
		int r = kt_tasks_next(tasks, &task, NULL);
		uint64_t age;

		if (r == 0 || r == -ENODEV)
			return;
		age = wait->now - task.scx.runnable_at;
		if (r < 0 || !is_waiting(&task, sched, queued) || age > wait->timeout ||
		    age < wait->longest)
			continue;
		wait->longest = age;
		wait->pid = task.pid;
	}
}

static int measure(struct kt_inspect *inspect, uint64_t sched, struct wait *ret,
		   struct kt_err *reterr)
{
	KT_CLEANUP(close_tasks) struct kt_tasks *tasks = NULL;
	int64_t queued = 1;
	int r;

	*ret = (struct wait){ .longest = 0 };
	r = read_watchdog(inspect, sched, &ret->timeout, reterr)
		    ?: kt_inspect_value(inspect, "jiffies_64", &ret->now, reterr)
		    ?: kt_tasks_open(inspect, &tasks, reterr);
	if (r < 0)
		return r;
	(void)kt_inspect_has_enumerator(inspect, "SCX_TASK_QUEUED", &queued);
	find_longest(tasks, sched, queued, ret);
	return 0;
}

int kt_waiting_find(struct kt_inspect *inspect, uint64_t sched, uint32_t *ret_pid,
		    struct kt_err *reterr)
{
	struct wait wait;
	int r = measure(inspect, sched, &wait, reterr);

	if (r < 0)
		return r;
	*ret_pid = wait.pid;
	/* Exactly half counts: the kernel checks at every half, and would err at the next check. */
	return wait.longest && wait.longest >= wait.timeout / 2;
}

int kt_waiting_until(struct kt_inspect *inspect, uint64_t sched, uint64_t *ret_jiffies,
		     struct kt_err *reterr)
{
	struct wait wait;
	int r = measure(inspect, sched, &wait, reterr);

	if (r < 0)
		return r;
	*ret_jiffies = wait.now + KT_MAX(wait.timeout / 2 - KT_MIN(wait.longest, wait.timeout / 2),
					 UINT64_C(1));
	return 0;
}
