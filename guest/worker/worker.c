/* SPDX-License-Identifier: MIT */
#include "guest/worker/worker.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/cgroup/cgroup.h"
#include "guest/port/activity.h"
#include "guest/port/crash.h"
#include "guest/worker/setup.h"
#include "guest/worker/telemetry.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The life of a group of workers, in PID 1 and in the workers.
 *
 * The scenario (guest/scenario/live.c) owns each group. A worker is a process, or a thread of the
 * group's only process. PID 1 and the workers talk through one shared mapping, which PID 1 makes
 * before it forks: the stage, the stop flag, the telemetry of each worker, and the memory of each
 * unit.
 *
 * A worker enters its cgroup before it sets its affinity, because entering a cgroup resets the
 * affinity. No worker starts its work before all have set themselves up. No process outlives its
 * group: kt_worker_group_stop() kills and reaps every process before it frees anything.
 */

#define STOP_SIGNAL  SIGUSR2 /* interrupts system calls, so that workers look at the stop flag */
#define LOST_LOOK_NS (50 * KT_NSEC_PER_MSEC) /* from one look for lost workers to the next */

/* The group is at one stage at a time. Only PID 1 advances it; the workers wait for it. */
enum stage {
	STAGE_FORKED, /* the process waits until PID 1 has moved it to its cgroup */
	STAGE_SET_UP, /* each worker sets itself up */
	STAGE_GO,     /* each worker does its work */
};

struct process {
	pid_t pid; /* 0 before the fork and once reaped */
	int pidfd;
	int status; /* once reaped */
	bool lost;  /* it ended before it was asked to */
	bool told;  /* that it did, by kt_worker_group_lost() */
	bool killed;
};

struct kt_worker_group {
	struct kt_work work;           /* a copy */
	const struct kt_work_ops *ops; /* of the work's type */
	struct kt_worker_place place;
	cpu_set_t allowed; /* CPUs of all cpusets that it was in */
	unsigned int n;    /* workers */
	unsigned int n_processes;
	struct process *processes;
	int epoll_fd; /* over all pidfds */
	struct kt_unit *units;
	unsigned int unit_size, n_units;
	size_t unit_len; /* bytes that each shares */
	struct kt_group_shared *shared;
	struct kt_telemetry *telemetry; /* of each worker */
	size_t shared_len;              /* of all that is shared */
	uint64_t (*schedstats)[3];      /* of each worker, as it is asked to end */
	bool asked;                     /* to end */
	bool patient;                   /* it was given time to do so */
};

