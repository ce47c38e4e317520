/* SPDX-License-Identifier: MIT */
/*
 * Work that never sleeps: its workers are always on a CPU or on a runqueue.
 *
 * - SpinWait, YieldHeavy, Mixed: PAUSE, sched_yield(2), or both in turn.
 * - AluHot: dense arithmetic. IpcVariance: dense arithmetic, then cache misses, in turn.
 * - SmtSiblingSpin: pairs of workers that spin on the two threads of one core.
 *
 * None of them records latencies: iterations and gaps tell how much CPU a worker got. The bodies
 * never block, so the scheduler or the host causes all the time off the CPU. A SCHED_FIFO worker of
 * these types keeps everything else off its CPU, but for what RT throttling or the fair server
 * gives to others.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <sched.h>

#include "guest/cgroup/cpuset.h"
#include "guest/worker/work/alu.h"
#include "guest/worker/work/buffer.h"
#include "util/cleanup.h"

#define DEFAULT_SPINS   1024u   /* PAUSE instructions */
#define DEFAULT_ALU     32768u  /* multiply-adds */
#define DEFAULT_HOT     100000u /* multiply-adds of one round of IpcVariance */
#define DEFAULT_COLD    1024u   /* cache misses of one round */
#define DEFAULT_ROUNDS  64u     /* rounds of one iteration */
#define DEFAULT_KIB     16384u  /* larger than a level 2 cache */
#define LINE            64u     /* bytes of a cache line */
#define STEPS_PER_TICK  64u
#define MISSES_PER_TICK 1024u

/* ---- spinning and yielding ------------------------------------------------------------------- */

static void spin_wait(struct kt_worker *worker)
{
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;

	while (!kt_worker_stopping(worker)) {
		kt_worker_spin(worker, spins);
		kt_worker_done(worker);
	}
}

static void yield_heavy(struct kt_worker *worker)
{
	while (!kt_worker_stopping(worker)) {
		(void)sched_yield();
		kt_worker_done(worker);
	}
}

static void mixed(struct kt_worker *worker)
{
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;

	while (!kt_worker_stopping(worker)) {
		kt_worker_spin(worker, spins);
		(void)sched_yield();
		kt_worker_done(worker);
	}
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* Executes @ops multiply-adds, rounded up to whole steps of all lanes. */
static void compute(struct kt_worker *worker, const struct kt_alu *alu,
		    uint64_t state[KT_ALU_LANES], unsigned int ops)
{
	unsigned int steps = ops / KT_ALU_LANES + (ops % KT_ALU_LANES > 0);

	while (steps && !kt_worker_stopping(worker)) {
		unsigned int now = KT_MIN(steps, STEPS_PER_TICK);

		alu->run(state, now);
		kt_worker_tick(worker);
		steps -= now;
	}
}

static void alu_hot(struct kt_worker *worker)
{
	const struct kt_alu *alu = kt_alu_find(worker->work->alu, kt_alu_available());
	unsigned int ops = worker->work->ops ?: DEFAULT_ALU;
	uint64_t state[KT_ALU_LANES];

	kt_alu_init(state, kt_worker_random(worker));
	while (!kt_worker_stopping(worker)) {
		compute(worker, alu, state, ops);
		kt_worker_done(worker);
	}
}

static const char *alu_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	return work->alu > KT_ALU_512 ? ".alu is not one of enum kt_alu_width" : NULL;
}

/* The CPU is the guest's: what QEMU gives it decides, not the host's CPU. */
static const char *alu_lacks(const struct kt_work *work)
{
	return kt_alu_lacks(work->alu);
}

/*
 * The address of each read depends on the byte that the read before it returned, so the CPU can
 * neither prefetch nor overlap them. The constants are those of a linear congruential generator
 * (Knuth, MMIX).
 */
