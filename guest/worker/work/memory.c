/* SPDX-License-Identifier: MIT */
/*
 * Work on memory.
 *
 * - CachePressure, CacheYield: strides through a buffer, without and with sched_yield(2).
 * - CachePipe: two workers stride through a buffer each, then exchange a byte. Latency is the time
 *   from the partner's write to the moment that the waiting worker has read the byte.
 * - PageFaultChurn: maps a buffer, writes to some of its pages, unmaps it.
 * - NumaSweep: strides through a buffer, whose pages move to the next node every period. The worker
 *   reports how many of its pages are on the node that it runs on.
 *
 * They rely on: an anonymous private page gets memory at the first write; move_pages(2) with
 * MPOL_MF_MOVE moves pages that only this process maps, and without nodes it tells where pages are.
 * Buffers are private to a worker and die with it.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/cgroup/cpuset.h"
#include "guest/worker/work/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define PAGE_LEN          4096u
#define DEFAULT_CACHE_KIB 32u /* the size of a typical level 1 data cache */
#define DEFAULT_STRIDE    64u /* bytes: a cache line */
#define DEFAULT_SPINS     1024u
#define DEFAULT_CHURN_KIB 4096u
#define DEFAULT_TOUCHES   256u /* pages written in each mapping */
#define DEFAULT_GAP       64u  /* PAUSE instructions between two mappings */
#define DEFAULT_SWEEP_KIB 4096u
#define DEFAULT_PERIOD_MS 100u
#define PAGES_AT_ONCE     256u /* per move_pages(2), so that a tick is never far */

/* ---- caches ---------------------------------------------------------------------------------- */

static unsigned int stride_of(const struct kt_work *work)
{
	return work->stride ?: DEFAULT_STRIDE;
}

static const char *cache_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	return stride_of(work) > (work->kib ?: DEFAULT_CACHE_KIB) * UINT64_C(1024)
		       ? ".stride is longer than the buffer of .kib"
		       : NULL;
}

static void cache_pressure(struct kt_worker *worker)
{
	unsigned int kib = worker->work->kib ?: DEFAULT_CACHE_KIB;
	char *buffer = kt_buffer_map(worker, kib);

	while (!kt_worker_stopping(worker)) {
		kt_buffer_stride(worker, buffer, kib, stride_of(worker->work));
		kt_worker_done(worker);
	}
	kt_buffer_unmap(buffer, kib);
}

static void cache_yield(struct kt_worker *worker)
{
	unsigned int kib = worker->work->kib ?: DEFAULT_CACHE_KIB;
	char *buffer = kt_buffer_map(worker, kib);

	while (!kt_worker_stopping(worker)) {
		kt_buffer_stride(worker, buffer, kib, stride_of(worker->work));
		(void)sched_yield();
		kt_worker_done(worker);
	}
	kt_buffer_unmap(buffer, kib);
}

/* ---- caches and a pipe ----------------------------------------------------------------------- */

/*
 * One pipe leads to each part: fds[0] (to read) and fds[1] to part 0, fds[2] and fds[3] to part 1.
 */
struct partners {
	_Atomic uint64_t sent_ns[2]; /* when the last byte was sent to a part */
};

static size_t pipe_shared_len(const struct kt_work *work)
{
	(void)work;
	return sizeof(struct partners);
}

static unsigned int two(const struct kt_work *work)
{
	(void)work;
	return 2;
}

static int pipe_prepare(const struct kt_work *work, struct kt_unit *unit)
{
	(void)work;
	for (unsigned int part = 0; part < 2; part++) {
		if (pipe2(&unit->fds[2 * part], O_CLOEXEC | O_NONBLOCK) < 0)
			return -errno;
	}
	return 0;
}

/*
 * Sends a byte to the partner and waits for the partner's: neither worker continues before both are
 * here. False when the worker is to stop.
 */
