/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/kvm/confine.h"

/*
 * A thread leaves KVM_RUN for two reasons: an exit that it handles, and a kick. A kick sets
 * immediate_exit, which KVM reads at each entry, and sends a signal, which ends a KVM_RUN that has
 * begun (Documentation/virt/kvm/api.rst, "immediate_exit"). So a kick is never missed: a thread
 * that is between its look at crew->stands and KVM_RUN leaves that at once.
 *
 * KVM completes an access to a device at the next entry. A thread that has to stand therefore
 * enters once more with immediate_exit set, which executes nothing else.
 */

#define KICK_SIGNAL SIGRTMIN

static void on_kick(int signal)
{
	(void)signal;
}

/* KVM ends a run for any signal that is handled; the handler has nothing to do. */
static void install_kick(void)
{
	struct sigaction action = { .sa_handler = on_kick };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(KICK_SIGNAL, &action, NULL);
}

static int make_vcpu(struct kt_kvm_vcpu *vcpu, const struct kt_kvm_vm *vm, struct kt_err *reterr)
{
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->apic_id);
	if (vcpu->fd < 0)
		return kt_err_set(reterr, -errno, "KVM_CREATE_VCPU %u: %m", vcpu->number);
	vcpu->run = mmap(NULL, vm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return kt_err_set(reterr, -errno, "vCPU %u: cannot map struct kvm_run: %m",
				  vcpu->number);
	}
	return 0;
}

int kt_kvm_crew_init(struct kt_kvm_crew *crew, const struct kt_kvm_vm *vm, const uint32_t *apic_ids,
		     unsigned int n, const struct kt_kvm_crew_ops *ops, void *data,
		     struct kt_err *reterr)
{
	int r = 0;

	*crew = (struct kt_kvm_crew){
		.vm = vm,
		.ops = ops,
		.data = data,
		.at = calloc(n, sizeof(*crew->at)),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.stands = true,
	};
	if (!crew->at)
		return kt_err_oom(reterr);
	(void)pthread_cond_init(&crew->changed, NULL);
	install_kick();
	for (; r == 0 && crew->n < n; crew->n++) {
		struct kt_kvm_vcpu *vcpu = &crew->at[crew->n];

		vcpu->crew = crew;
		vcpu->number = crew->n;
		vcpu->apic_id = apic_ids[crew->n];
		r = make_vcpu(vcpu, vm, reterr);
	}
	return r;
}

/* ---- The thread of a vCPU ---- */

static void access_ports(struct kt_kvm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint8_t *bytes = (uint8_t *)vcpu->run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, bytes += run->io.size)
		vcpu->crew->ops->access(vcpu->crew->data, false, run->io.port, bytes, run->io.size,
					run->io.direction == KVM_EXIT_IO_OUT);
}

static void access_memory(struct kt_kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.len >= 1 && run->mmio.len <= sizeof(run->mmio.data))
		vcpu->crew->ops->access(vcpu->crew->data, true, run->mmio.phys_addr, run->mmio.data,
					run->mmio.len, run->mmio.is_write);
}

static void end(struct kt_kvm_vcpu *vcpu, bool is_triple_fault, const char *why)
{
	kt_kvm_crew_kick(vcpu->crew);
	vcpu->crew->ops->ended(vcpu->crew->data, vcpu->number, is_triple_fault, why);
}

static void end_strangely(struct kt_kvm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	char why[160];

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		(void)snprintf(why, sizeof(why),
			       "KVM cannot enter the guest: hardware reason %#" PRIx64,
			       (uint64_t)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		(void)snprintf(why, sizeof(why), "KVM cannot go on: internal error %u%s",
			       run->internal.suberror,
			       run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
				       ? " (an instruction that KVM cannot emulate)"
				       : "");
		break;
	default:
		(void)snprintf(why, sizeof(why), "KVM left the guest for the unknown reason %u",
			       run->exit_reason);
	}
	end(vcpu, false, why);
}

static void handle_exit(struct kt_kvm_vcpu *vcpu)
{
	struct kt_kvm_crew *crew = vcpu->crew;

	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		access_ports(vcpu);
		vcpu->accesses = true;
		break;
	case KVM_EXIT_MMIO:
		access_memory(vcpu);
		vcpu->accesses = true;
		break;
	case KVM_EXIT_DEBUG:
		vcpu->hits |= vcpu->run->debug.arch.dr6 & 0xf;
		/* The owner looks whether the crew has to stand when it hears of the hit. */
		kt_kvm_crew_kick(crew);
		crew->ops->hit(crew->data);
		break;
	case KVM_EXIT_SHUTDOWN:
		end(vcpu, true, "triple fault");
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_HLT:
		break;
	default:
		end_strangely(vcpu);
	}
}

