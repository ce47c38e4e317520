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

int kt_waiting_find(struct kt_inspect *inspect, uint64_t sched, uint32_t *ret_pid,
		    struct kt_err *reterr)
{
	KT_CLEANUP(close_tasks) struct kt_tasks *tasks = NULL;
	uint64_t jiffies, timeout, longest = 0;
	int64_t queued = 1;
	struct kt_task task;
	int r = read_watchdog(inspect, sched, &timeout, reterr)
			?: kt_inspect_value(inspect, "jiffies_64", &jiffies, reterr)
			?: kt_tasks_open(inspect, &tasks, reterr);

	if (r < 0)
		return r;
	(void)kt_inspect_has_enumerator(inspect, "SCX_TASK_QUEUED", &queued);
	for (unsigned int i = 0; i < TASKS_MAX; i++) {
		uint64_t age;

		r = kt_tasks_next(tasks, &task, NULL);
		if (r == 0 || r == -ENODEV)
			break;
		age = jiffies - task.scx.runnable_at;
		if (r < 0 || !is_waiting(&task, sched, queued) || age > timeout || age < longest)
			continue;
		longest = age;
		*ret_pid = task.pid;
	}
	/* Exactly half counts: the kernel checks at every half, and would err at the next check. */
	return longest && longest >= timeout / 2;
}
