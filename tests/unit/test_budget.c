/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/run/budget.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"

/* A budget counts memory in slots of 64 MiB. This is enough for tests that are about CPUs only. */
#define SLOT_MIB   64u
#define PLENTY_MIB (100 * SLOT_MIB)

/* Each test has a cache of its own: Criterion runs each in a process of its own. */
static char cache[64];

static void make_cache(void)
{
	(void)strcpy(cache, "/tmp/ktest-budget-XXXXXX");
	if (!mkdtemp(cache) || setenv("XDG_CACHE_HOME", cache, 1) < 0)
		abort();
}

static void remove_cache(void)
{
	(void)kt_remove_all(cache);
#ifdef __SANITIZE_ADDRESS__
	fail_on_leaks();
#endif
}

TestSuite(budget, .init = make_cache, .fini = remove_cache);

static struct kt_budget *open_budget(unsigned int vcpus, unsigned int mib)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_budget *budget = NULL;

	cr_assert(zero(int, kt_budget_open(vcpus, mib, &budget, &err)), "%s", err.text);
	return budget;
}

/* The number of virtual CPUs of the budget that are free. */
static unsigned int free_vcpus(struct kt_budget *budget)
{
	struct kt_share all = { 0, 0 };

	unsigned int n;

	while (kt_budget_try(budget, 1, 0, &all))
		;
	n = all.vcpus;
	kt_budget_give(budget, n, 0, &all);
	return n;
}

static bool take_vcpus(struct kt_budget *budget, unsigned int vcpus)
{
	return kt_budget_try(budget, vcpus, 0, &(struct kt_share){ 0, 0 });
}

static bool take_mib(struct kt_budget *budget, unsigned int mib)
{
	return kt_budget_try(budget, 0, mib, &(struct kt_share){ 0, 0 });
}

/* Whether the watch @fd reports an event before the deadline. */
static bool is_told(int fd, uint64_t deadline_ns)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return kt_poll(&pollfd, 1, deadline_ns) == 1 && pollfd.revents & POLLIN;
}

static uint64_t soon(void)
{
	return kt_now_ns() + 10 * KT_NSEC_PER_SEC;
}

static int watch(struct kt_budget *budget)
{
	struct kt_err err = KT_ERR_NULL;
	int fd = -1;

	cr_assert(zero(int, kt_budget_watch(budget, &fd, &err)), "%s", err.text);
	kt_budget_drain(budget);
	return fd;
}

/* ---- one runner -------------------------------------------------------------------------------
 */

