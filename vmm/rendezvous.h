/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The rendezvous of vCPUs: all of them are parked, or all of them run again, within one bound.
 *
 * No function here waits or looks at a machine: its owner tells which vCPU has arrived, and what
 * time it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

#define KT_RENDEZVOUS_NS        (30 * KT_NSEC_PER_SEC) /* for a freeze, and for a thaw */
#define KT_RENDEZVOUS_VCPUS_MAX 512u                   /* those above are counted as one */

enum kt_rendezvous_kind {
	KT_RENDEZVOUS_FREEZE, /* every vCPU leaves guest code */
	KT_RENDEZVOUS_THAW,   /* every vCPU executes guest code again */
	KT_RENDEZVOUS_END,    /* the thread of every vCPU has ended */
};

enum kt_rendezvous_state {
	KT_RENDEZVOUS_WAITING,
	KT_RENDEZVOUS_COMPLETE,
	KT_RENDEZVOUS_LATE, /* the bound has passed, and somebody is missing */
};

struct kt_rendezvous {
	enum kt_rendezvous_kind kind;
	unsigned int n_vcpus;
	uint64_t deadline_ns;
	uint64_t arrived[KT_RENDEZVOUS_VCPUS_MAX / 64]; /* a bit for each vCPU */
};

/* Nobody has arrived yet; the bound counts from @now_ns, and is @deadline_ns at the latest. */
void kt_rendezvous_begin(struct kt_rendezvous *rendezvous, enum kt_rendezvous_kind kind,
			 unsigned int n_vcpus, uint64_t now_ns, uint64_t deadline_ns);

/* @vcpu has arrived. One that does not exist, or that has arrived before, changes nothing. */
void kt_rendezvous_arrive(struct kt_rendezvous *rendezvous, unsigned int vcpu);

/* Complete outranks late: who comes last may come late. */
enum kt_rendezvous_state kt_rendezvous_judge(const struct kt_rendezvous *rendezvous,
					     uint64_t now_ns);

/* Names who is missing: "vCPU 1 and 2 of 4 did not park". Returns @text. */
const char *kt_rendezvous_describe(const struct kt_rendezvous *rendezvous, char *text, size_t room);
