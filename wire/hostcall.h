/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Host calls: requests of a guest that stands still until the host has answered.
 *
 * The guest fills in a struct kt_hostcall and executes one instruction, the bell: a store of
 * KT_HOSTCALL_BELL with the displacement KT_HOSTCALL_DISPLACEMENT into the struct's first member. A
 * machine that serves host calls recognises the instruction. No vCPU runs, and no virtual time
 * passes, until the request is served and @result is set. Everywhere else the bell is a store
 * without consequence: @result keeps its value, by which the guest knows that there is no answer.
 *
 * The guest and the machine agree on this header alone; it is compiled into PID 1 and into the
 * plugin of QEMU.
 */

#include <stdint.h>

/*
 * The encoded bell is "c7 87", the displacement and the value: movl $value, displacement(%rdi). Two
 * arbitrary numbers make sure that no compiler emits it.
 */
#define KT_HOSTCALL_OPCODE       0x87c7u
#define KT_HOSTCALL_DISPLACEMENT 0x5ca11ab1u
#define KT_HOSTCALL_BELL         0x6b746374u
#define KT_HOSTCALL_INSN_LEN     10u /* bytes */

enum kt_hostcall_op {
	/* Does nothing: tells whether host calls are served. */
	KT_HOSTCALL_PING = 1,
	/* Sends the @len bytes at @address to the host, all of them. */
	KT_HOSTCALL_SEND,
	/*
	 * Receives exactly @len bytes from the host into the memory at @address. -EAGAIN: the
	 * machine is to be paused or saved, and nothing was received; the guest asks again.
	 */
	KT_HOSTCALL_RECEIVE,
	/*
	 * As SEND, and then waits until the host has something to be received, which is not taken:
	 * no guest code runs between the two. -EAGAIN: all was sent, but the machine is to be
	 * paused; the guest asks again with a @len of 0.
	 */
	KT_HOSTCALL_ASK,
	/*
	 * From now on vCPUs take turns as the struct kt_turns of @len bytes at @address says.
	 * -ENOTSUP for KT_TURNS_CONFLICT if the machine does not watch accesses to memory.
	 */
	KT_HOSTCALL_SEED,
	/*
	 * The host is told when @value[0] ns of virtual time from now have passed, 0: never, and
	 * from then on the guest does not get on.
	 */
	KT_HOSTCALL_LIMIT,
	/* Returns in @value the struct kt_turns_made since KT_HOSTCALL_SEED. */
	KT_HOSTCALL_TURNS,
	/*
	 * Tells in @value[0] whether the host has sent something that waits to be received. If not,
	 * the host is waited for, but no longer than @value[0] ms of its time, at most
	 * KT_HOSTCALL_POLL_MS_MAX. For shells, whose users have the host's time.
	 */
	KT_HOSTCALL_POLL,
};

/* A request. The memory that it names must be present: -EFAULT otherwise. */
struct kt_hostcall {
	uint32_t bell;     /* overwritten by the bell */
	int32_t result;    /* 0 or a negative errno */
	uint32_t op;       /* enum kt_hostcall_op */
	uint32_t len;      /* bytes, at most KT_HOSTCALL_LEN_MAX */
	uint64_t address;  /* virtual, in the address space of the caller */
	uint64_t value[3]; /* in both directions */
};

_Static_assert(sizeof(struct kt_hostcall) == 48, "both sides have the same layout");

#define KT_HOSTCALL_LEN_MAX     65536u
#define KT_HOSTCALL_POLL_MS_MAX 100u
