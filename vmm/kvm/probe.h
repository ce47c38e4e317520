/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether KVM is usable. A /dev/kvm proves nothing: some hosts emulate guest kernel code in
 * software, a thousand times slower, and no stock Linux boots there.
 */

#include <stdbool.h>

#include "util/err.h"

struct kt_kvm_probe {
	bool usable;      /* it runs guest kernel code at hardware speed */
	bool present;     /* /dev/kvm exists */
	double mips;      /* million instructions per second in ring 0; 0: not measured */
	char reason[256]; /* why it is not usable, for people: "no /dev/kvm"; "": it is */
};

/*
 * Measures how fast a loop runs in ring 0 of a virtual machine made for this. It takes well under a
 * millisecond on hardware and some 30 ms where KVM is emulated; after 2 s the loop is given up.
 * *@ret_probe says what failed.
 */
void kt_kvm_probe(struct kt_kvm_probe *ret_probe);
