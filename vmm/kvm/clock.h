/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The clocks of a KVM guest, which stand while the machine does: kvm-clock, and the time stamp
 * counter, which is the same on all vCPUs.
 */

#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/vcpu.h"

struct kt_kvm_clock {
	uint64_t kvm_ns; /* what kvm-clock shows */
	uint64_t tsc;    /* the guest's counter */
};

/* Reads the clocks of a crew that has just come to a stand. */
int kt_kvm_clock_read(const struct kt_kvm_crew *crew, struct kt_kvm_clock *ret_clock,
		      struct kt_err *reterr);

/*
 * Sets the clocks of a crew that stands, which count on from @clock: the guest does not see how
 * long it stood. Timers of the local APICs that wait for a value of the counter are set again.
 */
int kt_kvm_clock_set(const struct kt_kvm_crew *crew, const struct kt_kvm_clock *clock,
		     struct kt_err *reterr);