/* Hosts that share a cache do not share their CPUs. */
Test(budget, on_a_network_file_system_the_name_has_the_host)
{
	KT_FREE char *local = kt_budget_path("/c", "budget", 0x01021994); /* tmpfs */
	KT_FREE char *nfs = kt_budget_path("/c", "budget", 0x6969);
	KT_FREE char *boot_id = NULL, *wanted = NULL;

	cr_assert(zero(int, kt_file_read("/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL)));
	wanted = kt_format("/c/budget-%.36s", boot_id);
	cr_assert(eq(str, local, (char *)"/c/budget"));
	cr_assert(eq(str, nfs, wanted));
}

Test(budget, all_or_nothing)
{
	struct kt_budget *budget = open_budget(4, 10 * SLOT_MIB);
	struct kt_share share = { 0, 0 };

	cr_assert(kt_budget_take(budget, 3, SLOT_MIB, &share));
	cr_assert(eq(u32, free_vcpus(budget), 1));
	cr_assert(not(kt_budget_take(budget, 2, SLOT_MIB, &share)), "more CPUs than are left");
	cr_assert(not(kt_budget_take(budget, 1, 10 * SLOT_MIB, &share)),
		  "more memory than is left");
	cr_assert(eq(u32, share.vcpus, 3));
	cr_assert(eq(u32, share.mib, SLOT_MIB));
	cr_assert(eq(u32, free_vcpus(budget), 1), "a refusal kept CPUs");
	cr_assert(kt_budget_take(budget, 1, 9 * SLOT_MIB, &share), "a refusal kept memory");
	cr_assert(eq(u32, share.vcpus, 4));
	cr_assert(eq(u32, share.mib, 10 * SLOT_MIB));
	(void)kt_budget_close(budget);
}

Test(budget, more_than_the_whole_is_the_whole)
{
	struct kt_budget *budget = open_budget(2, 2 * SLOT_MIB);
	struct kt_share share = { 0, 0 }, other = { 0, 0 };

	cr_assert(kt_budget_take(budget, 8, 100 * SLOT_MIB, &share));
	cr_assert(not(take_vcpus(budget, 1)));
	cr_assert(not(take_mib(budget, 1)));
	kt_budget_give(budget, share.vcpus, share.mib, &share);
	cr_assert(eq(u32, free_vcpus(budget), 2));
	cr_assert(kt_budget_take(budget, 1, SLOT_MIB, &other));
	cr_assert(not(kt_budget_take(budget, 8, 0, &share)), "it has to run alone");
	cr_assert(not(kt_budget_take(budget, 0, 100 * SLOT_MIB, &share)), "it has to run alone");
	(void)kt_budget_close(budget);
}

Test(budget, what_is_given_back_can_be_taken_again)
{
	struct kt_budget *budget = open_budget(4, 4 * SLOT_MIB);
	struct kt_share share = { 0, 0 };

	for (int i = 0; i < 3; i++) {
		cr_assert(kt_budget_take(budget, 4, 4 * SLOT_MIB, &share));
		kt_budget_give(budget, 3, 0, &share);
		cr_assert(eq(u32, free_vcpus(budget), 3));
		cr_assert(not(take_mib(budget, 1)), "memory was not given back");
		kt_budget_give(budget, 1, 4 * SLOT_MIB, &share);
		cr_assert(zero(u32, share.vcpus));
		cr_assert(zero(u32, share.mib));
		cr_assert(eq(u32, free_vcpus(budget), 4));
	}
	(void)kt_budget_close(budget);
}

Test(budget, no_more_is_given_back_than_was_taken)
{
	struct kt_budget *budget = open_budget(4, 4 * SLOT_MIB);
	struct kt_share share = { 0, 0 }, other = { 0, 0 };

	cr_assert(kt_budget_take(budget, 1, SLOT_MIB, &share));
	cr_assert(kt_budget_take(budget, 2, 2 * SLOT_MIB, &other));
	kt_budget_give(budget, 100, 100 * SLOT_MIB, &share);
	kt_budget_give(budget, 100, 100 * SLOT_MIB, &share);
	cr_assert(zero(u32, share.vcpus));
	cr_assert(eq(u32, free_vcpus(budget), 2), "the other's are gone");
	cr_assert(not(take_mib(budget, 3 * SLOT_MIB)), "the other's are gone");
	cr_assert(take_mib(budget, 2 * SLOT_MIB));
	(void)kt_budget_close(budget);
}

Test(budget, memory_is_counted_in_whole_slots)
{
	struct kt_budget *budget = open_budget(1, 4 * SLOT_MIB);

	cr_assert(take_mib(budget, SLOT_MIB + 1));
	cr_assert(not(take_mib(budget, 2 * SLOT_MIB + 1)));
	cr_assert(take_mib(budget, 2 * SLOT_MIB));
	cr_assert(not(take_mib(budget, 1)));
	(void)kt_budget_close(budget);
}

/* ---- two runners: two open file descriptions, whatever process they are in --------------------
 */

Test(budget, what_one_holds_the_other_cannot_take)
{
	struct kt_budget *first = open_budget(4, PLENTY_MIB), *second = open_budget(4, PLENTY_MIB);
	struct kt_share share = { 0, 0 };

	cr_assert(kt_budget_take(first, 3, 0, &share));
	cr_assert(not(take_vcpus(second, 2)));
	cr_assert(take_vcpus(second, 1));
	cr_assert(not(take_vcpus(first, 1)));
	kt_budget_give(first, 2, 0, &share);
	cr_assert(not(take_vcpus(second, 3)));
	cr_assert(take_vcpus(second, 2));
	(void)kt_budget_close(first);
	cr_assert(take_vcpus(second, 1), "closing gives back");
	(void)kt_budget_close(second);
}

Test(budget, memory_that_one_holds_the_other_cannot_take)
{
	struct kt_budget *first = open_budget(4, 4 * SLOT_MIB);
	struct kt_budget *second = open_budget(4, 4 * SLOT_MIB);
	struct kt_share share = { 0, 0 };

	cr_assert(kt_budget_take(first, 0, 3 * SLOT_MIB, &share));
	cr_assert(not(kt_budget_try(second, 4, 2 * SLOT_MIB, &(struct kt_share){ 0, 0 })));
	cr_assert(kt_budget_is_contended(second));
	cr_assert(take_vcpus(first, 4), "the refused one kept CPUs");
	cr_assert(take_mib(second, SLOT_MIB), "the refused one kept memory");
	kt_budget_give(first, 0, 2 * SLOT_MIB, &share);
	cr_assert(take_mib(second, 2 * SLOT_MIB));
	(void)kt_budget_close(first);
	(void)kt_budget_close(second);
}

Test(budget, who_waits_for_much_is_next)
{
	struct kt_budget *small = open_budget(2, PLENTY_MIB), *large = open_budget(2, PLENTY_MIB);
	struct kt_share two = { 0, 0 }, one = { 0, 0 }, all = { 0, 0 };

	cr_assert(kt_budget_take(small, 1, 0, &one));
	cr_assert(kt_budget_take(small, 1, 0, &two));
	cr_assert(not(kt_budget_take(large, 2, 0, &all)));
	kt_budget_give(small, 1, 0, &one);
	cr_assert(not(kt_budget_take(small, 1, 0, &one)), "it would never be the large one's turn");
	cr_assert(not(kt_budget_try(small, 1, 0, &one)));
	cr_assert(not(kt_budget_take(large, 2, 0, &all)));
	kt_budget_give(small, 1, 0, &two);
	cr_assert(kt_budget_take(large, 2, 0, &all));
	cr_assert(not(kt_budget_take(small, 1, 0, &one)));
	kt_budget_give(large, 2, 0, &all);
	cr_assert(not(kt_budget_take(large, 2, 0, &all)), "now the small one is next");
	cr_assert(kt_budget_take(small, 1, 0, &one));
	(void)kt_budget_close(small);
	(void)kt_budget_close(large);
}

/* A holder that waits for memory does not keep the others from releasing theirs. */
Test(budget, what_is_begun_is_completed_first)
{
	struct kt_budget *first = open_budget(2, 4 * SLOT_MIB),
			 *second = open_budget(2, 4 * SLOT_MIB);
	struct kt_share warm = { 0, 0 }, other = { 0, 0 };

	cr_assert(kt_budget_take(first, 0, 3 * SLOT_MIB, &warm));
	cr_assert(not(kt_budget_take(second, 1, 2 * SLOT_MIB, &other)));
	cr_assert(not(kt_budget_take(first, 1, SLOT_MIB, &other)), "it is the second one's turn");
	cr_assert(kt_budget_complete(first, 2, 0, &warm));
	kt_budget_give(first, warm.vcpus, warm.mib, &warm);
	cr_assert(kt_budget_take(second, 1, 2 * SLOT_MIB, &other));
	(void)kt_budget_close(first);
	(void)kt_budget_close(second);
}

Test(budget, who_waited_and_is_gone_is_in_nobodys_way)
{
	struct kt_budget *small = open_budget(2, PLENTY_MIB), *large = open_budget(2, PLENTY_MIB);
	struct kt_share one = { 0, 0 };

	cr_assert(kt_budget_take(small, 1, 0, &one));
	cr_assert(not(kt_budget_take(large, 2, 0, &(struct kt_share){ 0, 0 })));
	cr_assert(not(kt_budget_take(small, 1, 0, &one)));
	(void)kt_budget_close(large);
	cr_assert(kt_budget_take(small, 1, 0, &one));
	(void)kt_budget_close(small);
}

Test(budget, only_another_runner_makes_it_contended)
{
	struct kt_budget *first = open_budget(4, PLENTY_MIB), *second = open_budget(4, PLENTY_MIB);

	cr_assert(take_vcpus(first, 2));
	cr_assert(not(take_vcpus(first, 3)), "what it lacks, it has itself");
	cr_assert(not(kt_budget_is_contended(first)));
	cr_assert(take_vcpus(second, 2), "there is enough for both");
	cr_assert(not(kt_budget_is_contended(second)));
	cr_assert(not(take_vcpus(second, 1)));
	cr_assert(kt_budget_is_contended(second));
	cr_assert(not(kt_budget_is_contended(first)));
	(void)kt_budget_close(first);
	cr_assert(take_vcpus(second, 2));
	cr_assert(kt_budget_is_contended(second), "it has been, so far");
	(void)kt_budget_close(second);
}

Test(budget, a_smaller_one_shares_the_first_slots)
{
	struct kt_budget *small = open_budget(2, PLENTY_MIB), *large = open_budget(6, PLENTY_MIB);
	struct kt_share share = { 0, 0 };

	cr_assert(kt_budget_take(small, 2, 0, &share));
	cr_assert(not(take_vcpus(large, 5)));
	cr_assert(take_vcpus(large, 3), "there are slots that the small one cannot have");
	kt_budget_give(small, 2, 0, &share);
	cr_assert(take_vcpus(large, 2));
	cr_assert(not(take_vcpus(small, 1)), "the large one has the small one's slots");
	cr_assert(kt_budget_is_contended(small));
	cr_assert(take_vcpus(large, 1));
	(void)kt_budget_close(small);
	(void)kt_budget_close(large);
}

Test(budget, free_are_those_that_nobody_has)
{
	struct kt_budget *first = open_budget(4, PLENTY_MIB), *second = open_budget(6, PLENTY_MIB);
	struct kt_share share = { 0, 0 };

	cr_assert(eq(u32, free_vcpus(first), 4));
	cr_assert(eq(u32, free_vcpus(second), 6), "asking took some");
	cr_assert(kt_budget_take(first, 1, 0, &share));
	cr_assert(take_vcpus(second, 2));
	cr_assert(eq(u32, free_vcpus(first), 1));
	cr_assert(eq(u32, free_vcpus(second), 3));
	kt_budget_give(first, 1, 0, &share);
	cr_assert(eq(u32, free_vcpus(first), 2));
	(void)kt_budget_close(first);
	(void)kt_budget_close(second);
}

Test(budget, what_another_gives_back_is_told)
{
	struct kt_budget *first = open_budget(2, PLENTY_MIB), *second = open_budget(2, PLENTY_MIB);
	struct kt_share share = { 0, 0 };
	int fd;

	cr_assert(kt_budget_take(first, 2, 0, &share));
	fd = watch(second);
	cr_assert(not(is_told(fd, kt_now_ns())), "nothing has happened");
	kt_budget_give(first, 1, 0, &share);
	cr_assert(is_told(fd, soon()));
	kt_budget_drain(second);
	cr_assert(not(is_told(fd, kt_now_ns())), "it was drained");
	(void)kt_budget_close(first);
	cr_assert(is_told(fd, soon()), "the other one has gone");
	cr_assert(eq(int, watch(second), fd), "there is one watch");
	(void)kt_budget_close(second);
}

/* ---- runners that die -------------------------------------------------------------------------
 */

/* Reports that it holds @vcpus, and waits until it is killed; it cannot outlive the test. */
static _Noreturn void hold(unsigned int vcpus, int ready_fd)
{
	struct kt_budget *budget = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kt_budget_open(vcpus, PLENTY_MIB, &budget, NULL) < 0 || !take_vcpus(budget, vcpus))
		_exit(1);
	(void)kt_write_full(ready_fd, "x", 1);
	for (;;)
		(void)pause();
}

Test(budget, a_killed_runner_gives_back)
{
	struct kt_budget *budget = open_budget(2, PLENTY_MIB);
	int ready[2], status, fd;
	pid_t pid;

	cr_assert(zero(int, pipe(ready)));
	pid = fork();
	if (pid == 0)
		hold(2, ready[1]);
	(void)close(ready[1]);
	cr_assert(zero(int, kt_read_full(ready[0], &(char){ 0 }, 1)));
	cr_assert(not(take_vcpus(budget, 1)));
	cr_assert(kt_budget_is_contended(budget));
	fd = watch(budget);
	cr_assert(not(is_told(fd, kt_now_ns())), "it is alive");
	(void)kill(pid, SIGKILL);
	cr_assert(is_told(fd, soon()));
	/*
	 * The event arrives shortly before the locks are released; the parent can wait(2) only
	 * after both.
	 */
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, WTERMSIG(status), SIGKILL), "it ended by itself");
	cr_assert(take_vcpus(budget, 2));
	(void)close(ready[0]);
	(void)kt_budget_close(budget);
}

