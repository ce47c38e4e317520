/* SPDX-License-Identifier: MIT */
/* Jobs: how they start and end, and that nothing of them is left; time that the host takes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/run/job.h"
#include "framework/session/session.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/steal.h"

UNIT_SUITE(job);
UNIT_SUITE(steal);

static const struct kt_test test = { .name = "t", .file = "t.c" };
static const struct kt_kernel kernel;

static void on_ended(struct kt_job *job)
{
	kt_loop_stop(job->loop, 0);
}

static const struct kt_job_events events = { .ended = on_ended };

static int pids[2]; /* a pipe that a job's process tells a PID through */

/* Leaves a child behind that would outlive it, and ends without an outcome. */
static int leaves_a_child(struct kt_job *job, int report_fd, int go_fd)
{
	pid_t pid = fork();

	(void)job;
	(void)report_fd;
	(void)go_fd;
	if (pid == 0) {
		(void)close(report_fd);
		for (;;)
			(void)pause();
	}
	(void)write(pids[1], &pid, sizeof(pid));
	return 3;
}

/* Whether the process is gone, or dead and not reaped; waits for that. */
static bool dies(pid_t pid)
{
	uint64_t deadline_ns = kt_now_ns() + 10 * KT_NSEC_PER_SEC;

	while (kt_left_ns(deadline_ns)) {
		char path[64], state = 'X';
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		file = fopen(path, "r");
		if (!file)
			return true;
		(void)fscanf(file, "%*d (%*[^)]) %c", &state);
		(void)fclose(file);
		if (state == 'Z' || state == 'X')
			return true;
	}
	return false;
}

Test(job, its_group_ends_with_it)
{
	struct kt_loop *loop;
	struct kt_job job;
	pid_t child = 0;

	cr_assert(zero(int, pipe2(pids, O_CLOEXEC)));
	cr_assert(zero(int, kt_loop_new(&loop)));
	cr_assert(zero(int,
		       kt_job_init(&job, loop, &events, &test, "t", &kernel, KT_PHASE_BOOT, NULL)));
	cr_assert(zero(int, kt_job_start(&job, leaves_a_child, false, false, NULL)));
	cr_assert(zero(int, kt_loop_run(loop)));
	cr_assert(eq(int, job.exit_code, 3));
	cr_assert(eq(int, (int)job.outcome.result.verdict, KT_VERDICT_ERROR));
	cr_assert(eq(long, read(pids[0], &child, sizeof(child)), sizeof(child)));
	cr_assert(dies(child), "process %d is left", (int)child);
	kt_job_deinit(&job);
	(void)kt_loop_free(loop);
	(void)close(pids[0]);
	(void)close(pids[1]);
}

static int waits(struct kt_job *job, int report_fd, int go_fd)
{
	(void)job;
	(void)report_fd;
	(void)go_fd;
	for (;;)
		(void)pause();
	return 0;
}

/* While a job is paused its watchdog waits too; continued, the job has what it had left. */
Test(job, a_pause_does_not_count)
{
	const uint64_t limit_ns = 200 * KT_NSEC_PER_MSEC;
	uint64_t paused_until_ns, continued_ns;
	struct kt_loop *loop;
	struct kt_job job;

	cr_assert(zero(int, kt_loop_new(&loop)));
	cr_assert(zero(int,
		       kt_job_init(&job, loop, &events, &test, "t", &kernel, KT_PHASE_BOOT, NULL)));
	cr_assert(zero(int, kt_job_start(&job, waits, false, false, NULL)));
	kt_job_watch(&job, limit_ns);
	kt_job_pause(&job);
	kt_job_stop(&job);
	cr_assert(kt_job_is_paused(&job));
	paused_until_ns = kt_now_ns() + 2 * limit_ns;
	while (kt_loop_step(loop, paused_until_ns) == 0)
		;
	cr_assert(not(job.hung), "the watchdog has not stood still");
	continued_ns = kt_now_ns();
	kt_job_continue(&job);
	cr_assert(zero(int, kt_loop_run(loop)));
	cr_assert(job.hung);
	cr_assert(ge(u64, kt_now_ns() - continued_ns, limit_ns / 2));
	kt_job_deinit(&job);
	(void)kt_loop_free(loop);
}

/* Spins beside itself on one CPU: either process waits for the other half of the time. */
static int shares_a_cpu(struct kt_job *job, int report_fd, int go_fd)
{
	uint64_t end_ns = kt_now_ns() + 100 * KT_NSEC_PER_SEC;
	cpu_set_t first;

	(void)job;
	(void)report_fd;
	(void)go_fd;
	CPU_ZERO(&first);
	CPU_SET(sched_getcpu(), &first);
	(void)sched_setaffinity(0, sizeof(first), &first);
	(void)fork();
	while (kt_left_ns(end_ns))
		;
	return 0;
}

/* A busy host is not the job's fault: it has its limit in time that the host gave it. */
Test(job, time_without_a_cpu_does_not_count)
{
	const uint64_t limit_ns = 100 * KT_NSEC_PER_MSEC;
	struct kt_loop *loop;
	struct kt_job job;
	uint64_t began_ns = kt_now_ns();

	cr_assert(zero(int, kt_loop_new(&loop)));
	cr_assert(zero(int,
		       kt_job_init(&job, loop, &events, &test, "t", &kernel, KT_PHASE_BOOT, NULL)));
	cr_assert(zero(int, kt_job_start(&job, shares_a_cpu, false, false, NULL)));
	kt_job_watch(&job, limit_ns);
	cr_assert(zero(int, kt_loop_run(loop)));
	cr_assert(job.hung);
	cr_assert(gt(u64, kt_now_ns() - began_ns, limit_ns * 3 / 2));
	kt_job_deinit(&job);
	(void)kt_loop_free(loop);
}