/* May return early (a signal, a changed value): every caller waits in a loop. */
static void futex_wait(_Atomic uint32_t *futex, uint32_t while_value, uint64_t deadline_ns)
{
	struct timespec until = kt_timespec(deadline_ns);

	(void)syscall(SYS_futex, futex, FUTEX_WAIT_BITSET, while_value,
		      deadline_ns == KT_NSEC_NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void futex_set(_Atomic uint32_t *futex, uint32_t value)
{
	atomic_store(futex, value);
	(void)syscall(SYS_futex, futex, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- in the workers -------------------------------------------------------------------------- */

/*
 * The only wait here without a deadline: PID 1 has one. When PID 1 gives up it kills the process,
 * and when PID 1 dies PR_SET_PDEATHSIG does.
 */
static void await_stage(struct kt_group_shared *shared, enum stage stage)
{
	uint32_t now;

	while ((now = atomic_load(&shared->stage)) < stage)
		futex_wait(&shared->stage, now, KT_NSEC_NEVER);
}

static void say_ready(struct kt_group_shared *shared)
{
	(void)atomic_fetch_add(&shared->ready, 1);
	(void)syscall(SYS_futex, &shared->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static struct kt_worker make_worker(struct kt_worker_group *group, unsigned int i)
{
	return (struct kt_worker){
		.work = &group->work,
		.group = group->shared,
		.unit = &group->units[i / group->unit_size],
		.telemetry = &group->telemetry[i],
		.cgroup = group->place.cgroup,
		.topology = group->place.topology,
		.index = i,
		.part = i % group->unit_size,
		.unit_size = group->unit_size,
		.random = group->place.seed + i,
	};
}

/* Leaves an error in the telemetry, from where find_setup_fault() reads it. */
static void set_up(struct kt_worker_group *group, struct kt_worker *worker)
{
	struct kt_telemetry *telemetry = worker->telemetry;
	struct kt_err err = KT_ERR_NULL;

	atomic_store(&telemetry->tid, (int32_t)syscall(SYS_gettid));
	telemetry->setup_error = kt_worker_set_up(&group->work, &group->place, group->ops->name,
						  worker->index, &err);
	if (telemetry->setup_error < 0)
		(void)snprintf(telemetry->setup_fault, sizeof(telemetry->setup_fault), "%s",
			       err.text);
	say_ready(group->shared);
}

/* The whole life of worker @i. The group may be stopped before it has started. */
static void work(struct kt_worker_group *group, unsigned int i)
{
	struct kt_worker worker = make_worker(group, i);

	set_up(group, &worker);
	await_stage(group->shared, STAGE_GO);
	if (kt_worker_stopping(&worker))
		return;
	kt_telemetry_begin(worker.telemetry);
	group->ops->body(&worker);
	kt_telemetry_end(worker.telemetry);
}

struct thread {
	struct kt_worker_group *group;
	unsigned int index;
	pthread_t thread;
};

static void *thread_main(void *data)
{
	const struct thread *thread = data;

	work(thread->group, thread->index);
	return NULL;
}

/*
 * Worker 0 is the process's first thread. Without memory for the others their threads are missing,
 * and PID 1 times out waiting for them.
 */
static void work_in_threads(struct kt_worker_group *group)
{
	struct thread *threads = calloc(group->n, sizeof(*threads));

	for (unsigned int i = 1; threads && i < group->n; i++) {
		threads[i].group = group;
		threads[i].index = i;
		if (pthread_create(&threads[i].thread, NULL, thread_main, &threads[i]))
			_exit(1); /* PID 1 reports a worker that ended before it could start */
	}
	work(group, 0);
	for (unsigned int i = 1; threads && i < group->n; i++)
		(void)pthread_join(threads[i].thread, NULL);
}

/*
 * The handler of STOP_SIGNAL. It is installed without SA_RESTART: the signal's only purpose is to
 * interrupt the system call that the worker waits in.
 */
static void ignore(int signal)
{
	(void)signal;
}

__attribute__((noreturn)) static void process_main(struct kt_worker_group *group, unsigned int i)
{
	kt_crash_uninstall();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN); /* the worker at the other end may stop first */
	(void)sigaction(STOP_SIGNAL, &(struct sigaction){ .sa_handler = ignore }, NULL);
	await_stage(group->shared, STAGE_SET_UP);
	if (group->work.threads)
		work_in_threads(group);
	else
		work(group, i);
	_exit(0);
}

/* ---- in PID 1: making a group ---------------------------------------------------------------- */

static void close_unit(struct kt_unit *unit)
{
	for (int i = 0; i < KT_UNIT_FDS; i++)
		unit->fds[i] = kt_close(unit->fds[i]);
}

/* The caller has reaped every process. */
static void group_free(struct kt_worker_group *group)
{
	for (unsigned int i = 0; group->processes && i < group->n_processes; i++)
		(void)kt_close(group->processes[i].pidfd);
	for (unsigned int i = 0; group->units && i < group->n_units; i++)
		close_unit(&group->units[i]);
	if (group->shared != MAP_FAILED)
		(void)munmap(group->shared, group->shared_len);
	(void)kt_close(group->epoll_fd);
	free(group->processes);
	free(group->units);
	free(group->schedstats);
	free(group);
}

/* Each unit starts on a cache line of its own: units must not slow one another down. */
static size_t aligned(size_t len)
{
	return (len + 63) & ~(size_t)63;
}

/* The shared mapping holds struct kt_group_shared, telemetry by worker, memory by unit. */
static void lay_out(struct kt_worker_group *group)
{
	char *at = (char *)(group->shared + 1);

	group->telemetry = (struct kt_telemetry *)at;
	at += group->n * sizeof(*group->telemetry);
	for (unsigned int i = 0; i < group->n_units; i++) {
		group->units[i].shared = at + i * group->unit_len;
		for (int fd = 0; fd < KT_UNIT_FDS; fd++)
			group->units[i].fds[fd] = -1;
	}
}

static int group_alloc(struct kt_worker_group *group)
{
	group->processes = calloc(group->n_processes, sizeof(*group->processes));
	group->units = calloc(group->n_units, sizeof(*group->units));
	group->schedstats = calloc(group->n, sizeof(*group->schedstats));
	group->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	group->shared_len = sizeof(*group->shared) + group->n * sizeof(*group->telemetry) +
			    group->n_units * group->unit_len;
	group->shared = mmap(NULL, group->shared_len, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!group->processes || !group->units || !group->schedstats || group->epoll_fd < 0 ||
	    group->shared == MAP_FAILED)
		return -ENOMEM;
	for (unsigned int i = 0; i < group->n_processes; i++)
		group->processes[i].pidfd = -1;
	lay_out(group);
	return 0;
}

/* Before the fork, so that the workers inherit the units' descriptors. */
static int prepare_units(struct kt_worker_group *group, struct kt_err *reterr)
{
	const char *lacks = group->ops->lacks ? group->ops->lacks(&group->work) : NULL;

	if (lacks)
		return kt_err_set(reterr, -ENOTSUP, "%s: %s", group->ops->name, lacks);
	for (unsigned int i = 0; group->ops->prepare && i < group->n_units; i++) {
		int r = group->ops->prepare(&group->work, &group->units[i]);

		if (r < 0)
			return kt_err_set(reterr, r, "preparing %s: %m", group->ops->name);
	}
	return 0;
}

static int group_new(const struct kt_work *work, const struct kt_worker_place *place,
		     struct kt_worker_group **ret_group, struct kt_err *reterr)
{
	struct kt_worker_group *group = calloc(1, sizeof(*group));
	int r;

	if (!group)
		return kt_err_oom(reterr);
	group->work = *work;
	group->ops = kt_work_ops(work->type);
	group->place = *place;
	group->allowed = place->cpus;
	group->n = kt_work_count(work, (unsigned int)CPU_COUNT(&place->cpus));
	group->n_processes = work->threads ? 1 : group->n;
	group->unit_size = kt_work_unit_size(work);
	group->n_units = group->n / group->unit_size;
	group->unit_len = aligned(group->ops->shared_len ? group->ops->shared_len(work) : 0);
	group->epoll_fd = -1;
	group->shared = MAP_FAILED;
	r = group->n_units * group->unit_size == group->n
		    ? group_alloc(group)
		    : kt_err_set(reterr, -EINVAL, "%u workers are not a multiple of %u", group->n,
				 group->unit_size);
	if (r == -ENOMEM)
		(void)kt_err_oom(reterr);
	r = r ?: prepare_units(group, reterr);
	if (r < 0)
		group_free(group);
	else
		*ret_group = group;
	return r;
}

static int fork_process(struct kt_worker_group *group, unsigned int i)
{
	struct process *process = &group->processes[i];
	struct epoll_event event = { .events = EPOLLIN };
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		process_main(group, i);
	process->pid = pid;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process->pidfd < 0 ||
	    epoll_ctl(group->epoll_fd, EPOLL_CTL_ADD, process->pidfd, &event) < 0)
		return -errno;
	return 0;
}

static int fork_all(struct kt_worker_group *group, struct kt_err *reterr)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		int r = fork_process(group, i);

		if (r < 0)
			return kt_err_set(reterr, r, "cannot fork worker %u of %u: %m", i,
					  group->n_processes);
	}
	/* The workers have inherited the descriptors. PID 1 uses none of them. */
	for (unsigned int i = 0; i < group->n_units; i++)
		close_unit(&group->units[i]);
	return 0;
}

static int find_setup_fault(const struct kt_worker_group *group, struct kt_err *reterr)
{
	for (unsigned int i = 0; i < group->n; i++) {
		const struct kt_telemetry *telemetry = &group->telemetry[i];

		if (telemetry->setup_error < 0)
			return kt_err_set(reterr, telemetry->setup_error, "worker %u: %.*s", i,
					  KT_SETUP_FAULT_LEN, telemetry->setup_fault);
	}
	return 0;
}

/* A worker that dies wakes no futex: hence the look for lost workers every LOST_LOOK_NS. */
static int await_ready(struct kt_worker_group *group, uint64_t deadline_ns, struct kt_err *reterr)
{
	uint32_t ready;
	int status, lost;

	kt_activity_await("all workers to start, in cgroup", group->place.cgroup ?: "/");
	while ((ready = atomic_load(&group->shared->ready)) < group->n) {
		lost = kt_worker_group_lost(group, &status);
		if (lost >= 0)
			return kt_err_set(reterr, -ECHILD, "worker %d ended before it could start",
					  lost);
		if (!kt_left_ns(deadline_ns))
			return kt_err_set(reterr, -ETIMEDOUT,
					  "timed out waiting for %u workers to start; %u have",
					  group->n, ready);
		futex_wait(&group->shared->ready, ready,
			   KT_MIN(deadline_ns, kt_now_ns() + LOST_LOOK_NS));
	}
	kt_activity_await(NULL, NULL);
	return find_setup_fault(group, reterr);
}

int kt_worker_group_start(const struct kt_work *work, const struct kt_worker_place *place,
			  uint64_t deadline_ns, struct kt_worker_group **ret_group,
			  struct kt_err *reterr)
{
	struct kt_worker_group *group = NULL;
	int r = group_new(work, place, &group, reterr);

	if (r < 0)
		return r;
	r = fork_all(group, reterr);
	if (r == 0 && place->cgroup)
		r = kt_worker_group_move(group, place->cgroup, reterr);
	if (r == 0) {
		futex_set(&group->shared->stage, STAGE_SET_UP);
		r = await_ready(group, deadline_ns, reterr);
	}
	if (r < 0) {
		(void)kt_worker_group_stop(group, 0, NULL, NULL, NULL);
		return r;
	}
	futex_set(&group->shared->stage, STAGE_GO);
	*ret_group = group;
	return 0;
}

/* ---- in PID 1: while it runs ----------------------------------------------------------------- */

unsigned int kt_worker_group_count(const struct kt_worker_group *group)
{
	return group->n;
}

pid_t kt_worker_group_tid(const struct kt_worker_group *group, unsigned int i)
{
	return atomic_load(&group->telemetry[i].tid);
}

uint64_t kt_worker_group_iterations(const struct kt_worker_group *group)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < group->n; i++)
		sum += atomic_load_explicit(&group->telemetry[i].iterations, memory_order_relaxed);
	return sum;
}

