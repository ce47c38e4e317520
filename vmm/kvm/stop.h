/* SPDX-License-Identifier: MIT */
#pragma once
/* How a machine of KVM stands and goes on, and what is done while it stands. */

#include "vmm/kvm/state.h"

/* Has the vCPUs stand; its clocks and devices stand with them. 0 or as kt_machine_pause(). */
int kt_kvm_stand(struct kvm *kvm, uint64_t deadline_ns, struct kt_err *reterr);

/* The vCPUs may have hit watches: tells the owner, and lets the machine go on. */
void kt_kvm_look_after(struct kvm *kvm);

/* The machine ends; the first reason counts. With the device lock held. */
void kt_kvm_end(struct kvm *kvm, enum kt_exit_reason reason, const char *detail);

/* The operations of struct kt_machine_ops. */
int kt_kvm_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
int kt_kvm_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
int kt_kvm_registers(struct kt_machine *machine, unsigned int vcpu,
		     struct kt_registers *ret_registers, uint64_t deadline_ns,
		     struct kt_err *reterr);
int kt_kvm_watch(struct kt_machine *machine, const struct kt_watch *watch, unsigned int *ret_number,
		 uint64_t deadline_ns, struct kt_err *reterr);
int kt_kvm_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		   struct kt_err *reterr);
