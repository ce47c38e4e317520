/* SPDX-License-Identifier: MIT */
/* Schedulers that fail tests, so that the report tells why. golden/ has the runner's output. */
#include <ktest.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FIXTURE(name) "../../schedulers/" name ".bpf.o"
#define TWO_CPUS      .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define AWAIT_MS      20000

#define TELL(field, number) KT_WRITE_BPF_MAP("fault.bss", field, number)

KT_SCHEDULER(story_fault, .object = FIXTURE("fault"));
KT_SCHEDULER(story_starves, .object = FIXTURE("fault"), .args = KT_ARGS("starve_ms=100000"));

/* One worker on CPU 1, which idles, waits in a queue that is hardly ever served. */
static int starved_run(struct kt_ctx *ctx)
{
	struct stat st;

	KT_ASSERT_OK(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF("a", .cpuset = KT_CPUSET_EXACT("1"),
						     .work = KT_WORK(KT_SPIN_WAIT, .workers = 1))));
	KT_ASSERT_EQ(ctx, stat("/sys/fs/cgroup/ktest/a", &st), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, TELL("starve_cgroup", st.st_ino)));
	return kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS));
}

KTEST(story_task_is_starved, TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_starves),
      .watchdog_ms = 1000, .run = starved_run);

/* A real-time task never leaves CPU 1, on which another task must run. */
KTEST(story_cpu_is_taken, TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault), .watchdog_ms = 500,
      .backdrop = { KT_SETUP({ .name = "w",
			       .cpuset = KT_CPUSET_EXACT("1"),
			       .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }) },
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(50) },
			{ KT_SETUP({ .name = "hog",
				     .cpuset = KT_CPUSET_EXACT("1"),
				     .work = KT_WORK(KT_ALU_HOT, .workers = 1,
						     .sched = { KT_SCHED_FIFO, .priority = 10 }) }),
			  KT_OPS(KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }));

KTEST(story_cpu_is_forbidden, TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault),
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .cpuset = KT_CPUSET_EXACT("1"),
				     .work = KT_WORK(KT_YIELD_HEAVY, .workers = 3) }),
			  .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("wrong_cpu", 1), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }));

/* The process of a scheduler has the name of its declaration. */
static int killed_run(struct kt_ctx *ctx)
{
	for (pid_t pid = 2; pid < 4096; pid++) {
		char path[64], name[64] = "";
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		file = fopen(path, "r");
		if (!file)
			continue;
		(void)!fgets(name, sizeof(name), file);
		(void)fclose(file);
		if (!strcmp(name, "story_fault\n")) {
			KT_ASSERT_EQ(ctx, kill(pid, SIGKILL), 0);
			return kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS));
		}
	}
	KT_FAIL(ctx, "no process is called story_fault");
}

KTEST(story_program_is_killed, TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault),
      .run = killed_run);
