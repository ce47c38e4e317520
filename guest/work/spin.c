/* SPDX-License-Identifier: MIT */
/* Work that never sleeps. */
#include "guest/worktype.h"

#include <sched.h>

#define DEFAULT_SPINS 1024u

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

const struct kt_work_ops kt_spin_works[KT_N_WORK_TYPES] = {
	[KT_SPIN_WAIT] = { .name = "SpinWait", .body = spin_wait },
	[KT_YIELD_HEAVY] = { .name = "YieldHeavy", .body = yield_heavy },
	[KT_MIXED] = { .name = "Mixed", .body = mixed },
};
