/* SPDX-License-Identifier: MIT */
/* Work that never sleeps. Each type is proved by what the kernel counts. */
#include <ktest.h>

#include <dirent.h>
#include <elf.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define WORKER(cgroup, type, ...)                                                                  \
	{                                                                                          \
		.name = (cgroup), .work = KT_WORK(type, .workers = 1, __VA_ARGS__)                 \
	}
#define ALONE(type, ...)                                                                           \
	.duration_ms = 300,                                                                        \
	.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }),         \
			    .hold = KT_HOLD_FULL })

static int spin_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_EXPECT_GT(ctx, sum.iterations, 10);
	/* Two workers on one CPU: each waits while the other one runs. */
	KT_EXPECT_GT(ctx, sum.cpu_ns, 100000000);
	KT_EXPECT_GT(ctx, sum.run_delay_ns, 100000000);
	KT_EXPECT_GT(ctx, sum.max_gap_ns, 1000000);
	KT_EXPECT_EQ(ctx, sum.migrations, 0);
	KT_EXPECT_EQ(ctx, sum.cpus[0], 1);
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

KTEST(work_spin_wait, .summary = "SpinWait takes all the CPU there is", ONE_CPU,
      ALONE(KT_SPIN_WAIT, .workers = 2), .check = spin_check);

KTEST(work_threads, .summary = "workers can be threads of one process", ONE_CPU,
      ALONE(KT_SPIN_WAIT, .workers = 2, .threads = true), .check = spin_check);

static int yield_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	/* Each yield lets the other worker run. How many fit into 300 ms depends on the host. */
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_GT(ctx, sum.switches, sum.iterations / 4);
	return 0;
}

KTEST(work_yield_heavy, .summary = "YieldHeavy gives the CPU up all the time", ONE_CPU,
      ALONE(KT_YIELD_HEAVY, .workers = 2), .check = yield_check);

KTEST(work_mixed, .summary = "Mixed spins and gives the CPU up", ONE_CPU,
      ALONE(KT_MIXED, .workers = 2), .check = yield_check);

/* Iterations per second of CPU time; 0 if there are none. */
static double rate(struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	if (!kt_sum_reports(ctx, cgroup, &sum) || !sum.cpu_ns)
		return 0;
	return (double)sum.iterations * 1e9 / (double)sum.cpu_ns;
}

static bool is_called(const char *dir, const char *id, const char *comm)
{
	char path[320], name[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s/comm", dir, id);
	file = atoi(id) > 1 ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	if (fscanf(file, "%31s", name) != 1)
		name[0] = '\0';
	(void)fclose(file);
	return !strcmp(name, comm);
}

/* Processes of that name in /proc, or threads in a process's task/: oldest first, at most @max. */
static unsigned int find(const char *dir, const char *comm, pid_t *ids, unsigned int max)
{
	DIR *entries = opendir(dir);
	unsigned int n = 0;

	for (struct dirent *at; entries && n < max && (at = readdir(entries));) {
		if (is_called(dir, at->d_name, comm))
			ids[n++] = atoi(at->d_name);
	}
	if (entries)
		(void)closedir(entries);
	return n;
}

/* ---- AluHot ---------------------------------------------------------------------------------- */

#define XSAVE_FEATURES 512 /* XSTATE_BV; Intel SDM volume 1, 13.4 */
#define XSAVE_YMM_HIGH 576 /* the upper halves of YMM0..15 */
#define FEATURE_YMM    (1u << 2)

/* Whether the stopped process has data in the upper half of a YMM register. */
static bool uses_wide(pid_t pid)
{
	static _Alignas(64) unsigned char state[16384];
	struct iovec into = { state, sizeof(state) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &into) < 0 ||
	    into.iov_len < XSAVE_YMM_HIGH + 256 || !(state[XSAVE_FEATURES] & FEATURE_YMM))
		return false;
	for (unsigned int i = 0; i < 256; i++) {
		if (state[XSAVE_YMM_HIGH + i])
			return true;
	}
	return false;
}

/*
 * Stops a worker again and again to read its registers, as a debugger does. Each look is an
 * iteration. It is also a latency if the wide registers were in use.
 */
static void look_at_registers(struct kt_custom *worker)
{
	static const char *const names[] = { "scalar", "sse2", "widest" };
	pid_t pid;

	if (find("/proc", names[kt_custom_arg(worker)], &pid, 1) != 1 ||
	    ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;
	while (!kt_custom_stopping(worker)) {
		kt_custom_block(worker);
		(void)usleep(10000);
		kt_custom_unblock(worker);
		if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || waitpid(pid, NULL, __WALL) != pid)
			return;
		if (uses_wide(pid))
			kt_custom_latency(worker, 1);
		kt_custom_done(worker);
		(void)ptrace(PTRACE_CONT, pid, 0, 0);
	}
}