/* A child of the runner, like a session: it ends when the test closes its end of @until. */
static _Noreturn void hold_with_child(int ready_fd, const int until[2])
{
	struct kt_budget *budget = NULL;

	(void)close(until[1]);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the child does not inherit it */
	if (kt_budget_open(2, PLENTY_MIB, &budget, NULL) < 0 || !take_vcpus(budget, 2))
		_exit(1);
	if (fork() == 0) {
		(void)kt_write_full(ready_fd, "x", 1);
		(void)kt_read_full(until[0], &(char){ 0 }, 1);
		_exit(0);
	}
	for (;;)
		(void)pause();
}

/* The machine of a dead runner may still exist, and still need its share. */
Test(budget, what_a_dead_runners_child_has_is_taken)
{
	struct kt_budget *budget = open_budget(2, PLENTY_MIB);
	int ready[2], until[2], fd;
	uint64_t deadline_ns;
	bool taken;
	pid_t pid;

	cr_assert(zero(int, pipe(ready)));
	cr_assert(zero(int, pipe(until)));
	pid = fork();
	if (pid == 0)
		hold_with_child(ready[1], until);
	(void)close(ready[1]);
	(void)close(until[0]);
	cr_assert(zero(int, kt_read_full(ready[0], &(char){ 0 }, 1)));
	fd = watch(budget);
	(void)kill(pid, SIGKILL);
	cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
	cr_assert(not(take_vcpus(budget, 1)), "the child is still there");
	cr_assert(not(is_told(fd, kt_now_ns())), "nothing was given back");
	(void)close(until[1]);
	deadline_ns = soon();
	cr_assert(is_told(fd, deadline_ns));
	/*
	 * The holder is not a child of this process. Nothing reports when the locks are released,
	 * which is shortly after the event.
	 */
	while (!(taken = take_vcpus(budget, 2)) && kt_left_ns(deadline_ns))
		(void)poll(NULL, 0, 1);
	cr_assert(taken, "timed out waiting for what the child had");
	(void)close(ready[0]);
	(void)kt_budget_close(budget);
}