static bool exchange(struct kt_worker *worker)
{
	struct partners *partners = worker->unit->shared;
	unsigned int self = worker->part, other = !self;
	uint64_t wait_ns, sent_ns;
	char byte = 0;

	atomic_store(&partners->sent_ns[other], kt_now_ns());
	if (write(worker->unit->fds[2 * other + 1], &byte, 1) != 1)
		kt_worker_fail(worker, "write to its partner");
	wait_ns = kt_now_ns();
	if (!kt_worker_wait_readable(worker, worker->unit->fds[2 * self]))
		return false;
	if (read(worker->unit->fds[2 * self], &byte, 1) != 1)
		kt_worker_fail(worker, "read from its partner");
	sent_ns = atomic_load(&partners->sent_ns[self]);
	if (sent_ns > wait_ns) /* otherwise the byte was there already: no wake-up */
		kt_worker_latency(worker, kt_now_ns() - sent_ns);
	return true;
}

static void cache_pipe(struct kt_worker *worker)
{
	unsigned int kib = worker->work->kib ?: DEFAULT_CACHE_KIB;
	char *buffer = kt_buffer_map(worker, kib);

	while (!kt_worker_stopping(worker)) {
		kt_buffer_stride(worker, buffer, kib, stride_of(worker->work));
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
		if (!exchange(worker))
			break;
		kt_worker_done(worker);
	}
	kt_buffer_unmap(buffer, kib);
}

/* ---- page faults ----------------------------------------------------------------------------- */

static const char *churn_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	uint64_t pages = (work->kib ?: DEFAULT_CHURN_KIB) * UINT64_C(1024) / PAGE_LEN;

	(void)topology;
	return (work->touches ?: DEFAULT_TOUCHES) > pages
		       ? ".touches is more than the pages that .kib has"
		       : NULL;
}

/* Writes to @touches different pages, evenly spread over the buffer. */
static void touch(struct kt_worker *worker, char *buffer, size_t n_pages, unsigned int touches)
{
	for (unsigned int i = 0; i < touches && !kt_worker_stopping(worker); i++) {
		((volatile char *)buffer)[n_pages * i / touches * PAGE_LEN] = 1;
		if (i % 16 == 15)
			kt_worker_tick(worker);
	}
}

static void page_fault_churn(struct kt_worker *worker)
{
	const struct kt_work *work = worker->work;
	unsigned int kib = work->kib ?: DEFAULT_CHURN_KIB;

	while (!kt_worker_stopping(worker)) {
		char *buffer = kt_buffer_map(worker, kib);

		touch(worker, buffer, (size_t)kib * 1024 / PAGE_LEN,
		      work->touches ?: DEFAULT_TOUCHES);
		kt_buffer_unmap(buffer, kib);
		kt_worker_spin(worker, work->spins ?: DEFAULT_GAP);
		kt_worker_done(worker);
	}
}

/* ---- NUMA nodes ------------------------------------------------------------------------------ */

/* .nodes of the work, or all nodes of the machine. Runs on the host too, for sweep_fault(). */
static int sweep_nodes(const struct kt_work *work, const struct kt_topology *topology,
		       cpu_set_t *ret_nodes)
{
	if (work->nodes)
		return kt_cpuset_parse(work->nodes, kt_topology_nodes(topology), "node", ret_nodes,
				       NULL);
	CPU_ZERO(ret_nodes);
	for (unsigned int node = 0; node < kt_topology_nodes(topology); node++)
		CPU_SET(node, ret_nodes);
	return 0;
}

static const char *sweep_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	cpu_set_t nodes;

	if (sweep_nodes(work, topology, &nodes) < 0)
		return ".nodes is not a list of NUMA nodes of the topology, like \"0,1\"";
	return work->kib && work->kib < PAGE_LEN / 1024 ? ".kib is less than a page" : NULL;
}

/* The raw system call: glibc has no wrapper, and libnuma is not a dependency. 0: this process. */
static int move_pages(unsigned int n, void **pages, const int *nodes, int *status)
{
	return (int)syscall(SYS_move_pages, 0, (unsigned long)n, pages, nodes, status,
			    MPOL_MF_MOVE);
}

