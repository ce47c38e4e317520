/* SPDX-License-Identifier: MIT */
/* The properties of a guest: its machine, its file systems, its channels to the host. */
#include <ktest.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/init/sysview.h"
#include "guest/test/ctx.h"
#include "tests/suites/look.h"
#include "util/clock.h"

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }

#define CPU_DIR  "/sys/devices/system/cpu"
#define NODE_DIR "/sys/devices/system/node"

/* The CPUs that share the last-level cache with @cpu; its package where caches are not told. */
static const char *llc_of(char text[LOOK_LEN], unsigned int cpu)
{
	for (int index = 9; index >= 0; index--) {
		if (*look(text, CPU_DIR "/cpu%u/cache/index%d/shared_cpu_list", cpu, index))
			return text;
	}
	return look(text, CPU_DIR "/cpu%u/topology/package_cpus_list", cpu);
}

static int check_cpu(struct kt_ctx *ctx, unsigned int cpu, unsigned int node, const char *llc)
{
	char text[LOOK_LEN];
	unsigned int seen;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	KT_ASSERT_OK(ctx, sched_setaffinity(0, sizeof(set), &set));
	KT_ASSERT_OK(ctx, getcpu(NULL, &seen));
	KT_EXPECT_EQ(ctx, seen, node);
	KT_EXPECT_STREQ(ctx, llc_of(text, cpu), llc);
	return 0;
}

/* The runner compares the whole topology before it starts a test. This is the rest of the proof. */
static int topology_run(struct kt_ctx *ctx)
{
	const struct kt_topology *topology = kt_topology(ctx);
	unsigned int cpu = 0;
	int r = 0;

	KT_ASSERT_EQ(ctx, sysconf(_SC_NPROCESSORS_ONLN), kt_topology_cpus(topology));
	for (unsigned int llc = 0; llc < topology->llcs; llc++) {
		unsigned int n = kt_topology_llc_cores(topology, llc) * topology->threads;
		char cpus[32];

		(void)snprintf(cpus, sizeof(cpus), "%u-%u", cpu, cpu + n - 1);
		if (n == 1)
			(void)snprintf(cpus, sizeof(cpus), "%u", cpu);
		for (; r == 0 && n--; cpu++)
			r = check_cpu(ctx, cpu, llc / (topology->llcs / topology->numa_nodes),
				      cpus);
	}
	return r;
}

KTEST(topology_default, .summary = "two CPUs when nothing is said", .run = topology_run);
KTEST(topology_threads, .summary = "two hardware threads in each of two cores",
      .topology = { .llcs = 1, .cores = 2, .threads = 2 }, .run = topology_run);
KTEST(topology_numa, .summary = "two NUMA nodes with two last-level caches each",
      .topology = { .numa_nodes = 2, .llcs = 4, .cores = 1, .threads = 1 }, .run = topology_run);

/* Memory can be had from the node, and is there. */
static int use_memory(struct kt_ctx *ctx, unsigned int node)
{
	const size_t len = 8 << 20;
	unsigned long mask = 1ul << node;
	int seen = -1;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	KT_ASSERT(ctx, map != MAP_FAILED);
	KT_ASSERT_OK(ctx, syscall(SYS_mbind, map, len, MPOL_BIND, &mask, node + 2ul, 0));
	memset(map, 1, len);
	KT_ASSERT_OK(ctx, syscall(SYS_get_mempolicy, &seen, NULL, 0ul, map + len - 1,
				  MPOL_F_NODE | MPOL_F_ADDR));
	KT_EXPECT_EQ(ctx, seen, node);
	return munmap(map, len);
}

static int memory_nodes_run(struct kt_ctx *ctx)
{
	const struct kt_topology *topology = kt_topology(ctx);
	int r = topology_run(ctx);

	for (unsigned int node = topology->numa_nodes; r == 0 && node < kt_topology_nodes(topology);
	     node++) {
		char text[LOOK_LEN];

		KT_EXPECT_STREQ(ctx, look(text, NODE_DIR "/node%u/cpulist", node), "");
		r = use_memory(ctx, node);
	}
	return r;
}

KTEST(topology_memory_node, .summary = "a NUMA node that has memory and no CPU",
      .topology = { .llcs = 1, .cores = 2, .memory_nodes = 1 }, .run = memory_nodes_run);

