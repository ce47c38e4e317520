/* SPDX-License-Identifier: MIT */
#include "guest/worker.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/cgroup.h"
#include "guest/crash.h"
#include "util/cleanup.h"
#include "util/io.h"

#define DEFAULT_WORKERS 2u
#define WORKERS_MAX     4096u
#define SPINS_PER_UNIT  1024

struct kt_worker_group {
	unsigned int n;
	struct process {
		pid_t pid; /* 0 before the fork and once reaped */
		int pidfd;
	} * processes;
	int epoll_fd;                   /* over all pidfds */
	struct kt_group_shared *shared; /* followed by one struct kt_worker_shared for each */
	size_t shared_len;
};

static void spin_wait(struct kt_worker *worker)
{
	while (!kt_worker_stopping(worker)) {
		for (int i = 0; i < SPINS_PER_UNIT; i++)
			__builtin_ia32_pause();
		kt_worker_done(worker);
	}
}

static const struct kt_work_ops work_table[KT_N_WORK_TYPES] = {
	[KT_SPIN_WAIT] = { .name = "SpinWait", .body = spin_wait },
};

const struct kt_work_ops *kt_work_ops(enum kt_work_type type)
{
	if (type <= KT_WORK_NONE || type >= KT_N_WORK_TYPES)
		return NULL;
	return &work_table[type];
}

const char *kt_work_fault(const struct kt_work *work)
{
	if (!kt_work_ops(work->type))
		return "it has no work type";
	if (work->workers > WORKERS_MAX)
		return "it has more than 4096 workers";
	return NULL;
}

unsigned int kt_work_count(const struct kt_work *work)
{
	return work->workers ?: DEFAULT_WORKERS;
}

static void futex_wait(_Atomic uint32_t *futex, uint32_t while_value)
{
	while (atomic_load(futex) == while_value)
		(void)syscall(SYS_futex, futex, FUTEX_WAIT, while_value, NULL, NULL, 0);
}

static void futex_set(_Atomic uint32_t *futex, uint32_t value)
{
	atomic_store(futex, value);
	(void)syscall(SYS_futex, futex, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

__attribute__((noreturn)) static void worker_main(struct kt_worker *worker)
{
	kt_crash_uninstall();
	(void)prctl(PR_SET_NAME, kt_work_ops(worker->work->type)->name);
	futex_wait(&worker->group->go, 0);
	kt_work_ops(worker->work->type)->body(worker);
	_exit(0);
}

static int fork_worker(struct kt_worker_group *group, const struct kt_work *work, unsigned int i)
{
	struct kt_worker worker = {
		.work = work,
		.group = group->shared,
		.shared = (struct kt_worker_shared *)(group->shared + 1) + i,
		.index = i,
	};
	struct process *process = &group->processes[i];
	struct epoll_event event = { .events = EPOLLIN };
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		worker_main(&worker);
	process->pid = pid;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process->pidfd < 0 ||
	    epoll_ctl(group->epoll_fd, EPOLL_CTL_ADD, process->pidfd, &event) < 0)
		return -errno;
	return 0;
}

/* Every worker must be reaped. */
static void group_free(struct kt_worker_group *group)
{
	for (unsigned int i = 0; group->processes && i < group->n; i++)
		(void)kt_close(group->processes[i].pidfd);
	if (group->shared != MAP_FAILED)
		(void)munmap(group->shared, group->shared_len);
	(void)kt_close(group->epoll_fd);
	free(group->processes);
	free(group);
}

static int group_new(unsigned int n, struct kt_worker_group **ret_group)
{
	struct kt_worker_group *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	group->n = n;
	group->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	group->processes = calloc(n, sizeof(*group->processes));
	group->shared_len = sizeof(struct kt_group_shared) + n * sizeof(struct kt_worker_shared);
	group->shared = mmap(NULL, group->shared_len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; group->processes && i < n; i++)
		group->processes[i].pidfd = -1;
	if (group->epoll_fd < 0 || !group->processes || group->shared == MAP_FAILED) {
		group_free(group);
		return -ENOMEM;
	}
	*ret_group = group;
	return 0;
}

int kt_worker_group_start(const struct kt_work *work, const char *cgroup,
			  struct kt_worker_group **ret_group, struct kt_err *reterr)
{
	struct kt_worker_group *group;
	int r = group_new(kt_work_count(work), &group);

	if (r < 0)
		return kt_err_oom(reterr);
	for (unsigned int i = 0; r == 0 && i < group->n; i++) {
		r = fork_worker(group, work, i);
		if (r < 0)
			(void)kt_err_set(reterr, r, "cannot fork worker %u of %u: %m", i, group->n);
	}
	for (unsigned int i = 0; r == 0 && cgroup && i < group->n; i++)
		r = kt_cgroup_attach(cgroup, group->processes[i].pid, reterr);
	if (r < 0) {
		(void)kt_worker_group_stop(group, 0);
		return r;
	}
	futex_set(&group->shared->go, 1);
	*ret_group = group;
	return 0;
}

/* Waits for the end of the process until @deadline_ns, kills it then, and reaps it. */
static void reap(struct process *process, uint64_t deadline_ns)
{
	struct pollfd waiting = { .fd = process->pidfd, .events = POLLIN };

	if (!process->pid)
		return;
	if (process->pidfd < 0 || kt_poll(&waiting, 1, deadline_ns) != 1)
		(void)kill(process->pid, SIGKILL);
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
}

struct kt_worker_group *kt_worker_group_stop(struct kt_worker_group *group, uint64_t deadline_ns)
{
	if (!group)
		return NULL;
	atomic_store(&group->shared->stop, 1);
	futex_set(&group->shared->go, 1);
	for (unsigned int i = 0; i < group->n; i++)
		reap(&group->processes[i], deadline_ns);
	group_free(group);
	return NULL;
}

int kt_worker_group_fd(const struct kt_worker_group *group)
{
	return group->epoll_fd;
}

unsigned int kt_worker_group_count(const struct kt_worker_group *group)
{
	return group->n;
}

bool kt_worker_group_has(const struct kt_worker_group *group, pid_t pid)
{
	for (unsigned int i = 0; i < group->n; i++) {
		if (group->processes[i].pid == pid)
			return true;
	}
	return false;
}

int kt_worker_group_lost(struct kt_worker_group *group, int *ret_status)
{
	for (unsigned int i = 0; i < group->n; i++) {
		struct process *process = &group->processes[i];

		if (process->pid && waitpid(process->pid, ret_status, WNOHANG) > 0) {
			process->pid = 0;
			return (int)i;
		}
	}
	return -1;
}