/*
 * The share of the looks at a worker that found the wide registers in use; -1 if there were none.
 */
static double part_wide(struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	if (!kt_sum_reports(ctx, cgroup, &sum) || !sum.iterations)
		return -1;
	return (double)sum.n_latencies / (double)sum.iterations;
}

/* Outside the arithmetic, the upper halves are clear: not every look finds them in use. */
static int widths_check(struct kt_ctx *ctx)
{
	if (!__builtin_cpu_supports("avx2"))
		KT_SKIP(ctx, "the CPU has no AVX2");
	KT_EXPECT_GE(ctx, part_wide(ctx, "at_scalar"), 0);
	KT_EXPECT_LT(ctx, part_wide(ctx, "at_scalar"), 0.25);
	KT_EXPECT_GE(ctx, part_wide(ctx, "at_sse2"), 0);
	KT_EXPECT_LT(ctx, part_wide(ctx, "at_sse2"), 0.25);
	KT_EXPECT_GT(ctx, part_wide(ctx, "at_widest"), 0.5);
	KT_EXPECT_GT(ctx, rate(ctx, "scalar"), 0);
	KT_EXPECT_GT(ctx, rate(ctx, "sse2"), 0);
	KT_EXPECT_GT(ctx, rate(ctx, "widest"), 0);
	return 0;
}

#define LOOK_AT(cgroup, name) WORKER(cgroup, KT_CUSTOM, .custom = look_at_registers, .arg = (name))

KTEST(work_alu_hot, .summary = "AluHot computes in registers as wide as it is told", ONE_CPU,
      .duration_ms = 600,
      .steps = KT_STEPS(
	      { KT_SETUP(WORKER("scalar", KT_ALU_HOT, .alu = KT_ALU_SCALAR, .comm = "scalar"),
			 WORKER("sse2", KT_ALU_HOT, .alu = KT_ALU_128, .comm = "sse2"),
			 WORKER("widest", KT_ALU_HOT, .comm = "widest"), LOOK_AT("at_scalar", 0),
			 LOOK_AT("at_sse2", 1), LOOK_AT("at_widest", 2)),
		.hold = KT_HOLD_FULL }),
      .check = widths_check);

/* An iteration is as much arithmetic as .ops says. */
static int ops_check(struct kt_ctx *ctx)
{
	KT_ASSERT_GT(ctx, rate(ctx, "long"), 0);
	KT_EXPECT_GT(ctx, rate(ctx, "short") / rate(ctx, "long"), 4);
	KT_EXPECT_LT(ctx, rate(ctx, "short") / rate(ctx, "long"), 16);
	return 0;
}

KTEST(work_alu_hot_ops, .summary = "AluHot's iterations are as long as .ops says", ONE_CPU,
      .duration_ms = 400,
      .steps = KT_STEPS({ KT_SETUP(WORKER("short", KT_ALU_HOT, .ops = 16384),
				   WORKER("long", KT_ALU_HOT, .ops = 8 * 16384)),
			  .hold = KT_HOLD_FULL }),
      .check = ops_check);

/* ---- IpcVariance ----------------------------------------------------------------------------- */

/* The cost of an iteration depends on the length of both phases, and on their number. */
static int variance_check(struct kt_ctx *ctx)
{
	double base = rate(ctx, "base");

	KT_ASSERT_GT(ctx, base, 0);
	KT_EXPECT_GT(ctx, base / rate(ctx, "hot"), 2);
	KT_EXPECT_GT(ctx, base / rate(ctx, "cold"), 2);
	KT_EXPECT_GT(ctx, base / rate(ctx, "rounds"), 4);
	return 0;
}

#define VARIANCE(cgroup, hot, cold, rounds)                                                        \
	WORKER(cgroup, KT_IPC_VARIANCE, .kib = 2048, .ops = (hot), .touches = (cold),              \
	       .batch = (rounds))

KTEST(work_ipc_variance, .summary = "IpcVariance goes through its hot and its cold phase", ONE_CPU,
      .duration_ms = 1000,
      .steps = KT_STEPS({ KT_SETUP(VARIANCE("base", 32768, 512, 1), VARIANCE("hot", 262144, 512, 1),
				   VARIANCE("cold", 32768, 65536, 1),
				   VARIANCE("rounds", 32768, 512, 8)),
			  .hold = KT_HOLD_FULL }),
      .check = variance_check);

