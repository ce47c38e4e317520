/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>

#include "vmm/inspect/inspect.h"
#include "vmm/inspect/types.h"

/* A thread is found by its id as the kernel finds it: init_pid_ns, its IDR, struct pid. */

struct offsets {
	struct kt_member idr;   /* of the xarray in struct pid_namespace */
	struct kt_member tasks; /* of the first task's node in struct pid */
	struct kt_member links; /* of that node in struct task_struct */
	struct kt_member pid;   /* of the id there */
};

static int find_offsets(struct kt_inspect *inspect, struct offsets *ret, struct kt_err *reterr)
{
	return kt_inspect_member(inspect, "struct pid_namespace", "idr.idr_rt", &ret->idr,
				 reterr) ?:
	       kt_inspect_member(inspect, "struct pid", "tasks[0].first", &ret->tasks, reterr) ?:
	       kt_inspect_member(inspect, "struct task_struct", "pid_links[0]", &ret->links,
				 reterr) ?:
	       kt_inspect_member(inspect, "struct task_struct", "pid", &ret->pid, reterr);
}

static int no_task(uint32_t pid, struct kt_err *reterr)
{
	return kt_err_set(reterr, -ESRCH, "no task has the pid %" PRIu32, pid);
}

/* Goes from struct pid, of which there may be one without a task, to the task. */
static int task_of(struct kt_inspect *inspect, const struct offsets *offsets, uint64_t pid_kva,
		   uint32_t pid, uint64_t *ret_kva, struct kt_err *reterr)
{
	uint64_t node, kva, id;
	int r = kt_inspect_read_uint(inspect, pid_kva + offsets->tasks.offset, 8, &node, reterr);

	if (r < 0)
		return r;
	if (!node)
		return no_task(pid, reterr);
	kva = node - offsets->links.offset;
	r = kt_inspect_read_uint(inspect, kva + offsets->pid.offset, 4, &id, reterr);
	if (r < 0)
		return r;
	if (id != pid)
		return no_task(pid, reterr);
	*ret_kva = kva;
	return 0;
}

int kt_inspect_task(struct kt_inspect *inspect, uint32_t pid, uint64_t *ret_kva,
		    struct kt_err *reterr)
{
	struct offsets offsets;
	uint64_t ns, pid_kva;
	int r;

	if (!pid)
		return kt_inspect_symbol(inspect, "init_task", ret_kva, reterr);
	r = find_offsets(inspect, &offsets, reterr) ?:
		kt_inspect_symbol(inspect, "init_pid_ns", &ns, reterr) ?:
		kt_inspect_xa_load(inspect, ns + offsets.idr.offset, pid, &pid_kva, reterr);
	if (r == 0 && !pid_kva)
		return no_task(pid, reterr);
	if (r == 0)
		r = task_of(inspect, &offsets, pid_kva, pid, ret_kva, reterr);
	return r < 0 && r != -ESRCH ? kt_err_prefix(reterr, r, "task %" PRIu32, pid) : r;
}
