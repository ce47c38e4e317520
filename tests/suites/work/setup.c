/* SPDX-License-Identifier: MIT */
/*
 * How workers are set up. Each worker of a test examines itself once in the kernel's files. It
 * counts an iteration if it is as it was declared; if not, it prints what it is.
 */
#include "tests/suites/look.h"

#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/sched_attr.h"

#define ONE_CPU    .topology = { .llcs = 1, .cores = 1 }
#define FOUR_CPUS  .topology = { .llcs = 2, .cores = 2, .threads = 1 }
#define TWO_NODES  .topology = { .numa_nodes = 2, .llcs = 2, .cores = 1 }
#define POLICY_EXT 7

/* All cgroups in one step; W() is one of them. */
#define LOOKING(...)                                                                               \
	.steps = KT_STEPS({ KT_SETUP(__VA_ARGS__), .hold = KT_HOLD_MS(100) }), .check = all_check
#define W(cgroup, look, ...)                                                                       \
	{                                                                                          \
		.name = (cgroup), .work = KT_WORK(KT_CUSTOM, .custom = (look), __VA_ARGS__)        \
	}

/* ---- looking --------------------------------------------------------------------------------- */

/* Counts an iteration if the worker is as declared; then waits to be stopped. */
__attribute__((format(printf, 3, 4))) static void judge(struct kt_custom *self, bool good,
							const char *format, ...)
{
	va_list ap;

	if (good) {
		kt_custom_done(self);
	} else {
		(void)printf("worker %u: ", kt_custom_index(self));
		va_start(ap, format);
		(void)vprintf(format, ap);
		va_end(ap);
		(void)printf("\n");
		(void)fflush(stdout);
	}
	/*
	 * The worker sleeps long: under TCG, a dozen workers that wake up every millisecond keep
	 * the others from examining themselves.
	 */
	while (!kt_custom_stopping(self))
		kt_custom_sleep_us(self, 50000);
}

/* Every worker is as it was declared. */
static int all_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	KT_ASSERT_GT(ctx, n, 0);
	for (size_t i = 0; i < n; i++)
		KT_EXPECT_EQ(ctx, reports[i].iterations, 1);
	return 0;
}

/* ---- processes, threads, how many ------------------------------------------------------------ */

static void look_process_of_its_own(struct kt_custom *self)
{
	char text[LOOK_LEN];

	judge(self, getpid() == gettid() && !strcmp(look_status(text, gettid(), "Threads"), "1"),
	      "pid %d, tid %d", getpid(), gettid());
}

static void look_thread(struct kt_custom *self)
{
	char text[LOOK_LEN], threads[16];

	(void)snprintf(threads, sizeof(threads), "%u", (unsigned int)kt_custom_arg(self));
	judge(self,
	      (getpid() == gettid()) == (kt_custom_index(self) == 0) &&
		      !strcmp(look_status(text, gettid(), "Threads"), threads),
	      "pid %d, tid %d", getpid(), gettid());
}

KTEST(work_setup_clone, .summary = "workers are processes, or threads of one", ONE_CPU,
      LOOKING(W("processes", look_process_of_its_own, .workers = 3),
	      W("threads", look_thread, .workers = 3, .threads = true, .arg = 3)));

static int count_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "default", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "half", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "much", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 7);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "unit", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 3);
	return 0;
}

KTEST(work_setup_count, .summary = "how many workers there are is said, or follows from the CPUs",
      FOUR_CPUS,
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "default", .work = KT_WORK(KT_YIELD_HEAVY) },
			 { .name = "half", .work = KT_WORK(KT_YIELD_HEAVY, .workers_pct = 50) },
			 { .name = "much", .work = KT_WORK(KT_YIELD_HEAVY, .workers_pct = 151) },
			 { .name = "unit", .work = KT_WORK(KT_PREEMPT_STORM) }),
		.hold = KT_HOLD_MS(50) }),
      .check = count_check);