int kt_worker_group_move(struct kt_worker_group *group, const char *cgroup, struct kt_err *reterr)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		int r = group->processes[i].pid
				? kt_cgroup_attach(cgroup, group->processes[i].pid, reterr)
				: 0;

		if (r < 0 && r != -ESRCH)
			return r;
	}
	return 0;
}

void kt_worker_group_set_cgroup(struct kt_worker_group *group, const char *cgroup)
{
	group->place.cgroup = cgroup;
}

void kt_worker_group_allow(struct kt_worker_group *group, const cpu_set_t *cpus)
{
	CPU_OR(&group->allowed, &group->allowed, cpus);
	group->place.cpus = *cpus;
}

int kt_worker_group_set_affinity(struct kt_worker_group *group, const struct kt_affinity *affinity,
				 const struct kt_worker_place *place, struct kt_err *reterr)
{
	for (unsigned int i = 0; i < group->n; i++) {
		pid_t tid = atomic_load(&group->telemetry[i].tid);
		cpu_set_t cpus = place->cpus;
		int r = kt_affinity_resolve(affinity, place, i, &cpus, reterr);

		if (r < 0)
			return r;
		if (sched_setaffinity(tid, sizeof(cpus), &cpus) < 0 && errno != ESRCH)
			return kt_err_set(reterr, -errno, "sched_setaffinity of worker %u: %m", i);
	}
	return 0;
}