static const char *sweep_lacks(const struct kt_work *work)
{
	(void)work;
	return move_pages(0, NULL, NULL, NULL) < 0 && errno == ENOSYS
		       ? "the kernel cannot move pages (CONFIG_NUMA, CONFIG_MIGRATION)"
		       : NULL;
}

/*
 * Moves @n pages to the node @to. Errors are ignored: a page that cannot move stays where it is,
 * for example because the cpuset lacks the node. A second call then looks up where each page really
 * is.
 */
static void move_some(struct kt_worker *worker, char *buffer, unsigned int n, unsigned int to)
{
	void *pages[PAGES_AT_ONCE];
	int nodes[PAGES_AT_ONCE], status[PAGES_AT_ONCE];
	unsigned int known = 0, local = 0, node = 0;

	for (unsigned int i = 0; i < n; i++) {
		pages[i] = buffer + (size_t)i * PAGE_LEN;
		nodes[i] = (int)to;
	}
	(void)move_pages(n, pages, nodes, status);
	if (move_pages(n, pages, NULL, status) < 0 || getcpu(NULL, &node) < 0)
		kt_worker_fail(worker, "looking up where its pages are");
	for (unsigned int i = 0; i < n; i++) {
		known += status[i] >= 0;
		local += status[i] == (int)node;
	}
	kt_worker_pages(worker, known, local);
}

static void move_all(struct kt_worker *worker, char *buffer, size_t n_pages, unsigned int to)
{
	for (size_t at = 0; at < n_pages && !kt_worker_stopping(worker); at += PAGES_AT_ONCE) {
		move_some(worker, buffer + at * PAGE_LEN,
			  (unsigned int)KT_MIN(n_pages - at, PAGES_AT_ONCE), to);
		kt_worker_tick(worker);
	}
}

/* The first move follows the first pass, so that a short test reports pages too. */
static void numa_sweep(struct kt_worker *worker)
{
	const struct kt_work *work = worker->work;
	unsigned int kib = work->kib ?: DEFAULT_SWEEP_KIB, turn = 0;
	uint64_t period_ns = (work->period_ms ?: DEFAULT_PERIOD_MS) * KT_NSEC_PER_MSEC;
	uint64_t next_ns = kt_now_ns();
	char *buffer = kt_buffer_map(worker, kib);
	cpu_set_t nodes;

	(void)sweep_nodes(work, worker->topology, &nodes);
	while (!kt_worker_stopping(worker)) {
		kt_buffer_stride(worker, buffer, kib, DEFAULT_STRIDE);
		if (!kt_left_ns(next_ns)) {
			move_all(worker, buffer, (size_t)kib * 1024 / PAGE_LEN,
				 kt_cpuset_nth(&nodes, turn++));
			next_ns = kt_now_ns() + period_ns;
		}
		kt_worker_done(worker);
	}
	kt_buffer_unmap(buffer, kib);
}

const struct kt_work_ops kt_memory_works[KT_N_WORK_TYPES] = {
	[KT_CACHE_PRESSURE] = { .name = "CachePressure",
				.body = cache_pressure,
				.fault = cache_fault },
	[KT_CACHE_YIELD] = { .name = "CacheYield", .body = cache_yield, .fault = cache_fault },
	[KT_CACHE_PIPE] = { .name = "CachePipe",
			    .body = cache_pipe,
			    .unit_size = two,
			    .shared_len = pipe_shared_len,
			    .prepare = pipe_prepare,
			    .fault = cache_fault },
	[KT_PAGE_FAULT_CHURN] = { .name = "PageFaultChurn",
				  .body = page_fault_churn,
				  .fault = churn_fault },
	[KT_NUMA_SWEEP] = { .name = "NumaSweep",
			    .body = numa_sweep,
			    .fault = sweep_fault,
			    .lacks = sweep_lacks },
};