static int groups_check(struct kt_ctx *ctx)
{
	size_t n, seen[2] = { 0 };
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	KT_ASSERT_EQ(ctx, n, 3);
	for (size_t i = 0; i < n; i++) {
		KT_ASSERT_LT(ctx, reports[i].group, 2);
		KT_EXPECT_EQ(ctx, reports[i].index, seen[reports[i].group]++);
		KT_EXPECT_STREQ(ctx, reports[i].work, reports[i].group ? "Mixed" : "YieldHeavy");
	}
	KT_EXPECT_EQ(ctx, seen[0], 1);
	KT_EXPECT_EQ(ctx, seen[1], 2);
	return 0;
}

KTEST(work_setup_groups, .summary = "a report says which group its worker was of", ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORKS({ .type = KT_YIELD_HEAVY, .workers = 1 },
						      { .type = KT_MIXED, .workers = 2 }) }),
			  .hold = KT_HOLD_MS(50) }),
      .check = groups_check);

/* ---- name and identity ----------------------------------------------------------------------- */

/* .arg is the expected name. */
static void look_comm(struct kt_custom *self)
{
	char text[LOOK_LEN];

	(void)look(text, "/proc/%d/task/%d/comm", getpid(), gettid());
	judge(self, !strcmp(text, (const char *)(uintptr_t)kt_custom_arg(self)), "comm %s", text);
}

KTEST(work_setup_comm, .summary = "workers are called what they are to be, or by their type",
      ONE_CPU,
      LOOKING(W("a", look_comm, .comm = "a-long-name-15c", .arg = (uintptr_t) "a-long-name-15c"),
	      W("b", look_comm, .arg = (uintptr_t) "Custom"),
	      W("c", look_comm, .comm = "x", .threads = true, .arg = (uintptr_t) "x")));

/* The real, effective, saved and file system IDs are the same. .arg is .uid << 16 | .gid. */
static void look_ids(struct kt_custom *self)
{
	unsigned int uid = (unsigned int)kt_custom_arg(self) >> 16;
	unsigned int gid = (unsigned int)kt_custom_arg(self) & 0xffff;
	char want_uid[64], want_gid[64], status[LOOK_LEN], status2[LOOK_LEN];
	const char *uids = look_status(status, gettid(), "Uid");
	const char *gids = look_status(status2, gettid(), "Gid");

	(void)snprintf(want_uid, sizeof(want_uid), "%u\t%u\t%u\t%u", uid, uid, uid, uid);
	(void)snprintf(want_gid, sizeof(want_gid), "%u\t%u\t%u\t%u", gid, gid, gid, gid);
	judge(self, !strcmp(uids, want_uid) && !strcmp(gids, want_gid), "uid %s, gid %s", uids,
	      gids);
}

KTEST(work_setup_ids, .summary = "workers are who they are to be", ONE_CPU,
      LOOKING(W("root", look_ids),
	      W("both", look_ids, .uid = 1000, .gid = 2000, .arg = 1000 << 16 | 2000),
	      W("group", look_ids, .gid = 7, .arg = 7),
	      W("threads", look_ids, .uid = 5, .threads = true, .workers = 2, .arg = 5 << 16)));

/* ---- affinity -------------------------------------------------------------------------------- */

/*
 * .arg has a list of CPUs for each worker, separated by blanks. The last one is for all further
 * workers.
 */
static void look_affinity(struct kt_custom *self)
{
	const char *want = (const char *)(uintptr_t)kt_custom_arg(self), *next;
	char text[LOOK_LEN];
	const char *is = look_status(text, gettid(), "Cpus_allowed_list");

	for (unsigned int i = kt_custom_index(self); i && (next = strchr(want, ' ')); i--)
		want = next + 1;
	judge(self, strlen(is) == strcspn(want, " ") && !strncmp(is, want, strlen(is)),
	      "CPUs %s, not %s", is, want);
}

#define CPUS(list) .arg = (uintptr_t)(list)

