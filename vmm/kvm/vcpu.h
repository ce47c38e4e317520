/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The vCPUs of a KVM guest: a thread each, which executes guest code until the crew has to stand.
 *
 * A crew begins standing. Its owner lets it go and has it stand again, from one thread.
 */

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/figures.h"
#include "vmm/kvm/vm.h"
#include "vmm/rendezvous.h"

struct kt_kvm_crew;

struct kt_kvm_vcpu {
	struct kt_kvm_crew *crew;
	unsigned int number; /* from 0 */
	uint32_t apic_id;    /* KVM's number */
	int fd;
	struct kvm_run *run; /* mapped */
	pthread_t thread;
	bool has_thread;
	bool parked;   /* under the crew's lock */
	bool gone;     /* likewise: its thread uses nothing of ours any more */
	bool accesses; /* KVM has not completed the last access: only its own thread looks */
	uint32_t hits; /* debug registers that were hit: set by the thread, taken at a stand */
	uint64_t exits[KT_KVM_N_EXITS]; /* so far; written by its thread only */
};

/* Called in the thread of a vCPU. */
struct kt_kvm_crew_ops {
	void (*access)(void *data, bool is_memory, uint64_t at, uint8_t *bytes, unsigned int len,
		       bool is_write);
	/* The vCPU has hit a debug register: the crew has to stand. */
	void (*hit)(void *data);
	/* It can execute no more, and the crew has to stand. @why is for people. */
	void (*ended)(void *data, unsigned int vcpu, bool is_triple_fault, const char *why);
};

struct kt_kvm_crew {
	const struct kt_kvm_vm *vm;
	const struct kt_kvm_crew_ops *ops;
	void *data;
	unsigned int n;
	struct kt_kvm_vcpu *at; /* owned */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stands, quits;
};

/*
 * Makes @n vCPUs whose numbers in KVM are @apic_ids. @vm, @ops and @data are borrowed. Either way
 * the caller ends the crew with _deinit().
 */
int kt_kvm_crew_init(struct kt_kvm_crew *crew, const struct kt_kvm_vm *vm, const uint32_t *apic_ids,
		     unsigned int n, const struct kt_kvm_crew_ops *ops, void *data,
		     struct kt_err *reterr);

/*
 * Waits until the threads have ended. -ETIMEDOUT after the bound of a rendezvous, or at
 * @deadline_ns: the text names the vCPUs whose threads have not. The crew is as it was then, and
 * may be ended again; until it is, all that it has borrowed must stay.
 */
int kt_kvm_crew_deinit(struct kt_kvm_crew *crew, uint64_t deadline_ns, struct kt_err *reterr);

/* Starts the threads, which stand. Once, after the vCPUs have their state. */
int kt_kvm_crew_start(struct kt_kvm_crew *crew, struct kt_err *reterr);

/* Has the vCPUs leave guest code, and returns at once; from any thread. */
void kt_kvm_crew_kick(struct kt_kvm_crew *crew);

/*
 * kt_kvm_crew_kick(), then waits until all stand: accesses are complete then, and the state of each
 * vCPU can be read and written. -ETIMEDOUT after the bound of a rendezvous, or at @deadline_ns: the
 * text names those that do not stand.
 */
int kt_kvm_crew_stand(struct kt_kvm_crew *crew, uint64_t deadline_ns, struct kt_err *reterr);

/* Adds up why the vCPUs have left KVM_RUN so far; from any thread. */
void kt_kvm_crew_exits(const struct kt_kvm_crew *crew, uint64_t ret_exits[KT_KVM_N_EXITS]);

/* Lets a crew that stands go. */
void kt_kvm_crew_go(struct kt_kvm_crew *crew);
