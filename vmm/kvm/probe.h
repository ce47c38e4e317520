/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether KVM is usable. A /dev/kvm proves nothing: some hosts emulate guest kernel code in
 * software, a thousand times slower, and no stock Linux boots there.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define KT_KVM_ROUNDS            5u
#define KT_KVM_MORE_INSTRUCTIONS 50000u /* of the long loop than of the short one */

/* How long entering a virtual machine, running a loop in its ring 0, and leaving it took. */
struct kt_kvm_times {
	uint64_t first_ns;                /* the short loop as a warm-up; judges nothing */
	uint64_t short_ns[KT_KVM_ROUNDS]; /* with as few instructions as to be all overhead */
	uint64_t long_ns[KT_KVM_ROUNDS];  /* with KT_KVM_MORE_INSTRUCTIONS more */
};

struct kt_kvm_probe {
	bool usable;      /* it runs guest kernel code at hardware speed */
	bool opened;      /* /dev/kvm is there, and this process may use it */
	double mips;      /* million instructions per second in ring 0; 0: not measured */
	char reason[256]; /* why it is not usable, for people: "no /dev/kvm"; "": it is */
};

/*
 * Sets mips, usable and reason of @probe by the slope from the short loop to the long one, which
 * the costs of entering the guest are no part of. The quickest of each is taken.
 */
void kt_kvm_judge(const struct kt_kvm_times *times, struct kt_kvm_probe *probe);

/*
 * Measures how fast a loop runs in ring 0 of a virtual machine made for this. It takes a few
 * milliseconds on hardware and some 150 ms where KVM is emulated; after 2 s the loop is given up.
 * *@ret_probe says what failed.
 */
void kt_kvm_probe(struct kt_kvm_probe *ret_probe);