static void miss(struct kt_worker *worker, const char *buffer, unsigned int kib, unsigned int n)
{
	const volatile char *bytes = buffer;
	uint64_t lines = kib * (UINT64_C(1024) / LINE), at = kt_worker_random(worker);

	for (unsigned int i = 1; i <= n; i++) {
		at = at * UINT64_C(6364136223846793005) + 1 +
		     (unsigned char)bytes[(at >> 32) % lines * LINE];
		if (i % MISSES_PER_TICK)
			continue;
		if (kt_worker_stopping(worker))
			return;
		kt_worker_tick(worker);
	}
}

static void ipc_variance(struct kt_worker *worker)
{
	const struct kt_work *work = worker->work;
	const struct kt_alu *alu = kt_alu_find(KT_ALU_SCALAR, kt_alu_available());
	unsigned int rounds = work->batch ?: DEFAULT_ROUNDS, kib = work->kib ?: DEFAULT_KIB;
	uint64_t state[KT_ALU_LANES];
	char *buffer = kt_buffer_map(worker, kib);

	/* Write first: reads of pages that were never written all hit the one zero page. */
	kt_buffer_stride(worker, buffer, kib, LINE);
	kt_alu_init(state, kt_worker_random(worker));
	while (!kt_worker_stopping(worker)) {
		for (unsigned int i = 0; i < rounds && !kt_worker_stopping(worker); i++) {
			compute(worker, alu, state, work->ops ?: DEFAULT_HOT);
			miss(worker, buffer, kib, work->touches ?: DEFAULT_COLD);
		}
		kt_worker_done(worker);
	}
	kt_buffer_unmap(buffer, kib);
}

/* ---- both threads of a core ------------------------------------------------------------------ */

static unsigned int two(const struct kt_work *work)
{
	(void)work;
	return 2;
}

/*
 * Finds the @n-th core (from 0, modulo their number) whose threads are all in @cpus. False when
 * there is no such core; *@ret_core is undefined then.
 */
static bool find_core(const struct kt_topology *topology, const cpu_set_t *cpus, unsigned int n,
		      cpu_set_t *ret_core)
{
	unsigned int n_cores = kt_topology_cores(topology), n_whole = 0;
	cpu_set_t core, shared, whole;

	CPU_ZERO(&whole);
	for (unsigned int i = 0; i < n_cores; i++) {
		kt_cpuset_core(topology, i, &core);
		CPU_AND(&shared, &core, cpus);
		if (!CPU_EQUAL(&shared, &core))
			continue;
		CPU_SET(i, &whole);
		n_whole++;
	}
	if (n_whole)
		kt_cpuset_core(topology, kt_cpuset_nth(&whole, n), ret_core);
	return n_whole > 0;
}

/* Narrows the affinity that set-up gave: unit i spins on the i-th whole core of that affinity. */
static void smt_sibling_spin(struct kt_worker *worker)
{
	cpu_set_t allowed, core, cpu;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		kt_worker_fail(worker, "sched_getaffinity");
	errno = ENODEV;
	if (!find_core(worker->topology, &allowed, worker->index / worker->unit_size, &core))
		kt_worker_fail(worker, "there is no core all of whose threads it may use");
	CPU_ZERO(&cpu);
	CPU_SET(kt_cpuset_nth(&core, worker->part), &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu) < 0)
		kt_worker_fail(worker, "sched_setaffinity");
	spin_wait(worker);
}

static const char *smt_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)work;
	return topology->threads < 2 ? "SMT siblings need a topology with .threads = 2" : NULL;
}

const struct kt_work_ops kt_spin_works[KT_N_WORK_TYPES] = {
	[KT_SPIN_WAIT] = { .name = "SpinWait", .body = spin_wait },
	[KT_YIELD_HEAVY] = { .name = "YieldHeavy", .body = yield_heavy },
	[KT_MIXED] = { .name = "Mixed", .body = mixed },
	[KT_ALU_HOT] = { .name = "AluHot",
			 .body = alu_hot,
			 .fault = alu_fault,
			 .lacks = alu_lacks },
	[KT_IPC_VARIANCE] = { .name = "IpcVariance", .body = ipc_variance },
	[KT_SMT_SIBLING_SPIN] = { .name = "SmtSiblingSpin",
				  .body = smt_sibling_spin,
				  .unit_size = two,
				  .fault = smt_fault },
};