/* Only the native machine has this one, and tells how far the memory of each node is, in ns. */
static int uneven_run(struct kt_ctx *ctx)
{
	static const char latency[] = "access0/initiators/read_latency";
	char text[LOOK_LEN];

	KT_EXPECT_STREQ(ctx, look(text, NODE_DIR "/node0/%s", latency), "100");
	KT_EXPECT_STREQ(ctx, look(text, NODE_DIR "/node2/%s", latency), "300");
	return memory_nodes_run(ctx);
}

KTEST(topology_uneven,
      .summary = "LLCs and nodes with different numbers of CPUs, and a node without",
      .topology = { .numa_nodes = 2, .llc_cores = { 2, 1 }, .threads = 1, .memory_nodes = 1 },
      .memory_mib = 768, .run = uneven_run);

static int memory_run(struct kt_ctx *ctx)
{
	struct sysinfo info;
	unsigned long long mib;

	KT_ASSERT_OK(ctx, sysinfo(&info));
	mib = info.totalram * info.mem_unit >> 20;
	/* The kernel needs memory for its image and its page structures. */
	KT_EXPECT_GT(ctx, mib, 900);
	KT_EXPECT_LE(ctx, mib, 1024);
	return 0;
}

KTEST(memory, .summary = "the machine has the memory that is asked for", ONE_CPU,
      .memory_mib = 1024, .run = memory_run);

static int file_systems_run(struct kt_ctx *ctx)
{
	static const char *const paths[] = {
		"/proc/self/stat",
		"/sys/fs/cgroup/cgroup.procs",
		"/sys/kernel/debug/sched",
		"/sys/kernel/tracing/trace",
		"/sys/fs/bpf",
		"/dev/shm",
		"/dev/ptmx",
		"/dev/fd/0",
		"/tmp",
		"/run",
		"/etc/passwd",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], R_OK) < 0)
			(void)kt_fail(ctx, KT_HERE, "%s: %s", paths[i], strerror(errno));
	}
	return 0;
}

KTEST(file_systems, .summary = "proc, sys, cgroup2, debugfs, tracefs, bpf and tmpfs are there",
      ONE_CPU, .run = file_systems_run);

static int environment_run(struct kt_ctx *ctx)
{
	KT_ASSERT_STREQ(ctx, getenv("KTESTS"), "1");
	KT_ASSERT_STREQ(ctx, getenv("KTESTS_TEST_NAME"), "environment");
	KT_ASSERT_STREQ(ctx, getenv("KTESTS_ATTEMPT"), "1");
	KT_ASSERT(ctx, getenv("KTESTS_ACCEL"));
	KT_EXPECT_EQ(ctx, getpid(), 1);
	/*
	 * The clock is set to the host's: no machine starts in 1970, or at the date of its image.
	 */
	KT_EXPECT_GT(ctx, time(NULL), 1767225600);
	return 0;
}

KTEST(environment, .summary = "a test finds its name, attempt and accelerator, and the time",
      ONE_CPU, .run = environment_run);

static int patience_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	int seconds = atoi(look(text, "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"));
	int scaled = (int)(21 * ctx->time_scale_percent / 100);

	/* By default 21 s, at most 300 s (RCU_CPU_STALL_TIMEOUT in kernel/rcu/Kconfig.debug). */
	KT_EXPECT_EQ(ctx, seconds, scaled < 300 ? scaled : 300);
	return 0;
}

/* QEMU implements MWAIT under TCG as a yield: an idle vCPU would take its turns all the time. */
static int idle_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];

	(void)look(text, "/proc/cmdline");
	KT_EXPECT_EQ(ctx, strstr(text, " idle=halt") != NULL,
		     !strcmp(getenv("KTESTS_ACCEL"), "tcg"));
	return 0;
}

/* The check panics on a host that has no time for QEMU, and KVM guests leave it out as well. */
static int timer_check_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	bool is_tcg = !strcmp(getenv("KTESTS_ACCEL"), "tcg");

	(void)look(text, "/proc/cmdline");
	KT_EXPECT_EQ(ctx, strstr(text, " no_timer_check") != NULL, is_tcg);
	return 0;
}

KTEST(timer_check, .summary = "a boot does not measure the host's timer", ONE_CPU,
      .run = timer_check_run);

KTEST(idle_halt, .summary = "an idle CPU halts under TCG, and is left to the kernel under KVM",
      ONE_CPU, .run = idle_run);

