/* SPDX-License-Identifier: MIT */
/*
 * Work that makes the kernel change its own data about tasks all the time.
 *
 * - NiceSweep, AffinityChurn, PolicyChurn: a worker changes its own scheduling parameters. Each
 *   change dequeues the task and enqueues it again; a change of affinity may also migrate it.
 * - ForkExit: a worker forks children that end at once.
 * - CgroupChurn: a worker moves itself around a few cgroups that it makes below its own cgroup.
 * - CgroupAttachStorm: a worker moves a child to another cgroup while the child ends.
 *
 * None of them records latencies. A change that the kernel refuses is not an error, because
 * operations of the test may change the cpuset or remove the cgroup meanwhile. Nothing that a
 * worker makes outlives the test, even if the worker is killed: children end by themselves and PID
 * 1 reaps them, and kt_cgroup_remove() removes the cgroups.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/cgroup/cgroup.h"
#include "guest/cgroup/cpuset.h"
#include "guest/worker/pause.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define DEFAULT_SPINS 1024u /* PAUSE instructions at each setting */

static const char *root_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	return work->uid ? "only root can do this; it has .uid" : NULL;
}

/* ---- NiceSweep, AffinityChurn, PolicyChurn --------------------------------------------------- */

#define NICE_MIN (-20)
#define NICE_MAX 19

static void nice_sweep(struct kt_worker *worker)
{
	id_t tid = (id_t)syscall(SYS_gettid);
	int nice = NICE_MIN;

	while (!kt_worker_stopping(worker)) {
		(void)setpriority(PRIO_PROCESS, tid, nice);
		kt_worker_spin(worker, worker->work->spins ?: 512);
		kt_worker_done(worker);
		nice = nice < NICE_MAX ? nice + 1 : NICE_MIN;
	}
}

/* Allows all CPUs of the cpuset: the kernel ignores CPUs of a mask that are outside the cpuset. */
static void find_cpus(cpu_set_t *ret_cpus)
{
	memset(ret_cpus, 0xff, sizeof(*ret_cpus));
	(void)sched_setaffinity(0, sizeof(*ret_cpus), ret_cpus);
	(void)sched_getaffinity(0, sizeof(*ret_cpus), ret_cpus);
}

static void affinity_churn(struct kt_worker *worker)
{
	cpu_set_t from, to;

	if (sched_getaffinity(0, sizeof(from), &from) < 0)
		find_cpus(&from);
	while (!kt_worker_stopping(worker)) {
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
		CPU_ZERO(&to);
		CPU_SET(kt_cpuset_nth(&from, (unsigned int)(kt_worker_random(worker) >> 32)), &to);
		/* The kernel refuses a CPU that the cpuset no longer has: read the new set. */
		if (sched_setaffinity(0, sizeof(to), &to) < 0)
			find_cpus(&from);
		kt_worker_done(worker);
	}
}

static void policy_churn(struct kt_worker *worker)
{
	unsigned int priority = worker->work->rt_priority ?: 50;
	const struct kt_sched cycle[] = {
		{ .policy = KT_SCHED_OTHER },
		{ .policy = KT_SCHED_BATCH },
		{ .policy = KT_SCHED_IDLE },
		{ .policy = KT_SCHED_FIFO, .priority = priority },
		{ .policy = KT_SCHED_RR, .priority = priority },
	};

	for (size_t i = 0; !kt_worker_stopping(worker); i++) {
		(void)kt_worker_set_sched(&cycle[i % KT_ARRAY_LEN(cycle)]);
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
		kt_worker_done(worker);
	}
}

static const char *policy_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	if (work->rt_priority > 99)
		return ".rt_priority must be within 1..99";
	return root_fault(work, topology);
}

/* ---- ForkExit, CgroupAttachStorm ------------------------------------------------------------- */

/*
 * Forks a child that ends after @pauses pauses (pause.h). Returns its pid, or 0 when the fork
 * fails (pids.max). *@ret_fd is its pidfd, or -1.
 */
static pid_t fork_child(unsigned int pauses, int *ret_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		kt_cpu_pause(pauses);
		_exit(0);
	}
	*ret_fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	return pid < 0 ? 0 : pid;
}

/*
 * Waits on the pidfd first: waitpid(2) would wait for ever for a child that is frozen. When the
 * worker is to stop it kills the child, and SIGKILL ends frozen processes too.
 */