static void count_exit(struct kt_kvm_vcpu *vcpu, enum kt_kvm_exit why)
{
	__atomic_store_n(&vcpu->exits[why], vcpu->exits[why] + 1, __ATOMIC_RELAXED);
}

/* Enters the guest once. */
static void run_once(struct kt_kvm_vcpu *vcpu)
{
	char why[160];
	int r, error;

	vcpu->accesses = false;
	r = ioctl(vcpu->fd, KVM_RUN, 0);
	error = errno;
	count_exit(vcpu, kt_kvm_exit_of(r, error, vcpu->run));
	if (r == 0) {
		handle_exit(vcpu);
		return;
	}
	if (error == EINTR || error == EAGAIN)
		return;
	(void)snprintf(why, sizeof(why), "KVM_RUN: %s", strerror(error));
	end(vcpu, false, why);
}

/* Returns false when the thread has to end. */
static bool stand(struct kt_kvm_vcpu *vcpu)
{
	struct kt_kvm_crew *crew = vcpu->crew;
	bool quits;

	(void)pthread_mutex_lock(&crew->lock);
	if (crew->stands) {
		vcpu->parked = true;
		(void)pthread_cond_broadcast(&crew->changed);
	}
	while (crew->stands && !crew->quits)
		(void)pthread_cond_wait(&crew->changed, &crew->lock);
	vcpu->parked = false;
	vcpu->run->immediate_exit = 0;
	quits = crew->quits;
	(void)pthread_mutex_unlock(&crew->lock);
	return !quits;
}

static bool has_to_stand(struct kt_kvm_crew *crew)
{
	return __atomic_load_n(&crew->stands, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&crew->quits, __ATOMIC_ACQUIRE);
}

/* The last that a thread does. It counts as one that stands: nobody waits for it. */
static void leave(struct kt_kvm_vcpu *vcpu)
{
	(void)pthread_mutex_lock(&vcpu->crew->lock);
	vcpu->parked = vcpu->gone = true;
	(void)pthread_cond_broadcast(&vcpu->crew->changed);
	(void)pthread_mutex_unlock(&vcpu->crew->lock);
}

/* A kick and the thread itself may both do it; KVM reads it once, at the entry. */
static void leave_at_once(struct kt_kvm_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
}

static void run_guest(struct kt_kvm_vcpu *vcpu)
{
	while (stand(vcpu)) {
		while (!has_to_stand(vcpu->crew))
			run_once(vcpu);
		while (vcpu->accesses) {
			leave_at_once(vcpu);
			run_once(vcpu);
		}
	}
}

/* Not one instruction of the guest is executed by a thread that could not be confined. */
static void *run_vcpu(void *data)
{
	struct kt_kvm_vcpu *vcpu = data;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kvm_confine(&err) < 0)
		end(vcpu, false, err.text);
	else
		run_guest(vcpu);
	leave(vcpu);
	return NULL;
}

/* ---- The crew ---- */

/* Signals are for the session's thread, except for the kick. */
int kt_kvm_crew_start(struct kt_kvm_crew *crew, struct kt_err *reterr)
{
	sigset_t all, old;
	int r = 0;

	(void)sigfillset(&all);
	(void)sigdelset(&all, KICK_SIGNAL);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned int i = 0; r == 0 && i < crew->n; i++) {
		struct kt_kvm_vcpu *vcpu = &crew->at[i];
		char name[16];

		r = pthread_create(&vcpu->thread, NULL, run_vcpu, vcpu);
		vcpu->has_thread = r == 0;
		(void)snprintf(name, sizeof(name), "vcpu %u", i);
		if (r == 0)
			(void)pthread_setname_np(vcpu->thread, name);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r ? kt_err_set(reterr, -r, "cannot start the thread of a vCPU: %m") : 0;
}

static void kick_locked(struct kt_kvm_crew *crew)
{
	for (unsigned int i = 0; i < crew->n; i++) {
		struct kt_kvm_vcpu *vcpu = &crew->at[i];

		if (!vcpu->has_thread || vcpu->parked)
			continue;
		leave_at_once(vcpu);
		(void)pthread_kill(vcpu->thread, KICK_SIGNAL);
	}
}