KTEST(stall_timeout, .summary = "the kernel takes no slow machine for one that has stalled",
      ONE_CPU, .run = patience_run);

KTEST(stall_timeout_in_real_time, .summary = "likewise where the host's time counts", ONE_CPU,
      .time = KT_REAL_TIME, .run = patience_run);

/* Both streams, with more text than all buffers on the way hold, and without a last newline. */
#define OUTPUT_LINES 20000

static int output_run(struct kt_ctx *ctx)
{
	FILE *console = fopen("/dev/console", "we");

	KT_ASSERT(ctx, console);
	KT_ASSERT_GT(ctx, fputs("console speaking\n", console), 0);
	KT_ASSERT_EQ(ctx, fclose(console), 0);
	for (int i = 0; i < OUTPUT_LINES; i++) {
		printf("line %d of standard output\n", i);
		if (i % 100 == 0)
			(void)fprintf(stderr, "error %d\n", i / 100);
	}
	printf("the end");
	return 0;
}

static int output_post_vm(struct kt_ctx *ctx)
{
	const char *at = kt_vm_stdout(ctx);

	for (int i = 0; i < OUTPUT_LINES; i++) {
		char line[64];
		int len = snprintf(line, sizeof(line), "line %d of standard output\n", i);

		if (strncmp(at, line, (size_t)len))
			KT_FAIL(ctx, "line %d is missing", i);
		at += len;
	}
	KT_ASSERT_STREQ(ctx, at, "the end");
	KT_ASSERT_CONTAINS(ctx, kt_vm_stderr(ctx), "error 199\n");
	KT_ASSERT_CONTAINS(ctx, kt_vm_console(ctx), "console speaking");
	return 0;
}

KTEST(output_arrives_whole, .summary = "all that a test prints reaches the host, in order", ONE_CPU,
      .run = output_run, .post_vm = output_post_vm);

static __attribute__((noreturn)) void stay(int said_fd)
{
	(void)setsid();
	(void)signal(SIGTERM, SIG_IGN);
	(void)!write(said_fd, "!", 1);
	for (;;)
		(void)pause();
}

/* Leaves a child and a grandchild, which are killed, and a zombie, which need not be. */
static int leave_processes(struct kt_ctx *ctx, int here_fd, int there_fd)
{
	char said[2];
	pid_t pid = fork();

	if (pid == 0) {
		(void)fork();
		stay(there_fd);
	}
	KT_ASSERT_GT(ctx, pid, 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	KT_ASSERT_OK(ctx, waitid(P_PID, (id_t)pid, &(siginfo_t){ .si_pid = 0 }, WEXITED | WNOWAIT));
	for (int i = 0; i < 2; i++)
		KT_ASSERT_EQ(ctx, read(here_fd, &said[i], 1), 1);
	return 0;
}

/*
 * A child that outlives the test and keeps its output open must not delay the end. The guest's last
 * message says whether any process is left, and checks/reports.py looks at their number.
 */
static int leftover_run(struct kt_ctx *ctx)
{
	int ends[2];

	KT_ASSERT_OK(ctx, pipe2(ends, O_CLOEXEC));
	return leave_processes(ctx, ends[0], ends[1]);
}

KTEST(leftover_children, .summary = "processes that a test leaves behind are ended with it",
      ONE_CPU, .run = leftover_run);

/* A user may write anything to the kernel's log; only the kernel's own words fail a test. */
static int user_kmsg_run(struct kt_ctx *ctx)
{
	static const char line[] = "<4>WARNING: CPU: 0 PID: 1 at kernel/sched/core.c:1 f+0x1/0x2\n";
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	KT_ASSERT_OK(ctx, fd);
	KT_ASSERT_EQ(ctx, write(fd, line, sizeof(line) - 1), (ssize_t)sizeof(line) - 1);
	(void)close(fd);
	return 0;
}

KTEST(user_kmsg, .summary = "a user's line in the kernel's log is not a complaint of the kernel",
      ONE_CPU, .run = user_kmsg_run);

/*
 * The deadlines of the guest are longer where the machine is emulated and the host's time counts
 * (kt_ctx_deadline_ns()).
 */
static int time_scale_run(struct kt_ctx *ctx)
{
	const char *accel = getenv("KTESTS_ACCEL"), *time = getenv("KTESTS_TIME");
	bool is_slow;
	uint64_t left_ns;

	KT_ASSERT(ctx, accel && time);
	is_slow = !strcmp(accel, "tcg") && !strcmp(time, "real");
	KT_EXPECT_GE(ctx, ctx->time_scale_percent, is_slow ? 200 : 100);
	left_ns = kt_ctx_deadline_ns(ctx, 1000) - kt_now_ns();
	KT_EXPECT_GT(ctx, left_ns, ctx->time_scale_percent * 10 * KT_NSEC_PER_MSEC * 9 / 10);
	KT_EXPECT_LE(ctx, left_ns, ctx->time_scale_percent * 10 * KT_NSEC_PER_MSEC);
	return 0;
}

KTEST(time_scale, .summary = "deadlines in the guest are scaled by the accelerator", ONE_CPU,
      .time = KT_REAL_TIME, .timeout_ms = 60000, .run = time_scale_run);

/* The test itself waits for its children: PID 1 does not reap the children of a .run function. */
static int own_children_run(struct kt_ctx *ctx)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(42);
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 50));
	KT_ASSERT_EQ(ctx, waitpid(pid, &status, 0), pid);
	KT_ASSERT_EQ(ctx, WEXITSTATUS(status), 42);
	return 0;
}