int kt_worker_group_fd(const struct kt_worker_group *group)
{
	return group->epoll_fd;
}

bool kt_worker_group_has(const struct kt_worker_group *group, pid_t pid)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		if (group->processes[i].pid == pid)
			return true;
	}
	return false;
}

int kt_worker_group_lost(struct kt_worker_group *group, int *ret_status)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		struct process *process = &group->processes[i];

		if (process->pid && waitpid(process->pid, &process->status, WNOHANG) > 0) {
			process->pid = 0;
			process->lost = process->told = true;
			*ret_status = process->status;
			return (int)i;
		}
	}
	return -1;
}

/* ---- in PID 1: the end ----------------------------------------------------------------------- */

/*
 * A deadline of 0 kills at once. SIGKILL also ends a frozen process, but one that has used its
 * quota (cpu.max) needs CPU time for its end, and may get none for minutes: the quota is lifted.
 */
static void reap(struct process *process, const char *cgroup, uint64_t deadline_ns)
{
	struct pollfd waiting = { .fd = process->pidfd, .events = POLLIN };

	if (!process->pid)
		return;
	if (process->pidfd < 0 || kt_poll(&waiting, 1, deadline_ns) <= 0) {
		process->killed = true;
		if (cgroup)
			kt_cgroup_lift_quota(cgroup);
		(void)kill(process->pid, SIGKILL);
	}
	while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
}

