/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/idle.h"

#include <stdatomic.h>
#include <unistd.h>

#include "vmm/qemu/plugin/turns.h"

/*
 * When all vCPUs are halted, the clock goes to the next timer. In QEMU the main loop does this, as
 * soon as anything wakes it and it finds all vCPUs halted. That moment is one of the host:
 *
 *  - A vCPU counts as halted from the middle of its HLT instruction, while the instructions of its
 *    turn are not accounted yet. A main loop that looks right then adds them to the clock twice.
 *  - The thread of the vCPUs offers each of them a turn before it sleeps, also if all are halted.
 *    A main loop that gets in between ends this round, so that another vCPU comes first next.
 *
 * Here the thread of the vCPUs moves the clock itself, where it would sleep. From the HLT until
 * then it keeps the main loop from taking the big lock, which guards all decisions of the main
 * loop. This also saves a switch between two threads each time the guest is idle.
 *
 * The same holds for a vCPU that has hit a watch of the gdbstub. It counts as idle from then on,
 * and the main loop stops the machine a moment later. Until that moment, no other vCPU may execute
 * code, and the clock may not go to the next timer. The thread of the vCPUs therefore waits for the
 * stop as soon as it takes the lock, and gives the vCPU work to do meanwhile, so that it is not
 * idle. Then it keeps the lock from the main loop until it sleeps. The main loop must not come
 * first: between two locks of the thread of the vCPUs it could stop the machine at another point
 * of QEMU's round, and the machine went on another way then. So whenever this thread has taken the
 * lock, the main loop does not get it before a vCPU executes, or waits for the host, or the thread
 * sleeps.
 *
 * Invariant: while @halting is set, no other thread takes the lock. It is cleared by the next block
 * that a vCPU executes, and before the thread sleeps or waits.
 */
#define RETRY_US 20

static struct {
	kt_qemu_lock_fn *lock;
	kt_qemu_wait_fn *wait;
	void *big_lock;
	atomic_bool halting;
} idle;

static void do_nothing(struct kt_qemu_cpu *cpu, uint64_t data)
{
	(void)cpu;
	(void)data;
}

/* Whether a vCPU has hit a watch, and the machine does not stand yet. */
static bool is_stop_due(void)
{
	struct kt_qemu_cpu *cpu = kt_turns_last();

	return cpu && kt_api.runstate_is_running() && kt_api.cpu_is_stopped(cpu);
}

/* With the lock, when the thread of the vCPUs is about to offer the next one a turn. */
static void await_due_stop(void *mutex, const char *file, int line)
{
	if (!is_stop_due())
		return;
	kt_api.async_run_on_cpu(kt_turns_last(), do_nothing, 0);
	atomic_store(&idle.halting, false);
	do {
		kt_api.qemu_mutex_unlock_impl(mutex, file, line);
		(void)usleep(RETRY_US);
		idle.lock(mutex, file, line);
	} while (is_stop_due());
	atomic_store(&idle.halting, true);
}

/*
 * The thread of the vCPUs offers turns while the machine stands, too, and nobody takes one. A vCPU
 * that was told to leave ends the round at once, so that the machine goes on with the vCPU at which
 * it was stopped; otherwise that depended on when QEMU has woken the thread.
 */
static void keep_place(void)
{
	struct kt_qemu_cpu *cpu;

	if (kt_api.runstate_is_running())
		return;
	for (int i = 0; (cpu = kt_api.qemu_get_cpu(i)); i++)
		kt_api.cpu_exit(cpu);
}

static void lock(void *mutex, const char *file, int line)
{
	idle.lock(mutex, file, line);
	idle.big_lock = mutex;
	if (kt_api.qemu_in_vcpu_thread()) {
		atomic_store(&idle.halting, true);
		await_due_stop(mutex, file, line);
		keep_place();
		return;
	}
	while (atomic_load(&idle.halting)) {
		kt_api.qemu_mutex_unlock_impl(mutex, file, line);
		(void)usleep(RETRY_US);
		idle.lock(mutex, file, line);
	}
}

/* A guest that has asked for its end has no time any more, though the main loop does not know. */
static bool has_time(void)
{
	return kt_api.runstate_is_running() && !kt_api.qemu_shutdown_requested_get() &&
	       !kt_api.qemu_reset_requested_get();
}

/* Moves the clock and tells whether a vCPU has something to do now. */
static bool move_clock(void)
{
	if (has_time() && kt_api.all_cpu_threads_idle()) {
		kt_api.icount_start_warp_timer();
		(void)kt_api.qemu_clock_run_timers(KT_QEMU_CLOCK_VIRTUAL);
	}
	return !kt_api.all_cpu_threads_idle();
}

/* A timer that wakes no vCPU is left to the main loop, which would wait for the lock otherwise. */
static void wait(void *condition, void *mutex, const char *file, int line)
{
	if (mutex == idle.big_lock && kt_api.qemu_in_vcpu_thread()) {
		if (is_stop_due()) {
			/* The thread goes on, and waits in lock(). */
			atomic_store(&idle.halting, true);
			kt_api.async_run_on_cpu(kt_turns_last(), do_nothing, 0);
			return;
		}
		if (move_clock())
			return;
		atomic_store(&idle.halting, false);
		kt_api.qemu_notify_event();
	}
	idle.wait(condition, mutex, file, line);
}

void kt_idle_init(void)
{
	idle.lock = *kt_api.bql_mutex_lock_func;
	idle.wait = *kt_api.qemu_cond_wait_func;
	*kt_api.bql_mutex_lock_func = lock;
	*kt_api.qemu_cond_wait_func = wait;
}

/* Before the instruction. Who has the lock now is waited for, and has seen no halted vCPU. */
static void on_halt(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	atomic_store(&idle.halting, true);
	kt_api.bql_lock_impl(__FILE__, __LINE__);
	kt_api.bql_unlock();
}

void kt_idle_on_translate(struct qemu_plugin_insn *insn)
{
	uint8_t opcode;

	if (qemu_plugin_insn_size(insn) == 1 && qemu_plugin_insn_data(insn, &opcode, 1) == 1 &&
	    opcode == 0xf4)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_halt, KT_CB_NO_REGS, NULL);
}

void kt_idle_on_block(void)
{
	if (atomic_load_explicit(&idle.halting, memory_order_relaxed))
		atomic_store(&idle.halting, false);
}
