/* SPDX-License-Identifier: MIT */
#pragma once
/* How a machine of KVM is saved, and takes over a state that was saved. */

#include "vmm/kvm/state.h"

/* The operations of struct kt_machine_ops. */
int kt_kvm_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		struct kt_err *reterr);
int kt_kvm_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			struct kt_err *reterr);

/* Takes over the state in @state_fd: the machine has its RAM and devices, and stands. */
int kt_kvm_image_load(struct kvm *kvm, int state_fd, struct kt_err *reterr);