KTEST(work_setup_affinity, .summary = "workers have the CPUs that their affinity says", FOUR_CPUS,
      LOOKING(W("inherit", look_affinity, CPUS("0-3")),
	      W("exact", look_affinity, .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0,2-3")),
		CPUS("0,2-3")),
	      W("llc", look_affinity, .affinity = KT_LLC_ALIGNED, .workers = 3,
		CPUS("0-1 2-3 0-1")),
	      W("single", look_affinity, .affinity = KT_SINGLE_CPU, .workers = 5,
		CPUS("0 1 2 3 0")),
	      W("threads", look_affinity, .affinity = KT_SINGLE_CPU, .workers = 4, .threads = true,
		CPUS("0 1 2 3"))));

KTEST(work_setup_smt, .summary = "SMT siblings are the threads of one core",
      .topology = { .llcs = 1, .cores = 2, .threads = 2 },
      LOOKING(W("smt", look_affinity, .affinity = KT_SMT_SIBLINGS, .workers = 5,
		CPUS("0-1 0-1 2-3 2-3 0-1"))));

/* A process that PID 1 forks inherits its policy. */
static void narrow_pid_1(struct kt_custom *self)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(1, &set);
	judge(self, sched_setaffinity(1, sizeof(set), &set) == 0, "sched_setaffinity");
}

KTEST(work_setup_cross_cgroup,
      .summary = "KT_CROSS_CGROUP is every CPU, whatever the worker inherits", FOUR_CPUS,
      .steps = KT_STEPS(
	      { KT_SETUP(W("narrow", narrow_pid_1, .workers = 1)), .hold = KT_HOLD_MS(100) },
	      { KT_SETUP(W("inherit", look_affinity, CPUS("1")),
			 W("cross", look_affinity, .affinity = KT_CROSS_CGROUP, CPUS("0-3"))),
		.hold = KT_HOLD_MS(100) }),
      .check = all_check);

/* Two CPUs, neither of which is CPU 0. */
static void look_random(struct kt_custom *self)
{
	cpu_set_t set;
	uint64_t mask = 0;

	(void)sched_getaffinity(0, sizeof(set), &set);
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		mask |= (uint64_t)CPU_ISSET(cpu, &set) << cpu;
	/* The worker runs on each of its CPUs, so that its report contains them. */
	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &set) && sched_setaffinity(0, sizeof(one), &one) == 0)
			kt_custom_spin(self, 64);
	}
	judge(self, CPU_COUNT(&set) == 2 && !(mask & 1), "%d CPUs, mask %llx", CPU_COUNT(&set),
	      (unsigned long long)mask);
}

static int random_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);
	uint64_t differ = 0;

	KT_ASSERT_EQ(ctx, n, 16);
	for (size_t i = 1; i < n; i++)
		differ |= (reports[i].cpus[0] ^ reports[0].cpus[0]) & 0xe;
	/*
	 * Three results are possible. Sixteen workers draw the same one once in 14 million times.
	 */
	KT_EXPECT_NE(ctx, differ, 0);
	return all_check(ctx);
}

KTEST(work_setup_random, .summary = "a random subset is drawn for each worker", FOUR_CPUS,
      .steps = KT_STEPS({ KT_SETUP(W("w", look_random, .workers = 16,
				     .affinity = KT_RANDOM_SUBSET(2, KT_CPUSET_EXACT("1-3")))),
			  .hold = KT_HOLD_MS(300) }),
      .check = random_check);

/* ---- scheduling ------------------------------------------------------------------------------ */

#define WANT(policy, priority, nice)                                                               \
	.arg = (uint64_t)(policy) << 16 | (uint64_t)(priority) << 8 | (uint64_t)((nice) + 20)

static void look_sched(struct kt_custom *self)
{
	uint64_t want = kt_custom_arg(self);
	int policy = -1, priority = -1, nice = -1;

	(void)look_stat(gettid(), STAT_POLICY, &policy);
	(void)look_stat(gettid(), STAT_RT_PRIORITY, &priority);
	(void)look_stat(gettid(), STAT_NICE, &nice);
	judge(self,
	      policy == (int)(want >> 16) && priority == (int)(want >> 8 & 0xff) &&
		      nice == (int)(want & 0xff) - 20,
	      "policy %d, priority %d, nice %d", policy, priority, nice);
}