void kt_kvm_crew_kick(struct kt_kvm_crew *crew)
{
	(void)pthread_mutex_lock(&crew->lock);
	__atomic_store_n(&crew->stands, true, __ATOMIC_RELEASE);
	kick_locked(crew);
	(void)pthread_mutex_unlock(&crew->lock);
}

static void wait_for_change(struct kt_kvm_crew *crew, uint64_t deadline_ns)
{
	uint64_t until_ns = deadline_ns + kt_clock_skipped_ns;
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / KT_NSEC_PER_SEC),
		.tv_nsec = (long)(until_ns % KT_NSEC_PER_SEC),
	};

	(void)pthread_cond_clockwait(&crew->changed, &crew->lock, CLOCK_MONOTONIC, &until);
}

static bool has_arrived(const struct kt_kvm_vcpu *vcpu, enum kt_rendezvous_kind kind)
{
	return !vcpu->has_thread || (kind == KT_RENDEZVOUS_END ? vcpu->gone : vcpu->parked);
}

/* Waits for all vCPUs, until the bound of a rendezvous or @deadline_ns. */
static int meet(struct kt_kvm_crew *crew, enum kt_rendezvous_kind kind, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	enum kt_rendezvous_state state;
	struct kt_rendezvous rendezvous;
	char text[160];

	kt_rendezvous_begin(&rendezvous, kind, crew->n, kt_now_ns(), deadline_ns);
	(void)pthread_mutex_lock(&crew->lock);
	for (;;) {
		for (unsigned int i = 0; i < crew->n; i++) {
			if (has_arrived(&crew->at[i], kind))
				kt_rendezvous_arrive(&rendezvous, i);
		}
		state = kt_rendezvous_judge(&rendezvous, kt_now_ns());
		if (state != KT_RENDEZVOUS_WAITING)
			break;
		wait_for_change(crew, rendezvous.deadline_ns);
	}
	(void)pthread_mutex_unlock(&crew->lock);
	if (state == KT_RENDEZVOUS_COMPLETE)
		return 0;
	return kt_err_set(reterr, -ETIMEDOUT, "%s",
			  kt_rendezvous_describe(&rendezvous, text, sizeof(text)));
}

int kt_kvm_crew_stand(struct kt_kvm_crew *crew, uint64_t deadline_ns, struct kt_err *reterr)
{
	kt_kvm_crew_kick(crew);
	return meet(crew, KT_RENDEZVOUS_FREEZE, deadline_ns, reterr);
}

void kt_kvm_crew_go(struct kt_kvm_crew *crew)
{
	(void)pthread_mutex_lock(&crew->lock);
	__atomic_store_n(&crew->stands, false, __ATOMIC_RELEASE);
	(void)pthread_cond_broadcast(&crew->changed);
	(void)pthread_mutex_unlock(&crew->lock);
}

void kt_kvm_crew_exits(const struct kt_kvm_crew *crew, uint64_t ret_exits[KT_KVM_N_EXITS])
{
	for (int why = 0; why < KT_KVM_N_EXITS; why++) {
		ret_exits[why] = 0;
		for (unsigned int i = 0; i < crew->n; i++)
			ret_exits[why] +=
				__atomic_load_n(&crew->at[i].exits[why], __ATOMIC_RELAXED);
	}
}

static void quit(struct kt_kvm_crew *crew)
{
	(void)pthread_mutex_lock(&crew->lock);
	__atomic_store_n(&crew->quits, true, __ATOMIC_RELEASE);
	kick_locked(crew);
	(void)pthread_cond_broadcast(&crew->changed);
	(void)pthread_mutex_unlock(&crew->lock);
}

static void release(struct kt_kvm_vcpu *vcpu, size_t run_len)
{
	if (vcpu->has_thread)
		(void)pthread_join(vcpu->thread, NULL);
	if (vcpu->run)
		(void)munmap(vcpu->run, run_len);
	(void)kt_close(vcpu->fd);
}

int kt_kvm_crew_deinit(struct kt_kvm_crew *crew, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r;

	if (!crew->at)
		return 0;
	quit(crew);
	r = meet(crew, KT_RENDEZVOUS_END, deadline_ns, reterr);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < crew->n; i++)
		release(&crew->at[i], crew->vm->run_len);
	(void)pthread_cond_destroy(&crew->changed);
	free(kt_steal(crew->at));
	crew->n = 0;
	return 0;
}
