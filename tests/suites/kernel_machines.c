/* SPDX-License-Identifier: MIT */
/*
 * Machines of other shapes, seen from outside and by their own /proc and /sys: symbols, a variable
 * of every CPU, a task, and a page of memory wherever it lies.
 */
#include <ktest.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/suites/look.h"

#define FUNCTIONS 200u /* of /proc/kallsyms, of which each so many are compared */
#define EACH      40u
#define PAGE      UINT64_C(4096)
#define FOUR_GIB  (UINT64_C(4) << 30)
#define PFN_MASK  ((UINT64_C(1) << 55) - 1) /* Linux: Documentation/admin-guide/mm/pagemap.rst */
#define START     22                        /* field of /proc/PID/stat */
#define TICK_NS   UINT64_C(10000000)

static int check_symbol(struct kt_ctx *ctx, const char *name, uint64_t expected)
{
	uint64_t address = 1;
	char path[160];

	(void)snprintf(path, sizeof(path), "&%s", name);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, path, &address));
	KT_ASSERT_EQ(ctx, address, expected);
	return 0;
}

/*
 * Some functions from the begin of /proc/kallsyms: the kernel takes seconds for all of it under
 * TCG. tests/checks/inspect.py and cross_check.py have other symbols.
 */
static int check_symbols(struct kt_ctx *ctx)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned int n_functions = 0;
	char line[512], name[128];
	uint64_t address;
	int r = 0;

	while (r == 0 && file && n_functions < FUNCTIONS && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " T %127s", &address, name) == 2 &&
		    n_functions++ % EACH == 0)
			r = check_symbol(ctx, name, address);
	}
	if (file)
		(void)fclose(file);
	KT_ASSERT_OK(ctx, r);
	KT_ASSERT_EQ(ctx, n_functions, FUNCTIONS);
	return 0;
}

/* The number in a file of a CPU in /sys. */
static uint64_t cpu_file(unsigned int cpu, const char *name)
{
	char text[LOOK_LEN];

	return strtoull(look(text, "/sys/devices/system/cpu/cpu%u/%s", cpu, name), NULL, 10);
}

/* The node that /sys has a CPU in; 99 for none. */
static uint64_t node_of(unsigned int cpu)
{
	char path[64];

	for (unsigned int node = 0; node < 8; node++) {
		(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpu%u", node,
			       cpu);
		if (access(path, F_OK) == 0)
			return node;
	}
	return 99;
}

static int check_cpu(struct kt_ctx *ctx, unsigned int cpu)
{
	const struct {
		const char *variable, *members;
		uint64_t expected;
	} values[] = {
		{ "runqueues", ".cpu", cpu },
		{ "numa_node", "", node_of(cpu) },
		{ "cpu_info", ".topo.core_id", cpu_file(cpu, "topology/core_id") },
		{ "cpu_info", ".topo.pkg_id", cpu_file(cpu, "topology/physical_package_id") },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t value = 98;
		char path[64];

		(void)snprintf(path, sizeof(path), "%s[cpu %u]%s", values[i].variable, cpu,
			       values[i].members);
		KT_ASSERT_OK(ctx, kt_kernel_read(ctx, path, &value));
		KT_ASSERT_EQ(ctx, value, values[i].expected);
	}
	return 0;
}

static int check_cpus(struct kt_ctx *ctx)
{
	unsigned int n = (unsigned int)sysconf(_SC_NPROCESSORS_CONF);
	uint64_t n_seen = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "nr_cpu_ids", &n_seen));
	KT_ASSERT_EQ(ctx, n_seen, n);
	for (unsigned int cpu = 0; cpu < n; cpu++)
		KT_ASSERT_OK(ctx, check_cpu(ctx, cpu));
	return 0;
}

static int check_task(struct kt_ctx *ctx)
{
	struct kt_worker_identity self;
	uint64_t value = 0;
	char path[64];
	int ticks = 0;

	KT_ASSERT(ctx, look_stat(getpid(), START, &ticks));
	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, getpid(), &self));
	(void)snprintf(path, sizeof(path), "task(%d).start_boottime", (int)getpid());
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, path, &value));
	KT_ASSERT_EQ(ctx, value / TICK_NS, ticks);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_READ_KERNEL_COLD(
						KT_GET("comm", KT_KERNEL_TASK_FIELD(self, "comm"),
						       KT_AS_BYTES(16)))));
	KT_ASSERT_STREQ(ctx, kt_kernel_captured_bytes(ctx, "comm", &(size_t){ 0 }), "ktest-init");
	return 0;
}

/* The physical address of a page of this process; 0 if there is none. */
static uint64_t physical(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	(void)!pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * sizeof(entry)));
	(void)close(fd);
	return (entry & PFN_MASK) * PAGE;
}

/* A page of a process is read and written by its address in the direct map. */
static int check_page(struct kt_ctx *ctx, bool is_high)
{
	uint64_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	uint64_t page_offset = 0, gpa, seen = 0;

	KT_ASSERT(ctx, page != MAP_FAILED);
	page[511] = UINT64_C(0x6b74657374ab0001);
	gpa = physical(page);
	KT_ASSERT(ctx, gpa);
	KT_ASSERT_EQ(ctx, gpa >= FOUR_GIB, is_high);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "page_offset_base", &page_offset));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_READ_KERNEL_HOT(KT_GET(
						"page", KT_KERNEL_DIRECT(page_offset + gpa + 4088),
						KT_AS_U64))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "page", &seen));
	KT_ASSERT_EQ(ctx, seen, page[511]);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_DIRECT(page_offset + gpa + 8),
						       KT_KERNEL_U64(4711)))));
	KT_ASSERT_EQ(ctx, ((volatile uint64_t *)page)[1], 4711);
	(void)munmap(page, PAGE);
	return 0;
}

/* All memory that the kernel has is all that the machine has, but for what the kernel keeps. */
static int check_memory(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	uint64_t pages = 0, kib;

	kib = strtoull(look_key(look(text, "/proc/meminfo"), "MemTotal"), NULL, 10);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "(unsigned long)_totalram_pages", &pages));
	KT_ASSERT_GT(ctx, kib, 0);
	KT_ASSERT_EQ(ctx, pages * (PAGE / 1024), kib);
	return 0;
}

static int machine_run(struct kt_ctx *ctx, bool is_high)
{
	KT_ASSERT_OK(ctx, check_symbols(ctx));
	KT_ASSERT_OK(ctx, check_cpus(ctx));
	KT_ASSERT_OK(ctx, check_task(ctx));
	KT_ASSERT_OK(ctx, check_memory(ctx));
	return check_page(ctx, is_high);
}

static int low_run(struct kt_ctx *ctx)
{
	return machine_run(ctx, false);
}

static int high_run(struct kt_ctx *ctx)
{
	return machine_run(ctx, true);
}

KTEST(kernel_512_mib, .summary = "a machine with 512 MiB is as its own /proc and /sys have it",
      .memory_mib = 512, .run = low_run);

KTEST(kernel_4_gib, .summary = "so is one with memory above the hole below 4 GiB",
      .memory_mib = 4096, .run = high_run);

KTEST(kernel_numa, .summary = "so is one with two NUMA nodes",
      .topology = { .numa_nodes = 2, .llcs = 4, .cores = 1, .threads = 1 }, .run = low_run);
