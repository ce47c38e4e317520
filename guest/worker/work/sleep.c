/* SPDX-License-Identifier: MIT */
/*
 * Work that sleeps on timers.
 *
 * - Bursty, IdleChurn: spin, then sleep; they differ only in the default times.
 * - TimerLatency: sleeps until absolute deadlines.
 * - Sequence: a list of phases from the declaration, over and over.
 *
 * Latency is how late the worker ran after its timer was due, which includes the timer slack (50 us
 * by default for normal policies, prctl(2) PR_SET_TIMERSLACK) unless the work is .precise. Phases
 * that do not sleep record no latencies.
 */
#include "guest/worker/type.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest/worker/work/alu.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BURSTY_BURST_US    50000u
#define BURSTY_SLEEP_US    100000u
#define CHURN_BURST_US     1000u
#define CHURN_SLEEP_US     5000u
#define TIMER_INTERVAL_US  1000u
#define IO_LEN             (64 * 1024) /* bytes of one write */
#define IO_PAUSE_US        100u        /* between two writes */
#define ALU_STEPS_PER_TICK 128u

/* ---- bursts and sleeps ----------------------------------------------------------------------- */

/* Timer slack lets the kernel fire a timer late, together with others. 1 ns is the least. */
static void set_timer_slack(const struct kt_work *work)
{
	if (work->precise)
		(void)prctl(PR_SET_TIMERSLACK, 1ul);
}

static void burst_and_sleep(struct kt_worker *worker, unsigned int burst_us, unsigned int sleep_us)
{
	set_timer_slack(worker->work);
	while (!kt_worker_stopping(worker)) {
		kt_worker_spin_us(worker, burst_us);
		kt_worker_sleep_us(worker, sleep_us);
		kt_worker_done(worker);
	}
}

static void bursty(struct kt_worker *worker)
{
	burst_and_sleep(worker, worker->work->burst_us ?: BURSTY_BURST_US,
			worker->work->sleep_us ?: BURSTY_SLEEP_US);
}

static void idle_churn(struct kt_worker *worker)
{
	burst_and_sleep(worker, worker->work->burst_us ?: CHURN_BURST_US,
			worker->work->sleep_us ?: CHURN_SLEEP_US);
}

/* Deadlines are multiples of the interval, so a late wake-up does not delay the ones after it. */
static void timer_latency(struct kt_worker *worker)
{
	uint64_t interval_ns = (worker->work->interval_us ?: TIMER_INTERVAL_US) * KT_NSEC_PER_USEC;
	uint64_t deadline_ns = kt_now_ns() + interval_ns;

	set_timer_slack(worker->work);
	while (kt_worker_sleep_until(worker, deadline_ns)) {
		uint64_t late_ns = kt_now_ns() - deadline_ns;

		kt_worker_latency(worker, late_ns);
		kt_worker_done(worker);
		/* Skip the deadlines that have passed meanwhile. */
		deadline_ns += (late_ns / interval_ns + 1) * interval_ns;
	}
}

/* ---- a sequence ------------------------------------------------------------------------------ */

static void yield_until(struct kt_worker *worker, uint64_t end_ns)
{
	while (kt_left_ns(end_ns) && !kt_worker_stopping(worker)) {
		(void)sched_yield();
		kt_worker_tick(worker);
	}
}

/* Overwrites the same bytes, so the file does not grow. Each pause records a latency. */
static void write_until(struct kt_worker *worker, int fd, uint64_t end_ns)
{
	static const char data[IO_LEN];

	while (kt_left_ns(end_ns) && !kt_worker_stopping(worker)) {
		(void)!pwrite(fd, data, sizeof(data), 0);
		kt_worker_sleep_us(worker, IO_PAUSE_US);
	}
}

static void multiply_until(struct kt_worker *worker, uint64_t end_ns)
{
	const struct kt_alu *alu = kt_alu_find(KT_ALU_SCALAR, kt_alu_available());
	uint64_t state[KT_ALU_LANES];

	kt_alu_init(state, worker->index);
	while (kt_left_ns(end_ns) && !kt_worker_stopping(worker)) {
		alu->run(state, ALU_STEPS_PER_TICK);
		kt_worker_tick(worker);
	}
}

/* @fd is the file of KT_SEQ_IO. Returns early when the worker is to stop. */
static void run_phase(struct kt_worker *worker, const struct kt_work_phase *phase, int fd)
{
	uint64_t end_ns = kt_now_ns() + phase->us * KT_NSEC_PER_USEC;

	switch (phase->kind) {
	case KT_SEQ_SPIN:
		kt_worker_spin_us(worker, phase->us);
		break;
	case KT_SEQ_SLEEP:
		kt_worker_sleep_us(worker, phase->us);
		break;
	case KT_SEQ_YIELD:
		yield_until(worker, end_ns);
		break;
	case KT_SEQ_IO:
		write_until(worker, fd, end_ns);
		break;
	case KT_SEQ_ALU:
		multiply_until(worker, end_ns);
		break;
	case KT_SEQ_END:
		break;
	}
}

static void sequence(struct kt_worker *worker)
{
	KT_CLOSE int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Without a file the body returns: PID 1 finds a worker that ended by itself. */
	while (fd >= 0 && !kt_worker_stopping(worker)) {
		for (const struct kt_work_phase *phase = worker->work->phases;
		     phase->kind != KT_SEQ_END && !kt_worker_stopping(worker); phase++)
			run_phase(worker, phase, fd);
		kt_worker_done(worker);
	}
}

static const char *sequence_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (!work->phases || work->phases->kind == KT_SEQ_END)
		return "KT_SEQUENCE needs .phases, at least one";
	for (const struct kt_work_phase *phase = work->phases; phase->kind != KT_SEQ_END; phase++) {
		if ((unsigned int)phase->kind > KT_SEQ_ALU)
			return "the kind of a phase does not exist";
		if (!phase->us)
			return "a phase of 0 us";
	}
	return NULL;
}

const struct kt_work_ops kt_sleep_works[KT_N_WORK_TYPES] = {
	[KT_BURSTY] = { .name = "Bursty", .body = bursty },
	[KT_IDLE_CHURN] = { .name = "IdleChurn", .body = idle_churn },
	[KT_TIMER_LATENCY] = { .name = "TimerLatency", .body = timer_latency },
	[KT_SEQUENCE] = { .name = "Sequence", .body = sequence, .fault = sequence_fault },
};
