/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The watches of a KVM guest, in the four debug registers of its vCPUs. KVM hides the guest's own
 * while one is set.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/watch.h"

#define KT_KVM_DEBUG_REGISTERS 4u

struct kt_kvm_debug_register {
	uint64_t address;
	uint32_t len; /* 1, 2, 4 or 8; 0: the register is free */
	enum kt_watch_kind kind;
};

struct kt_kvm_watch {
	bool used;
	struct kt_watch watch;
	uint32_t registers; /* a bit for each that sees a part of it */
	uint64_t n_unmet;   /* hits whose condition did not hold */
};

struct kt_kvm_watches {
	struct kt_kvm_debug_register registers[KT_KVM_DEBUG_REGISTERS];
	struct kt_kvm_watch at[KT_KVM_DEBUG_REGISTERS]; /* by number */
};

/*
 * Adds a watch and arms all vCPUs, which stand. Errors are those of kt_machine_watch(). -ENOSPC:
 * its bytes need more registers than are free; one sees 1, 2, 4 or 8 bytes at a multiple of that.
 */
int kt_kvm_watches_add(struct kt_kvm_watches *watches, const struct kt_kvm_crew *crew,
		       const struct kt_watch *watch, unsigned int *ret_number,
		       struct kt_err *reterr);
int kt_kvm_watches_remove(struct kt_kvm_watches *watches, const struct kt_kvm_crew *crew,
			  unsigned int number, struct kt_err *reterr);