static void await_child(struct kt_worker *worker, pid_t pid, int fd)
{
	/* -1 when the child was gone before pidfd_open(2): SIGCHLD is ignored. */
	if (fd >= 0 && !kt_worker_wait_readable(worker, fd))
		(void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* With SIG_IGN the kernel reaps children by itself, and waitpid(2) fails with ECHILD. */
static void choose_reaping(const struct kt_worker *worker)
{
	(void)signal(SIGCHLD, worker->work->reap ? SIG_DFL : SIG_IGN);
}

static void fork_exit(struct kt_worker *worker)
{
	choose_reaping(worker);
	while (!kt_worker_stopping(worker)) {
		KT_CLOSE int fd = -1;
		pid_t pid = fork_child(0, &fd);

		if (!pid)
			continue;
		await_child(worker, pid, fd);
		kt_worker_done(worker);
	}
}

/* Index in kt_unit.fds: cgroup.procs of the destination, opened once by PID 1. */
enum { DEST_FD };

static int open_dest(const struct kt_work *work, struct kt_unit *unit)
{
	KT_FREE char *path = kt_format("%s/%s/cgroup.procs", KT_CGROUP_ROOT, work->dest);

	if (!path)
		return -ENOMEM;
	unit->fds[DEST_FD] = open(path, O_WRONLY | O_CLOEXEC);
	return unit->fds[DEST_FD] < 0 ? -errno : 0;
}

/*
 * The point is the race between the move and the end of the child. Before the kernel moves a task,
 * it may wait for an RCU grace period (cgroup_threadgroup_rwsem). A child that ended at once would
 * always be gone by then. So each child lives for a random time, and the move finds it alive,
 * ending, dead, or gone (ESRCH).
 */
static void cgroup_attach_storm(struct kt_worker *worker)
{
	unsigned int spins = worker->work->spins ?: 16384;

	choose_reaping(worker);
	while (!kt_worker_stopping(worker)) {
		KT_CLOSE int fd = -1;
		pid_t pid = fork_child((unsigned int)(kt_worker_random(worker) % spins), &fd);

		if (!pid)
			continue;
		(void)!dprintf(worker->unit->fds[DEST_FD], "%d", (int)pid);
		await_child(worker, pid, fd);
		kt_worker_done(worker);
	}
}

static const char *attach_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	if (kt_cgroup_name_fault(work->dest))
		return ".dest must be the name of a cgroup that exists";
	return root_fault(work, topology);
}

/* ---- CgroupChurn ----------------------------------------------------------------------------- */

/*
 * The path of @file in the @i-th cgroup of this type. A leading dot marks cgroups that workers
 * made: a test cannot use such a name, and kt_cgroup_remove() removes them together with their
 * parent.
 */
static char *churn_path(const struct kt_worker *worker, unsigned int i, const char *file)
{
	return kt_format("%s/%s/.churn-%u%s", KT_CGROUP_ROOT, worker->cgroup ?: ".", i, file);
}

/* Moves the worker back to its cgroup, then tries to remove the cgroups that it moved around in. */
static void churn_remove(const struct kt_worker *worker, unsigned int n)
{
	KT_FREE char *own = kt_format("%s/%s/cgroup.procs", KT_CGROUP_ROOT, worker->cgroup ?: ".");

	if (own)
		(void)kt_file_write(own, "0");
	/*
	 * rmdir() fails while another worker of the group is inside; the last worker to end removes
	 * all. If a worker is killed, kt_cgroup_remove() removes the rest.
	 */
	for (unsigned int i = 0; i < n; i++) {
		KT_FREE char *path = churn_path(worker, i, "");

		if (path)
			(void)rmdir(path);
	}
}

static void churn_move(const struct kt_worker *worker, unsigned int i)
{
	KT_FREE char *path = churn_path(worker, i, ""),
		     *procs = churn_path(worker, i, "/cgroup.procs");

	if (!path || !procs)
		return;
	(void)mkdir(path, 0755); /* fails when another worker was first */
	(void)kt_file_write(procs, "0");
}

/* Neighbours start in different cgroups, so that each cgroup has workers from the start. */
static void cgroup_churn(struct kt_worker *worker)
{
	unsigned int n = worker->work->groups ?: 2, at = worker->index % n;
	unsigned int period_ms = worker->work->period_ms ?: 100;

	while (!kt_worker_stopping(worker)) {
		churn_move(worker, at);
		kt_worker_spin_us(worker, period_ms * 1000);
		kt_worker_done(worker);
		at = (at + 1) % n;
	}
	churn_remove(worker, n);
}

static const char *churn_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	if (work->groups == 1)
		return ".groups must be at least 2, to move between them";
	if (work->groups > 1000)
		return ".groups must be at most 1000";
	if (work->period_ms > 1000000)
		return ".period_ms must be at most 1000000";
	return root_fault(work, topology);
}

const struct kt_work_ops kt_churn_works[KT_N_WORK_TYPES] = {
	[KT_NICE_SWEEP] = { .name = "NiceSweep", .body = nice_sweep, .fault = root_fault },
	[KT_AFFINITY_CHURN] = { .name = "AffinityChurn", .body = affinity_churn },
	[KT_POLICY_CHURN] = { .name = "PolicyChurn", .body = policy_churn, .fault = policy_fault },
	[KT_FORK_EXIT] = { .name = "ForkExit", .body = fork_exit, .processes_only = true },
	[KT_CGROUP_CHURN] = { .name = "CgroupChurn",
			      .body = cgroup_churn,
			      .fault = churn_fault,
			      .processes_only = true },
	[KT_CGROUP_ATTACH_STORM] = { .name = "CgroupAttachStorm",
				     .body = cgroup_attach_storm,
				     .prepare = open_dest,
				     .fault = attach_fault,
				     .processes_only = true },
};