static const struct process *process_of(const struct kt_worker_group *group, unsigned int i)
{
	return &group->processes[group->work.threads ? 0 : i];
}

/*
 * The kernel's counters of a thread vanish with the thread, so they are read before the workers are
 * told to stop. A worker that ends by itself replaces them with later ones (kt_telemetry_end()).
 */
static void read_schedstats(struct kt_worker_group *group)
{
	for (unsigned int i = 0; i < group->n; i++)
		kt_telemetry_schedstat(process_of(group, i)->pid, group->telemetry[i].tid,
				       group->schedstats[i]);
}

/* Reports are made here and not by the workers, so that a worker that was killed has one too. */
static void append_reports(const struct kt_worker_group *group, struct kt_worker_report **reports,
			   size_t *n)
{
	struct kt_worker_report *grown = reallocarray(*reports, *n + group->n, sizeof(*grown));

	if (!grown)
		return;
	*reports = grown;
	for (unsigned int i = 0; i < group->n; i++) {
		const struct process *process = process_of(group, i);
		struct kt_worker_report *report = &grown[(*n)++];

		*report = (struct kt_worker_report){
			.cgroup = strdup(group->place.cgroup ?: ""),
			.work = group->ops->name,
			.group = group->place.number,
			.index = i,
			.killed = process->killed,
			.status = process->status,
		};
		for (unsigned int cpu = 0; cpu < KT_REPORT_CPUS; cpu++) {
			if (CPU_ISSET(cpu, &group->allowed))
				report->allowed[cpu / 64] |= UINT64_C(1) << cpu % 64;
		}
		kt_telemetry_report(&group->telemetry[i], group->schedstats[i], report);
	}
}

/* Marks the processes that have ended already: none was asked to end yet. */
static void note_lost(struct kt_worker_group *group)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		struct process *process = &group->processes[i];

		if (!process->pid || waitpid(process->pid, &process->status, WNOHANG) <= 0)
			continue;
		process->pid = 0;
		process->lost = true;
	}
}

/*
 * A worker that was asked to end may exit with a status of its own; it is in its report. Ends by a
 * signal, before it was asked, or by a kill after waiting in vain are faults.
 */
static char *find_fault(const struct kt_worker_group *group)
{
	for (unsigned int i = 0; i < group->n_processes; i++) {
		const struct process *process = &group->processes[i];
		const char *when = process->lost ? "" : " after it was asked to end";
		int status = process->status;

		if (process->told)
			continue;
		if (process->killed && group->patient)
			return kt_format("worker %u (%s) did not end when it was asked to", i,
					 group->ops->name);
		if (process->killed)
			continue;
		if (WIFSIGNALED(status))
			return kt_format("worker %u (%s) was killed by signal %d (%s)%s", i,
					 group->ops->name, WTERMSIG(status),
					 strsignal(WTERMSIG(status)), when);
		if (process->lost)
			return kt_format("worker %u (%s) ended by itself (status %d)%s", i,
					 group->ops->name, WEXITSTATUS(status), when);
	}
	return NULL;
}

void kt_worker_group_ask_to_end(struct kt_worker_group *group)
{
	if (group->asked)
		return;
	group->asked = true;
	note_lost(group);
	read_schedstats(group);
	atomic_store(&group->shared->stop, 1);
	futex_set(&group->shared->stage, STAGE_GO);
	for (unsigned int i = 0; i < group->n; i++) {
		if (process_of(group, i)->pid && group->telemetry[i].tid)
			(void)tgkill(process_of(group, i)->pid, group->telemetry[i].tid,
				     STOP_SIGNAL);
	}
}

struct kt_worker_group *kt_worker_group_stop(struct kt_worker_group *group, uint64_t deadline_ns,
					     struct kt_worker_report **reports, size_t *n,
					     char **ret_fault)
{
	if (!group)
		return NULL;
	kt_worker_group_ask_to_end(group);
	group->patient = deadline_ns > 0;
	kt_activity_await("the workers to end, in cgroup", group->place.cgroup ?: "/");
	for (unsigned int i = 0; i < group->n_processes; i++)
		reap(&group->processes[i], group->place.cgroup, deadline_ns);
	kt_activity_await(NULL, NULL);
	if (reports)
		append_reports(group, reports, n);
	if (ret_fault)
		*ret_fault = find_fault(group);
	group_free(group);
	return NULL;
}