#define SCHED(kind, ...) .sched = { .policy = (kind), __VA_ARGS__ }

KTEST(work_setup_policy, .summary = "workers have the scheduling policy they are to have",
      FOUR_CPUS,
      LOOKING(W("unset", look_sched, WANT(SCHED_OTHER, 0, 0)),
	      W("other", look_sched, SCHED(KT_SCHED_OTHER), WANT(SCHED_OTHER, 0, 0)),
	      W("batch", look_sched, SCHED(KT_SCHED_BATCH), WANT(SCHED_BATCH, 0, 0)),
	      W("idle", look_sched, SCHED(KT_SCHED_IDLE), WANT(SCHED_IDLE, 0, 0)),
	      W("fifo", look_sched, SCHED(KT_SCHED_FIFO, .priority = 7), WANT(SCHED_FIFO, 7, 0)),
	      W("rr", look_sched, SCHED(KT_SCHED_RR, .priority = 99), WANT(SCHED_RR, 99, 0)),
	      W("threads", look_sched, .threads = true, SCHED(KT_SCHED_FIFO, .priority = 1),
		WANT(SCHED_FIFO, 1, 0))));

KTEST(work_setup_nice, .summary = "workers are as nice as they are to be, whatever their policy",
      ONE_CPU,
      LOOKING(W("nice", look_sched, .nice = 19, WANT(SCHED_OTHER, 0, 19)),
	      W("rude", look_sched, .nice = -20, WANT(SCHED_OTHER, 0, -20)),
	      W("batch", look_sched, .nice = 5, SCHED(KT_SCHED_BATCH), WANT(SCHED_BATCH, 0, 5)),
	      W("idle", look_sched, .nice = 5, SCHED(KT_SCHED_IDLE), WANT(SCHED_IDLE, 0, 5)),
	      W("other", look_sched, .nice = -5, SCHED(KT_SCHED_OTHER), WANT(SCHED_OTHER, 0, -5)),
	      W("threads", look_sched, .nice = 3, .threads = true, WANT(SCHED_OTHER, 0, 3))));

static void look_deadline(struct kt_custom *self)
{
	struct sched_attr attr = { 0 };

	(void)syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0);
	judge(self,
	      attr.sched_policy == SCHED_DEADLINE && attr.sched_runtime == 2000000 &&
		      attr.sched_deadline == 9000000 &&
		      attr.sched_period == kt_custom_arg(self) * 1000,
	      "policy %u, runtime %llu, deadline %llu, period %llu", attr.sched_policy,
	      (unsigned long long)attr.sched_runtime, (unsigned long long)attr.sched_deadline,
	      (unsigned long long)attr.sched_period);
}

KTEST(work_setup_deadline, .summary = "SCHED_DEADLINE gets its times; the period is the deadline",
      FOUR_CPUS,
      LOOKING(W("all", look_deadline,
		SCHED(KT_SCHED_DEADLINE, .runtime_us = 2000, .deadline_us = 9000,
		      .period_us = 20000),
		.arg = 20000),
	      W("two", look_deadline,
		SCHED(KT_SCHED_DEADLINE, .runtime_us = 2000, .deadline_us = 9000), .arg = 9000)));

/* Even alone on its CPU, it gets only its runtime: the kernel stops it until the next period. */
static int throttled_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *report = look_report(ctx, "w", 0);

	KT_ASSERT(ctx, report);
	KT_EXPECT_GT(ctx, report->iterations, 0);
	KT_EXPECT_LT(ctx, report->cpu_ns, report->wall_ns / 2);
	return 0;
}

