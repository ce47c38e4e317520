/* SPDX-License-Identifier: MIT */
#pragma once
/* Is KVM real? Its presence proves nothing: some hosts emulate guest kernel code in software. */

#include <stdbool.h>

#include "util/err.h"

struct kt_kvm_probe {
	bool usable;      /* it runs guest kernel code at hardware speed */
	bool present;     /* /dev/kvm exists */
	double mips;      /* million instructions per second in ring 0; 0 when not measured */
	char reason[256]; /* why it is not usable, for people: "no /dev/kvm" */
};

/*
 * Runs a loop in ring 0 of a throw-away virtual machine and times it, in a child process with a
 * deadline. Takes well under a millisecond on hardware, some 30 ms where KVM is emulated.
 */
void kt_kvm_probe(struct kt_kvm_probe *ret_probe);
