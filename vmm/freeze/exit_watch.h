/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Decisions about the watches on the exit_kind of schedulers. Nothing here watches: the functions
 * say what is to be done, and what a hit means.
 *
 * A tick compares the schedulers that are watched with those that the kernel has. A scheduler that
 * is gone is disarmed; a new one is published. Both never happen in one tick: while a vCPU may
 * still have the old address armed, a hit there must not be judged by what is known of the new
 * scheduler. So A is disarmed in one tick, and B that replaces it is published in a later one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a tick does about one scheduler, or about all of them. */
enum kt_exit_tick {
	KT_EXIT_HOLD,    /* nothing has changed */
	KT_EXIT_PUBLISH, /* a scheduler is new */
	KT_EXIT_DISARM,  /* a scheduler is gone */
	KT_EXIT_REBIND,  /* one is gone and another is new: disarm now, publish in the next tick */
};

/* By the address of the scheduler at the last tick and of the one that is seen now; 0: none. */
enum kt_exit_tick kt_exit_tick_decide(uint64_t last, uint64_t seen);

/*
 * The same for sets, without duplicates and without order. The addresses that are to be disarmed
 * are those of @last whose @ret_gone is set; that are to be published, those of @seen whose
 * @ret_new is set: none of them in a tick that disarms.
 */
enum kt_exit_tick kt_exit_tick_decide_all(const uint64_t *last, size_t n_last, bool *ret_gone,
					  const uint64_t *seen, size_t n_seen, bool *ret_new);

/*
 * A watch on a scheduler has two parts: the address that the machine has armed, and the scheduler
 * by which a hit there is judged. They are changed one after the other, in the order that leaves no
 * armed address without its scheduler: an address is published last, and cleared first.
 */
enum kt_exit_store {
	KT_EXIT_SET_SCHED,     /* a hit is judged by this scheduler from now on */
	KT_EXIT_SET_ADDRESS,   /* the machine arms the address of its exit_kind */
	KT_EXIT_CLEAR_ADDRESS, /* the machine disarms it */
	KT_EXIT_CLEAR_SCHED,   /* a hit is nobody's from now on */
};

/* The stores by which a scheduler is published, or disarmed; returns how many, at most 2. */
size_t kt_exit_plan(enum kt_exit_tick tick, enum kt_exit_store ret_stores[2]);

/* Values of the kernel's enum scx_exit_kind, which its types tell. */
struct kt_exit_kinds {
	uint32_t done;  /* the kernel has begun to disable the scheduler */
	uint32_t error; /* the first of the errors */
};

/* What is known of a scheduler that is watched. */
struct kt_exit_track {
	uint64_t sched; /* its address */
	uint32_t kind;  /* of its error; 0: none yet */
	bool told;      /* the message of the error is complete */
};

enum kt_exit_hit {
	KT_EXIT_NOTHING, /* not an error, or one that is known already */
	KT_EXIT_CLAIMED, /* an error was claimed: the state of the scheduler is untouched */
	KT_EXIT_LEAVES,  /* an end that is no error was claimed, as by a detach */
	KT_EXIT_TOLD,    /* its message is complete, and no task was moved yet */
	KT_EXIT_STALE,   /* the scheduler is gone: the memory is another's */
};

/*
 * What a hit means at which @value was written. @lives: the kernel still has the scheduler. The
 * kernel claims an exit once, by a write of its kind; the next write is SCX_EXIT_DONE, and comes
 * when the message is there (Linux: kernel/sched/ext.c, scx_claim_exit() and scx_disable_workfn()).
 */
enum kt_exit_hit kt_exit_track_hit(struct kt_exit_track *track, const struct kt_exit_kinds *kinds,
				   bool lives, uint32_t value);