KTEST(work_setup_deadline_throttled,
      .summary = "a SCHED_DEADLINE worker gets no more than it asked for", ONE_CPU,
      .duration_ms = 600,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_SPIN_WAIT, .workers = 1,
						     SCHED(KT_SCHED_DEADLINE, .runtime_us = 10000,
							   .deadline_us = 50000)) }),
			  .hold = KT_HOLD_FULL }),
      .check = throttled_check);

static void count_extensible(struct kt_custom *self)
{
	struct sched_attr attr = { 0 };

	(void)syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0);
	judge(self, attr.sched_policy == POLICY_EXT && attr.sched_nice == 4, "policy %u, nice %d",
	      attr.sched_policy, attr.sched_nice);
}

/* No scheduler is loaded. The worker has the policy nevertheless, and CFS runs it. */
KTEST(work_setup_ext, .summary = "a worker can be SCHED_EXT while no such scheduler is loaded",
      ONE_CPU, LOOKING(W("w", count_extensible, .nice = 4, SCHED(KT_SCHED_EXT))));

/* The effect of policies and nice values: the CPU time of two workers that share a CPU. */
static int shares_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);
	uint64_t cpu_ns[2] = { 0 };

	KT_ASSERT_EQ(ctx, n, 2);
	for (size_t i = 0; i < n; i++) {
		cpu_ns[reports[i].group & 1] = reports[i].cpu_ns;
		/* Neither worker keeps the other one from ending. */
		KT_EXPECT(ctx, !reports[i].killed);
	}
	/* An idle worker may have got no CPU time at all. */
	KT_EXPECT_GT(ctx, cpu_ns[0], 100000000);
	KT_EXPECT_GT(ctx, cpu_ns[0], 4 * cpu_ns[1]);
	return 0;
}

#define SHARED(...)                                                                                \
	ONE_CPU, .duration_ms = 600,                                                               \
		 .steps = KT_STEPS(                                                                \
			 { KT_SETUP({ .name = "w",                                                 \
				      .work = KT_WORKS({ .type = KT_SPIN_WAIT, .workers = 1 },     \
						       { .type = KT_SPIN_WAIT,                     \
							 .workers = 1,                             \
							 __VA_ARGS__ }) }),                        \
			   .hold = KT_HOLD_FULL }),                                                \
		 .check = shares_check

KTEST(work_setup_nice_share, .summary = "a nice worker gets less CPU", SHARED(.nice = 19));

KTEST(work_setup_idle_share, .summary = "a SCHED_IDLE worker gets less CPU",
      SHARED(SCHED(KT_SCHED_IDLE)));

/* ---- memory policy --------------------------------------------------------------------------- */

#define PAGES      256
#define PAGE_BYTES 4096

/*
 * Touched pages in a mapping of their own. The pages around it keep the kernel from merging it with
 * others.
 */