/* ---- runners that are stopped -----------------------------------------------------------------
 */

#define GATE      131072
#define TURNSTILE 131073

/* A process that has locked one byte of the budget's file, as a runner does. */
static pid_t lock_elsewhere(off_t at)
{
	KT_FREE char *path = kt_format("%s/ktest/locks/budget", cache);
	KT_FREE char *holders_path = kt_format("%s/ktest/locks/budget-holders", cache);
	struct flock lock = { .l_type = F_WRLCK, .l_start = at, .l_len = 1 };
	int ready[2];
	pid_t pid;

	cr_assert(zero(int, pipe(ready)));
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR), holders = open(holders_path, O_RDWR);
		int32_t self = getpid();

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0 ||
		    pwrite(holders, &self, sizeof(self), at * 4) != sizeof(self))
			_exit(1);
		(void)kt_write_full(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	cr_assert(zero(int, kt_read_full(ready[0], &(char){ 0 }, 1)));
	(void)close(ready[0]);
	return pid;
}

static void stop(pid_t pid)
{
	cr_assert(zero(int, kill(pid, SIGSTOP)));
	cr_assert(eq(int, waitpid(pid, NULL, WUNTRACED), pid));
	cr_assert(kt_process_is_stopped(pid));
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

Test(budget, a_locked_gate_is_not_waited_for, .timeout = 10)
{
	struct kt_budget *budget = open_budget(2, PLENTY_MIB);
	pid_t pid = lock_elsewhere(GATE);

	cr_assert(not(take_vcpus(budget, 1)));
	cr_assert(kt_budget_is_busy(budget));
	cr_assert(eq(int, kt_budget_holder(budget), pid));
	stop(pid);
	cr_assert(take_vcpus(budget, 1), "who is stopped may never leave the gate");
	cr_assert(not(kt_budget_is_busy(budget)));
	end(pid);
	cr_assert(take_vcpus(budget, 1));
	(void)kt_budget_close(budget);
}

Test(budget, the_turn_of_who_is_stopped_is_nobodys, .timeout = 10)
{
	struct kt_budget *budget = open_budget(2, PLENTY_MIB);
	pid_t pid = lock_elsewhere(TURNSTILE);

	cr_assert(not(take_vcpus(budget, 1)));
	cr_assert(not(kt_budget_is_busy(budget)));
	cr_assert(eq(int, kt_budget_holder(budget), pid));
	stop(pid);
	cr_assert(take_vcpus(budget, 1));
	end(pid);
	(void)kt_budget_close(budget);
}

Test(budget, who_holds_it_is_known, .timeout = 10)
{
	struct kt_budget *budget = open_budget(2, PLENTY_MIB);
	KT_FREE char *running = NULL, *stopped = NULL, *gone = NULL;
	int ready[2];
	pid_t pid;

	cr_assert(zero(int, kt_budget_holder(budget)));
	cr_assert(zero(int, pipe(ready)));
	pid = fork();
	if (pid == 0)
		hold(2, ready[1]);
	(void)close(ready[1]);
	cr_assert(zero(int, kt_read_full(ready[0], &(char){ 0 }, 1)));
	cr_assert(not(take_vcpus(budget, 1)));
	cr_assert(eq(int, kt_budget_holder(budget), pid));
	running = kt_process_describe(pid);
	stop(pid);
	stopped = kt_process_describe(pid);
	end(pid);
	gone = kt_process_describe(pid);
	cr_assert(ne(ptr, strstr(running, "(unit-budget)"), NULL), "%s", running);
	cr_assert(zero(ptr, strstr(running, "stopped")), "%s", running);
	cr_assert(ne(ptr, strstr(stopped, "(unit-budget), which is stopped"), NULL), "%s", stopped);
	cr_assert(ne(ptr, strstr(gone, ", which has ended"), NULL), "%s", gone);
	(void)close(ready[0]);
	(void)kt_budget_close(budget);
}

Test(budget, what_is_lent_comes_back)
{
	struct kt_budget *first = open_budget(2, 4 * SLOT_MIB);
	struct kt_budget *second = open_budget(2, 4 * SLOT_MIB);
	struct kt_share share = { 0, 0 }, one = { 0, 0 }, other = { 0, 0 };

	cr_assert(kt_budget_take(first, 1, 4 * SLOT_MIB, &share));
	cr_assert(kt_budget_take(first, 1, 0, &one));
	kt_budget_lend(first);
	cr_assert(kt_budget_take(second, 2, 0, &other));
	cr_assert(not(take_mib(second, SLOT_MIB)), "a paused machine keeps its memory");
	cr_assert(not(kt_budget_reclaim(first)));
	kt_budget_give(first, 1, 0, &one); /* a job has ended meanwhile */
	kt_budget_give(second, 1, 0, &other);
	cr_assert(kt_budget_reclaim(first), "it is its turn, for what it still needs");
	cr_assert(not(take_vcpus(second, 1)));
	kt_budget_give(first, 1, 4 * SLOT_MIB, &share);
	cr_assert(take_vcpus(second, 1));
	(void)kt_budget_close(first);
	(void)kt_budget_close(second);
}

/* Makes every fcntl(F_OFD_SETLK) of this process fail with ENOLCK, as NFS without locks does. */
static void break_locks(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_OFD_SETLK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOLCK),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { KT_ARRAY_LEN(code), code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

Test(budget, a_cache_without_locks_is_told_and_not_waited_for)
{
	struct kt_budget *budget = NULL;
	struct kt_err err = KT_ERR_NULL;

	break_locks();
	cr_assert(zero(int, kt_budget_open(2, PLENTY_MIB, &budget, &err)), "%s", err.text);
	cr_assert(ne(ptr, strstr(err.text, "other runs on this host are not counted"), NULL), "%s",
		  err.text);
	cr_assert(ne(ptr, strstr(err.text, "/ktest/locks/budget': No locks available"), NULL), "%s",
		  err.text);
	cr_assert(take_vcpus(budget, 2));
	cr_assert(not(take_vcpus(budget, 1)), "it still counts this run");
	(void)kt_budget_close(budget);
}
