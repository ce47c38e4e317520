/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/stop.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/kvm/msr.h"
#include "vmm/mem.h"

/*
 * The machine stands because its owner pauses it, because a vCPU has hit a watch, or because it has
 * ended. Whoever has it stand first stops its clocks; they go on when it is let go. A machine that
 * has ended is never let go again.
 *
 * A hit may come while the machine is being paused: it is told before the machine goes on.
 */

int kt_kvm_stand(struct kvm *kvm, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = kt_kvm_crew_stand(&kvm->crew, deadline_ns, reterr);

	kvm->is_stuck |= r < 0;
	if (r < 0 || !kvm->runs)
		return r;
	kvm->runs = false;
	(void)pthread_mutex_lock(&kvm->lock);
	for (unsigned int i = 0; i < kvm->n_virtios; i++)
		kt_kvm_virtio_stop(kvm->virtios[i]);
	(void)pthread_mutex_unlock(&kvm->lock);
	return kt_kvm_clock_read(&kvm->crew, &kvm->clock, reterr);
}

static int go(struct kvm *kvm, struct kt_err *reterr)
{
	bool ended;
	int r = 0;

	(void)pthread_mutex_lock(&kvm->lock);
	ended = kvm->has_exit;
	for (unsigned int i = 0; !ended && i < kvm->n_virtios; i++)
		kt_kvm_virtio_go(kvm->virtios[i]);
	(void)pthread_mutex_unlock(&kvm->lock);
	if (!ended)
		r = kt_kvm_clock_set(&kvm->crew, &kvm->clock, reterr);
	if (ended || r < 0)
		return r;
	kvm->runs = true;
	kt_kvm_crew_go(&kvm->crew);
	return 0;
}

/* A machine that cannot be looked at, or cannot go on, has ended. */
static int give_up(struct kvm *kvm, int r, const char *why)
{
	(void)pthread_mutex_lock(&kvm->lock);
	kt_kvm_end(kvm, KT_EXIT_VMM_ERROR, why);
	(void)pthread_mutex_unlock(&kvm->lock);
	return r;
}

/* ---- Hits ---- */

/* What a vCPU would read at an address of the kernel; 0 if it is not mapped. */
static uint64_t read_value(struct kvm *kvm, const struct kt_kvm_vcpu *vcpu,
			   const struct kt_watch *watch)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < watch->len && i < sizeof(value); i++) {
		struct kvm_translation at = { .linear_address = watch->address + i };
		const uint8_t *byte;

		if (ioctl(vcpu->fd, KVM_TRANSLATE, &at) < 0 || !at.valid)
			return 0;
		byte = kt_kvm_ram_at(&kvm->ram, at.physical_address, 1);
		if (byte)
			value |= (uint64_t)*byte << (8 * i);
	}
	return value;
}

/* Tells the owner of one watch that was hit, if its condition holds. */
static void tell(struct kvm *kvm, unsigned int number, const struct kt_kvm_vcpu *vcpu)
{
	struct kt_kvm_watch *at = &kvm->watches.at[number];
	struct kt_machine_stop stop = { .watch = number, .vcpu = vcpu->number };
	uint64_t raw = read_value(kvm, vcpu, &at->watch);

	if (!kt_watch_holds(&at->watch, raw)) {
		at->n_unmet++;
		return;
	}
	stop.n_unmet = at->n_unmet;
	if (at->watch.len <= sizeof(raw))
		stop.value = kt_watch_value(&at->watch, raw);
	kvm->at_watch = true;
	if (kvm->machine.events->stopped)
		kvm->machine.events->stopped(kvm->machine.data, &stop);
	kvm->at_watch = false;
}

/* A handler may remove watches, and add others: only those that were there have been hit. */
static void tell_hits(struct kvm *kvm)
{
	for (unsigned int i = 0; i < kvm->crew.n; i++) {
		struct kt_kvm_vcpu *vcpu = &kvm->crew.at[i];
		uint32_t hits = vcpu->hits, told = 0;

		vcpu->hits = 0;
		for (unsigned int number = 0; number < KT_KVM_DEBUG_REGISTERS; number++) {
			const struct kt_kvm_watch *at = &kvm->watches.at[number];

			if (at->used && at->registers & hits)
				told |= 1u << number;
		}
		for (unsigned int number = 0; number < KT_KVM_DEBUG_REGISTERS; number++) {
			if (told & 1u << number && kvm->watches.at[number].used)
				tell(kvm, number, vcpu);
		}
	}
}

