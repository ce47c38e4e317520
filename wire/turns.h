/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How the vCPUs of a machine with virtual time take turns: what the runner asks for (wire/run.h),
 * and what the guest passes on to the machine (wire/hostcall.h).
 */

#include <stdint.h>

/* Where turns end. Every policy follows from the seed alone. */
enum kt_turns_policy {
	KT_TURNS_RANDOM,   /* after a random number of instructions */
	KT_TURNS_PCT,      /* by priorities of vCPUs, which change at a few random instructions */
	KT_TURNS_CONFLICT, /* at random, and where vCPUs access the same memory */
	KT_N_TURNS_POLICIES,
};

#define KT_TURNS_MEAN_MIN  16u         /* instructions */
#define KT_TURNS_MEAN_MAX  1000000000u /* instructions */
#define KT_TURNS_DEPTH_MAX 32u

struct kt_turns {
	uint64_t seed;
	uint64_t length; /* PCT: of the run, in instructions, about; 0: the seed chooses one */
	uint32_t policy; /* enum kt_turns_policy */
	uint32_t mean;   /* length of a turn in instructions, KT_TURNS_MEAN_MIN.._MAX */
	uint32_t depth;  /* PCT: 1 more than the number of changes, 1..KT_TURNS_DEPTH_MAX */
	uint32_t unused;
};

_Static_assert(sizeof(struct kt_turns) == 32, "wire format");

/* What has become of them. */
struct kt_turns_made {
	uint64_t ended;    /* turns that the policy has ended; 0: no policy was in effect */
	uint64_t switches; /* how often another vCPU went on */
	uint64_t insns;    /* instructions that all vCPUs have executed */
};
