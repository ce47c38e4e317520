/* SPDX-License-Identifier: MIT */
/* The threads of vCPUs end within a bound, or are named. These have no KVM behind them. */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/clock.h"
#include "vmm/kvm/vcpu.h"

UNIT_SUITE(kvm_vcpu);

#define RUN_LEN 4096u
#define N_VCPUS 2u
#define STUCK   1u

/* As long as @held is locked, the thread of vCPU STUCK does not return from ended(). */
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static bool is_stuck;

static void access_nothing(void *data, bool is_memory, uint64_t at, uint8_t *bytes,
			   unsigned int len, bool is_write)
{
	(void)data, (void)is_memory, (void)at, (void)bytes, (void)len, (void)is_write;
}

static void hit_nothing(void *data)
{
	(void)data;
}

static void on_ended(void *data, unsigned int vcpu, bool is_triple_fault, const char *why)
{
	(void)data, (void)is_triple_fault, (void)why;
	if (vcpu == STUCK) {
		__atomic_store_n(&is_stuck, true, __ATOMIC_SEQ_CST);
		(void)pthread_mutex_lock(&held);
		(void)pthread_mutex_unlock(&held);
	}
}

static const struct kt_kvm_crew_ops ops = {
	.access = access_nothing,
	.hit = hit_nothing,
	.ended = on_ended,
};

static void on_kick(int signal)
{
	(void)signal;
}

/* KVM_RUN fails on a pipe, and so each vCPU ends when it has to enter the guest. */
static void make_crew(struct kt_kvm_crew *crew, const struct kt_kvm_vm *vm)
{
	*crew = (struct kt_kvm_crew){
		.vm = vm,
		.ops = &ops,
		.n = N_VCPUS,
		.at = calloc(N_VCPUS, sizeof(*crew->at)),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.stands = true,
	};
	(void)signal(SIGRTMIN, on_kick);
	for (unsigned int i = 0; i < N_VCPUS; i++) {
		int ends[2];

		cr_assert(zero(int, pipe(ends)));
		(void)close(ends[1]);
		crew->at[i] = (struct kt_kvm_vcpu){
			.crew = crew,
			.number = i,
			.fd = ends[0],
			.run = mmap(NULL, RUN_LEN, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		};
	}
}

Test(kvm_vcpu, a_thread_that_does_not_end_is_named, .timeout = 60)
{
	const struct kt_kvm_vm vm = { .run_len = RUN_LEN };
	struct kt_err err = KT_ERR_NULL;
	struct kt_kvm_crew crew;

	make_crew(&crew, &vm);
	(void)pthread_mutex_lock(&held);
	cr_assert(zero(int, kt_kvm_crew_start(&crew, &err)), "%s", err.text);
	/* vCPU 0, when it ends, may have the other stand before that has run. */
	while (!__atomic_load_n(&is_stuck, __ATOMIC_SEQ_CST))
		kt_kvm_crew_go(&crew);
	cr_assert(eq(int, kt_kvm_crew_deinit(&crew, kt_now_ns() + KT_NSEC_PER_SEC, &err),
		     -ETIMEDOUT));
	cr_assert(eq(str, err.text, "vCPU 1 of 2 did not end"));
	/* Nothing was taken from under the thread: it goes on, and the crew can end. */
	(void)pthread_mutex_unlock(&held);
	cr_assert(zero(int, kt_kvm_crew_deinit(&crew, KT_NSEC_NEVER, &err)), "%s", err.text);
	cr_assert(eq(ptr, crew.at, NULL));
}

Test(kvm_vcpu, threads_that_stand_end)
{
	const struct kt_kvm_vm vm = { .run_len = RUN_LEN };
	struct kt_kvm_crew crew;

	make_crew(&crew, &vm);
	cr_assert(zero(int, kt_kvm_crew_start(&crew, NULL)));
	cr_assert(zero(int, kt_kvm_crew_deinit(&crew, KT_NSEC_NEVER, NULL)));
}