static int variance_default_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 0);
	KT_EXPECT_GT(ctx, sum.cpu_ns, sum.wall_ns / 2);
	return 0;
}

KTEST(work_ipc_variance_default, .summary = "IpcVariance never sleeps", ONE_CPU,
      .duration_ms = 1000,
      .steps = KT_STEPS({ KT_SETUP(WORKER("w", KT_IPC_VARIANCE)), .hold = KT_HOLD_FULL }),
      .check = variance_default_check);

/* ---- SmtSiblingSpin -------------------------------------------------------------------------- */

#define SMT_WORKERS 4

/* The CPU that @pid is pinned to, or -1. */
static int pinned_to(pid_t pid)
{
	cpu_set_t cpus;
	int cpu = 0;

	if (sched_getaffinity(pid, sizeof(cpus), &cpus) < 0 || CPU_COUNT(&cpus) != 1)
		return -1;
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	return cpu;
}

/* Whether @a and @b are the two threads of one core, as the kernel sees it. */
static bool are_siblings(int a, int b)
{
	char path[96], text[32] = "", want[32];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/core_cpus_list",
		       a);
	(void)snprintf(want, sizeof(want), "%d-%d", a < b ? a : b, a < b ? b : a);
	file = fopen(path, "re");
	if (file && fscanf(file, "%31s", text) != 1)
		text[0] = '\0';
	if (file)
		(void)fclose(file);
	return a >= 0 && b >= 0 && !strcmp(text, want);
}

/* The IDs of the workers: processes, or with .arg = 1 the threads of the only process. */
static bool find_workers(const struct kt_custom *worker, pid_t pids[SMT_WORKERS])
{
	char dir[64] = "/proc";

	if (kt_custom_arg(worker)) {
		if (find(dir, "SmtSiblingSpin", pids, 1) != 1)
			return false;
		(void)snprintf(dir, sizeof(dir), "/proc/%d/task", pids[0]);
	}
	return find(dir, "SmtSiblingSpin", pids, SMT_WORKERS) == SMT_WORKERS;
}

/* Counts an iteration for each look that has found everything as expected. */
static void look_at_pins(struct kt_custom *worker)
{
	pid_t pids[SMT_WORKERS];

	while (!kt_custom_stopping(worker)) {
		unsigned int good = 0, cpus = 0;

		if (!find_workers(worker, pids))
			return;
		for (unsigned int i = 0; i < SMT_WORKERS; i += 2) {
			int a = pinned_to(pids[i]), b = pinned_to(pids[i + 1]);

			good += are_siblings(a, b);
			cpus |= a >= 0 && b >= 0 ? 1u << a | 1u << b : 0;
		}
		if (good == SMT_WORKERS / 2 && cpus == 0xf)
			kt_custom_done(worker);
		kt_custom_sleep_us(worker, 10000);
	}
}

static int smt_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);
	struct kt_worker_report look;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "look", &look));
	KT_EXPECT_GT(ctx, look.iterations, 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(reports[i].cgroup, "w"))
			continue;
		/* The worker may have been on another CPU before it was pinned. */
		KT_EXPECT_LE(ctx, reports[i].migrations, 1);
		KT_EXPECT_GT(ctx, reports[i].iterations, 0);
		/*
		 * The worker wants its CPU all the time. How much of it the witness leaves does not
		 * matter here.
		 */
		KT_EXPECT_GT(ctx, reports[i].cpu_ns + reports[i].run_delay_ns,
			     reports[i].wall_ns / 2);
	}
	return 0;
}

#define SMT(threads_or_not)                                                                        \
	.topology = { .llcs = 1, .cores = 2, .threads = 2 }, .duration_ms = 500,                   \
	.steps =                                                                                   \
		KT_STEPS({ KT_SETUP({ .name = "w",                                                 \
				      .work = KT_WORK(KT_SMT_SIBLING_SPIN, .workers = SMT_WORKERS, \
						      .threads = (threads_or_not)) },              \
				    WORKER("look", KT_CUSTOM, .nice = -20, .custom = look_at_pins, \
					   .arg = (threads_or_not))),                              \
			   .hold = KT_HOLD_FULL }),                                                \
	.check = smt_check

KTEST(work_smt_sibling_spin, .summary = "SmtSiblingSpin keeps both threads of a core busy",
      SMT(false));

KTEST(work_smt_sibling_threads, .summary = "SmtSiblingSpin's workers can be threads", SMT(true));