void kt_kvm_look_after(struct kvm *kvm)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (kvm->paused || kvm->has_ended || !kvm->runs ||
	    !__atomic_load_n(&kvm->crew.stands, __ATOMIC_ACQUIRE))
		return;
	r = kt_kvm_stand(kvm, KT_NSEC_NEVER, &err);
	if (r == 0) {
		tell_hits(kvm);
		r = go(kvm, &err);
	}
	if (r < 0)
		(void)give_up(kvm, r, err.text);
}

/* ---- Operations ---- */

int kt_kvm_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	int r;

	if (kvm->at_watch || kvm->paused)
		return 0;
	if (!kvm->has_crew)
		return kt_err_set(reterr, -EINVAL, "the machine has not been started");
	r = kt_kvm_stand(kvm, deadline_ns, reterr);
	if (r < 0)
		return give_up(kvm, r, reterr ? reterr->text : "a vCPU did not park");
	kvm->paused = true;
	return 0;
}

int kt_kvm_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	int r;

	(void)deadline_ns;
	if (kvm->at_watch || !kvm->paused)
		return 0;
	tell_hits(kvm);
	kvm->paused = false;
	r = go(kvm, reterr);
	return r < 0 ? give_up(kvm, r, reterr ? reterr->text : "it cannot go on") : 0;
}

/* Makes the machine stand; *@ret_paused says whether stand_end() lets it go again. */
static int stand_begin(struct kvm *kvm, bool *ret_paused, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	*ret_paused = !kvm->paused && !kvm->at_watch && !kvm->has_ended;
	return *ret_paused ? kt_kvm_pause(&kvm->machine, deadline_ns, reterr) : 0;
}

/* @r: what came of the work. The first error counts. */
static int stand_end(struct kvm *kvm, bool paused, int r, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	int resumed = 0;

	if (paused)
		resumed = kt_kvm_resume(&kvm->machine, deadline_ns, r < 0 ? NULL : reterr);
	return r ?: resumed;
}

static int get_registers(int fd, struct kt_registers *ret, struct kt_err *reterr)
{
	uint64_t kernel_gs_base = 0;
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_REGS, &regs) < 0 || ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return kt_err_set(reterr, -errno, "the registers cannot be read: %m");
	(void)kt_kvm_msr_get(fd, KT_KVM_MSR_KERNEL_GS_BASE, &kernel_gs_base);
	*ret = (struct kt_registers){
		.rax = regs.rax,
		.rbx = regs.rbx,
		.rcx = regs.rcx,
		.rdx = regs.rdx,
		.rsi = regs.rsi,
		.rdi = regs.rdi,
		.rbp = regs.rbp,
		.rsp = regs.rsp,
		.r8 = regs.r8,
		.r9 = regs.r9,
		.r10 = regs.r10,
		.r11 = regs.r11,
		.r12 = regs.r12,
		.r13 = regs.r13,
		.r14 = regs.r14,
		.r15 = regs.r15,
		.rip = regs.rip,
		.rflags = (uint32_t)regs.rflags,
		.cs = sregs.cs.selector,
		.ss = sregs.ss.selector,
		.ds = sregs.ds.selector,
		.es = sregs.es.selector,
		.fs = sregs.fs.selector,
		.gs = sregs.gs.selector,
		.fs_base = sregs.fs.base,
		.gs_base = sregs.gs.base,
		.kernel_gs_base = kernel_gs_base,
		.cr0 = sregs.cr0,
		.cr2 = sregs.cr2,
		.cr3 = sregs.cr3,
		.cr4 = sregs.cr4,
		.efer = sregs.efer,
	};
	return 0;
}

int kt_kvm_registers(struct kt_machine *machine, unsigned int vcpu,
		     struct kt_registers *ret_registers, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	bool paused;
	int r;

	if (!kvm->has_crew || vcpu >= kvm->crew.n)
		return kt_err_set(reterr, -ERANGE, "there is no vCPU %u: the machine has %u", vcpu,
				  kvm->crew.n);
	r = stand_begin(kvm, &paused, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = get_registers(kvm->crew.at[vcpu].fd, ret_registers, reterr);
	return stand_end(kvm, paused, r, deadline_ns, reterr);
}

int kt_kvm_watch(struct kt_machine *machine, const struct kt_watch *watch, unsigned int *ret_number,
		 uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	bool paused;
	int r = stand_begin(kvm, &paused, deadline_ns, reterr);

	if (r < 0)
		return r;
	r = kt_kvm_watches_add(&kvm->watches, &kvm->crew, watch, ret_number, reterr);
	return stand_end(kvm, paused, r, deadline_ns, reterr);
}

int kt_kvm_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	bool paused;
	int r = stand_begin(kvm, &paused, deadline_ns, reterr);

	if (r < 0)
		return r;
	r = kt_kvm_watches_remove(&kvm->watches, &kvm->crew, number, reterr);
	return stand_end(kvm, paused, r, deadline_ns, reterr);
}
