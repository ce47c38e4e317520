/* SPDX-License-Identifier: MIT */
/*
 * What looking into a kernel costs: one line of JSON for each figure, in microseconds, the median
 * of many.
 *
 * usage: bench-inspect RAM
 *
 * RAM is the file of a template. As with a restored machine, another process maps it privately, and
 * it is read through that process. The kernel in it stands still.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/kernel_access.h"

#define OPENS 15u
#define READS 1000u
#define BATCH 64u

static struct kt_err error;
static char dir[] = "/tmp/ktest-bench-XXXXXX";
static struct kt_ram *ram;

static void must(int r)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s\n", error.text);
	(void)kt_remove_all(dir);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void report(const char *name, double *us, size_t n)
{
	qsort(us, n, sizeof(us[0]), by_value);
	(void)printf("{\"figure\": \"%s\", \"us\": %.1f}\n", name, us[n / 2]);
}

static double since(uint64_t began_ns)
{
	return (double)(kt_now_ns() - began_ns) / 1e3;
}

/* Opens it, and with @types also loads the types. */
static double time_open(const char *cache, bool types)
{
	uint64_t began_ns = kt_now_ns();
	struct kt_inspect *inspect;
	double us;

	must(kt_inspect_open(ram, cache, &inspect, &error));
	if (types && !kt_inspect_btf(inspect))
		must(-1);
	us = since(began_ns);
	inspect = kt_inspect_close(inspect);
	return us;
}

static void bench_open(const char *name, const char *cache, bool types, bool forget)
{
	double us[OPENS];

	for (size_t i = 0; i < OPENS; i++) {
		if (forget)
			must(kt_remove_all(dir));
		us[i] = time_open(cache, types);
	}
	report(name, us, OPENS);
}

/* A read of a running guest: nothing that was remembered counts. */
static void bench_path(struct kt_inspect *inspect, const char *name, const char *path)
{
	static double us[READS];
	uint64_t value;

	for (size_t i = 0; i < READS; i++) {
		uint64_t began_ns = kt_now_ns();

		kt_inspect_refresh(inspect);
		must(kt_inspect_value(inspect, path, &value, &error));
		us[i] = since(began_ns);
	}
	report(name, us, READS);
}

static void bench_place(struct kt_inspect *inspect)
{
	static double us[READS];
	struct kt_place place;
	uint64_t value;

	must(kt_inspect_resolve(inspect, "runqueues[cpu 0].nr_running", &place, &error));
	for (size_t i = 0; i < READS; i++) {
		uint64_t began_ns = kt_now_ns();

		must(kt_inspect_load(inspect, &place, &value, &error));
		us[i] = since(began_ns);
	}
	report("inspect_place_us", us, READS);
}

static void bench_batch(struct kt_inspect *inspect)
{
	static double us[READS];
	struct kt_inspect_piece pieces[BATCH];
	uint64_t values[BATCH];
	struct kt_place place;

	must(kt_inspect_resolve(inspect, "init_task", &place, &error));
	for (size_t i = 0; i < BATCH; i++)
		pieces[i] = (struct kt_inspect_piece){ place.kva + i * 64, &values[i], 8 };
	for (size_t i = 0; i < READS; i++) {
		uint64_t began_ns = kt_now_ns();

		kt_inspect_refresh(inspect);
		must(kt_inspect_readv(inspect, pieces, BATCH, &error));
		us[i] = since(began_ns);
	}
	report("inspect_batch_64_us", us, READS);
}

/* A cold batch as a test makes it, without the stop of the machine: each path is looked up. */
static void bench_access(struct kt_inspect *inspect)
{
	static double us[READS];
	struct kt_kop_item items[BATCH];
	const struct kt_kop_request request = { .cold = true, .n = BATCH, .items = items };

	for (size_t i = 0; i < BATCH; i++)
		items[i] = (struct kt_kop_item){ KT_KOP_PER_CPU_FIELD, KT_KOP_U32,
						 .name = "runqueues", .field = "nr_running" };
	for (size_t i = 0; i < READS; i++) {
		uint64_t began_ns = kt_now_ns();
		struct kt_kop_reply reply;

		must(kt_kop_reply_new(&request, &reply));
		kt_kernel_access_serve(inspect, true, &request, &reply);
		must(reply.answers[BATCH - 1].result);
		kt_kop_reply_deinit(&reply);
		us[i] = since(began_ns);
	}
	report("inspect_access_64_us", us, READS);
}

static void bench_render(struct kt_inspect *inspect)
{
	static double us[READS];
	struct kt_place place;

	must(kt_inspect_resolve(inspect, "task(1)", &place, &error));
	for (size_t i = 0; i < READS; i++) {
		uint64_t began_ns = kt_now_ns();
		json_t *json;

		must(kt_render_json(inspect, &place, NULL, &json, &error));
		us[i] = since(began_ns);
		json_decref(json);
	}
	report("inspect_render_task_us", us, READS);
}

/* Maps the file as a restored machine does, until it is killed. */
static pid_t start_owner(int fd, size_t len)
{
	int ready[2];
	pid_t pid;
	char byte;

	must(pipe(ready));
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			_exit(1);
		(void)write(ready[1], "", 1);
		for (;;)
			(void)pause();
	}
	must(pid);
	(void)close(ready[1]);
	must(read(ready[0], &byte, 1) == 1 ? 0 : -1);
	(void)close(ready[0]);
	return pid;
}

static void bench(void)
{
	struct kt_inspect *inspect;

	bench_open("inspect_cold_us", NULL, true, false);
	bench_open("inspect_cold_kept_us", dir, true, true);
	bench_open("inspect_cached_us", dir, false, false);
	bench_open("inspect_cached_types_us", dir, true, false);
	must(kt_inspect_open(ram, dir, &inspect, &error));
	bench_path(inspect, "inspect_path_us", "runqueues[cpu 0].scx.nr_running");
	bench_path(inspect, "inspect_task_us", "task(1).scx.dsq_vtime");
	bench_place(inspect);
	bench_batch(inspect);
	bench_access(inspect);
	bench_render(inspect);
	inspect = kt_inspect_close(inspect);
}

int main(int argc, char **argv)
{
	struct kt_mem mem = KT_MEM_NULL;
	struct stat st;
	pid_t owner;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &st) < 0 || !mkdtemp(dir)) {
		(void)fprintf(stderr, "usage: bench-inspect RAM\n");
		return 2;
	}
	owner = start_owner(fd, (size_t)st.st_size);
	must(kt_mem_find_in_process(&mem, owner, fd, (uint64_t)st.st_size, &error));
	must(kt_ram_open_mem(&mem, &ram, &error));
	bench();
	ram = kt_ram_close(ram);
	kt_mem_deinit(&mem);
	(void)kill(owner, SIGKILL);
	(void)waitpid(owner, NULL, 0);
	(void)kt_remove_all(dir);
	(void)close(fd);
	return 0;
}