static char *touch_pages(void)
{
	char *around =
		mmap(NULL, (PAGES + 2) * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *pages = around + PAGE_BYTES;

	if (around == MAP_FAILED || mprotect(pages, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE) < 0)
		abort();
	for (size_t i = 0; i < PAGES; i++)
		pages[i * PAGE_BYTES] = 1;
	return pages;
}

static unsigned int pages_on(const char *line, const char *node)
{
	const char *at = strstr(line, node);

	return at ? (unsigned int)atoi(at + strlen(node)) : 0;
}

/* The policy of the mapping and its pages on each node, from numa_maps: "bind:1 0 256". */
static void describe_placement(const char *pages, char *text, size_t len)
{
	FILE *maps = fopen("/proc/thread-self/numa_maps", "re");
	char line[1024], *end;

	text[0] = '\0';
	while (maps && fgets(line, sizeof(line), maps)) {
		if (strtoul(line, &end, 16) != (uintptr_t)pages || !strstr(end, " anon="))
			continue;
		/* The policy can contain blanks. For touched memory, this word follows it. */
		(void)snprintf(text, len, "%.*s %u %u", (int)(strstr(end, " anon=") - end - 1),
			       end + 1, pages_on(line, " N0="), pages_on(line, " N1="));
	}
	if (maps)
		(void)fclose(maps);
}

/* The first worker is on node 0, the second one on node 1. .arg is what both expect. */
static void look_memory(struct kt_custom *self)
{
	const char *const *want = (const char *const *)(uintptr_t)kt_custom_arg(self);
	char is[128];

	describe_placement(touch_pages(), is, sizeof(is));
	judge(self, !strcmp(is, want[kt_custom_index(self)]), "%s", is);
}

#define MEMORY(cgroup, first, second, ...)                                                         \
	W(cgroup, look_memory, .workers = 2, .affinity = KT_SINGLE_CPU,                            \
	  .mempolicy = { __VA_ARGS__ },                                                            \
	  .arg = (uintptr_t)((const char *const[]){ first, second }))

KTEST(work_setup_mempolicy, .summary = "workers get memory from where their policy says", TWO_NODES,
      LOOKING(MEMORY("default", "default 256 0", "default 0 256", .mode = KT_MPOL_DEFAULT),
	      MEMORY("bind", "bind:1 0 256", "bind:1 0 256", .mode = KT_MPOL_BIND, .nodes = "1"),
	      MEMORY("preferred", "prefer:0 256 0", "prefer:0 256 0", .mode = KT_MPOL_PREFERRED,
		     .nodes = "0"),
	      MEMORY("interleave", "interleave:0-1 128 128", "interleave:0-1 128 128",
		     .mode = KT_MPOL_INTERLEAVE, .nodes = "0,1"),
	      MEMORY("local", "local 256 0", "local 0 256", .mode = KT_MPOL_LOCAL)));

KTEST(work_setup_mempolicy_newer, .summary = "so they do with the kernel's newer policies",
      TWO_NODES,
      LOOKING(MEMORY("many", "prefer (many):1 0 256", "prefer (many):1 0 256",
		     .mode = KT_MPOL_PREFERRED_MANY, .nodes = "1"),
	      MEMORY("weighted", "weighted interleave:0-1 128 128",
		     "weighted interleave:0-1 128 128", .mode = KT_MPOL_WEIGHTED_INTERLEAVE,
		     .nodes = "0-1")));

KTEST(work_setup_mempolicy_flags, .summary = "a memory policy has its flags", TWO_NODES,
      LOOKING(MEMORY("static", "bind=static:1 0 256", "bind=static:1 0 256", .mode = KT_MPOL_BIND,
		     .nodes = "1", .flags = KT_MPOL_STATIC_NODES),
	      MEMORY("relative", "bind=relative:1 0 256", "bind=relative:1 0 256",
		     .mode = KT_MPOL_BIND, .nodes = "1", .flags = KT_MPOL_RELATIVE_NODES),
	      MEMORY("balancing", "bind=balancing:1 0 256", "bind=balancing:1 0 256",
		     .mode = KT_MPOL_BIND, .nodes = "1", .flags = KT_MPOL_NUMA_BALANCING)));

/* ---- defaults of a definition ---------------------------------------------------------------- */

/* As W(), with members of the definition in place of the work's. */
#define D(cgroup, look, want, ...)                                                                 \
	{                                                                                          \
		.name = (cgroup),                                                                  \
		.work = KT_WORK(KT_CUSTOM, .workers = 1, .custom = (look),                         \
				.arg = (uintptr_t)(want)),                                         \
		__VA_ARGS__                                                                        \
	}

KTEST(work_setup_of_definition, .summary = "what a work leaves out is taken from its definition",
      TWO_NODES,
      LOOKING(D("uid", look_ids, 9 << 16, .uid = 9), D("gid", look_ids, 7, .gid = 7),
	      D("sched", look_sched, SCHED_FIFO << 16 | 7 << 8 | 20,
		SCHED(KT_SCHED_FIFO, .priority = 7)),
	      D("affinity", look_affinity, "1", .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("1"))),
	      D("mempolicy", look_memory, ((const char *const[]){ "bind:1 0 256" }),
		.mempolicy = { .mode = KT_MPOL_BIND, .nodes = "1" })));