KTEST(own_children, .summary = "a .run function may wait for its own children", ONE_CPU,
      .run = own_children_run);

/* Death tests: PID 1's handlers are for PID 1, not for what it forks. */
static int child_dies_run(struct kt_ctx *ctx)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGILL };
	volatile int *volatile nowhere = NULL;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			if (signals[i] == SIGABRT)
				abort();
			if (signals[i] == SIGSEGV)
				*nowhere = 1;
			(void)raise(signals[i]);
			_exit(0);
		}
		KT_ASSERT_EQ(ctx, waitpid(pid, &status, 0), pid);
		KT_ASSERT(ctx, WIFSIGNALED(status));
		KT_EXPECT_EQ(ctx, WTERMSIG(status), signals[i]);
	}
	return 0;
}
KTEST(child_dies, .summary = "a child that crashes is seen by its parent, and no more", ONE_CPU,
      .run = child_dies_run);

/*
 * What HELO says; the machine undoes deaths by it (vmm/qemu/stale.h), and would not say that it
 * cannot.
 */
static int addresses_run(struct kt_ctx *ctx)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	unsigned long long text = 0, die = 0, table = 0;
	struct kt_err err = KT_ERR_NULL;
	struct kt_hello hello;
	char line[512];

	KT_ASSERT(ctx, symbols);
	while (fgets(line, sizeof(line), symbols) && !(text && die && table)) {
		const char *name = line + strcspn(line, " ") + 3;

		if (!strcmp(name, "_text\n"))
			text = strtoull(line, NULL, 16);
		else if (!strcmp(name, "die\n"))
			die = strtoull(line, NULL, 16);
		else if (!strcmp(name, "kprobe_table\n"))
			table = strtoull(line, NULL, 16);
	}
	(void)fclose(symbols);
	KT_ASSERT_OK(ctx, kt_sysview_hello(&hello, &err));
	KT_EXPECT_NE(ctx, text, 0);
	KT_EXPECT_NE(ctx, die, 0);
	KT_EXPECT_EQ(ctx, hello.text, text);
	KT_EXPECT_EQ(ctx, hello.die, die);
	KT_EXPECT_EQ(ctx, hello.kprobe_table, table);
	return 0;
}

KTEST(addresses, .summary = "the guest finds the addresses in its kernel that it says", ONE_CPU,
      .run = addresses_run);

/* tests/checks/fork.py reads it. */
static int kernel_release_run(struct kt_ctx *ctx)
{
	struct utsname name;

	KT_ASSERT_OK(ctx, uname(&name));
	printf("uname -r is %s\n", name.release);
	return 0;
}

KTEST(kernel_release, .summary = "prints which kernel runs", ONE_CPU, .run = kernel_release_run);

static int nothing_run(struct kt_ctx *ctx)
{
	(void)ctx;
	return 0;
}

KTEST(disabled, .summary = "is never run", .disabled = "it only shows that it is not",
      .run = nothing_run);
KTEST(trivial, .summary = "nothing, to be measured", ONE_CPU, .run = nothing_run);