/* The lowest descriptor that is free: a limit of so many lets no other be opened. */
static rlim_t next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)close(fd);
	return (rlim_t)fd;
}

/* Each number of descriptors fails at another point of the start. */
Test(job, a_half_start_leaves_nothing)
{
	struct rlimit before, few;
	struct kt_loop *loop;

	cr_assert(zero(int, kt_loop_new(&loop)));
	(void)getrlimit(RLIMIT_NOFILE, &before);
	for (rlim_t more = 0; more <= 3; more++) {
		struct kt_err err = KT_ERR_NULL;
		KT_FREE char *limit = NULL;
		struct kt_job job;
		int r;

		cr_assert(zero(int, kt_job_init(&job, loop, &events, &test, "t", &kernel,
						KT_PHASE_BOOT, NULL)));
		few = before;
		few.rlim_cur = next_fd() + more;
		(void)setrlimit(RLIMIT_NOFILE, &few);
		limit = kt_format("(RLIMIT_NOFILE) is %llu: run fewer",
				  (unsigned long long)few.rlim_cur);
		r = kt_job_start(&job, waits, false, true, &err);
		(void)setrlimit(RLIMIT_NOFILE, &before);
		cr_assert(eq(int, r, -EMFILE), "%u descriptors", (unsigned int)more);
		cr_assert(ne(ptr, strstr(err.text, limit), NULL), "%s", err.text);
		cr_assert(eq(int, waitpid(-1, NULL, WNOHANG), -1), "a child is left");
		cr_assert(eq(int, kt_loop_step(loop, kt_now_ns()), -ETIMEDOUT), "a source is left");
		kt_job_deinit(&job);
	}
	(void)kt_loop_free(loop);
}

/* An event loop that refuses the process: it is a file instead of an epoll descriptor. */
Test(job, a_process_that_cannot_be_watched_is_ended)
{
	int fd = (int)next_fd(), other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kt_loop *loop;
	struct kt_job job;

	(void)close(other); /* fd is free again, and is the loop's */
	cr_assert(zero(int, kt_loop_new(&loop)));
	cr_assert(zero(int,
		       kt_job_init(&job, loop, &events, &test, "t", &kernel, KT_PHASE_BOOT, NULL)));
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_assert(eq(int, dup2(other, fd), fd));
	cr_assert(lt(int, kt_job_start(&job, waits, false, false, NULL), 0));
	cr_assert(eq(int, waitpid(-1, NULL, WNOHANG), -1), "a child is left");
	(void)close(other);
	kt_job_deinit(&job);
	(void)kt_loop_free(loop);
}

/* ---- the host's share ----------------------------------------------------------------------- */

Test(steal, threads_are_compared_one_by_one)
{
	/* An early wait of 1 hides nothing of 2's; 3 has ended; 4 is new; 5's number is reused. */
	struct kt_steal_thread early[] = { { 1, 900 }, { 2, 10 }, { 3, 5000 }, { 5, 800 } };
	struct kt_steal_thread late[] = { { 1, 905 }, { 2, 60 }, { 4, 30 }, { 5, 20 } };
	const struct kt_steal before = { early, 4 }, after = { late, 4 }, none = KT_STEAL_NULL;

	cr_assert(eq(u64, kt_steal_between(&before, &after), 50));
	cr_assert(zero(u64, kt_steal_between(&before, &before)));
	cr_assert(zero(u64, kt_steal_between(&before, &none)));
	cr_assert(eq(u64, kt_steal_between(&none, &after), 905));
}

Test(steal, this_process_has_threads)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal steal = KT_STEAL_NULL;

	kt_steal_read(&steal, getpid());
	cr_assert(ge(sz, steal.n, 1));
}

/* A process that waits for this one's bytes is not runnable: its deadline is one as any other. */
Test(steal, a_deadline_moves_by_what_is_stolen_and_no_more)
{
	uint64_t began_ns = kt_now_ns();
	pid_t pid = fork();
	int ends[2];

	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	cr_assert(zero(int, kt_steal_poll(ends[0], began_ns + 50 * KT_NSEC_PER_MSEC, pid)));
	cr_assert(ge(u64, kt_now_ns() - began_ns, 50 * KT_NSEC_PER_MSEC));
	cr_assert(zero(int, kt_steal_poll(ends[0], 0, pid)));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* What a process waits for is within the time that it exists. */
Test(steal, the_total_is_what_the_clock_of_a_machine_leaves_out)
{
	uint64_t began_ns = kt_now_ns(), before_ns = kt_steal_total_ns(getpid()), total_ns;
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(sched_getcpu(), &first);
	(void)sched_setaffinity(0, sizeof(first), &first);
	if (fork() == 0) {
		while (kt_left_ns(began_ns + 60 * KT_NSEC_PER_SEC) && getppid() != 1)
			;
		_exit(0);
	}
	do
		total_ns = kt_steal_total_ns(getpid()) - before_ns;
	while (total_ns < 20 * KT_NSEC_PER_MSEC && kt_left_ns(began_ns + 50 * KT_NSEC_PER_SEC));
	cr_assert(ge(u64, total_ns, 20 * KT_NSEC_PER_MSEC));
	cr_assert(le(u64, total_ns, kt_now_ns() - began_ns + 10 * KT_NSEC_PER_MSEC));
}
