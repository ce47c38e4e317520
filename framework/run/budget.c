/* SPDX-License-Identifier: MIT */
#include "framework/run/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * A slot is one byte of the file: a vCPU, or 64 MiB of memory. A runner that uses a slot holds a
 * write lock on its byte; the contents of the file mean nothing. Two more bytes keep runners in
 * order:
 *
 *   the gate       is locked while a runner takes slots, so that one runner takes at a time;
 *   the turnstile  is locked by the runner that has the next turn, from a request that failed
 *                  until a request succeeds. Meanwhile no other runner takes slots.
 *
 * The locks belong to the open file description and not to the process (F_OFD_SETLK). Forked
 * sessions share it, so the slots of a runner that is killed stay locked until its machines are
 * gone too.
 *
 * A runner that waits learns of free slots by inotify. Giving slots back therefore writes to the
 * file; when a runner dies, the kernel closes the file, which is an event as well.
 */

#define SLOT_MIB    64u
#define MEMORY_BASE 65536             /* offset of the memory's bytes; the vCPUs' begin at 0 */
#define SLOTS_MAX   16384u            /* of each kind; must be below MEMORY_BASE */
#define GATE        (2 * MEMORY_BASE) /* offset of the gate */
#define TURNSTILE   (GATE + 1)        /* offset of the turnstile */

/* The slots of one kind. */
struct slots {
	off_t base;          /* offset of the first */
	unsigned int n;      /* of this runner's budget */
	unsigned int n_held; /* by this runner */
	bool *held;          /* which; n of them */
};

struct kt_budget {
	int fd;
	int inotify_fd; /* -1 until kt_budget_watch() */
	bool contended; /* another runner has made a request fail */
	bool waiting;   /* this runner holds the turnstile */
	struct slots vcpus;
	struct slots memory;
};

static int slots_init(struct slots *slots, off_t base, unsigned int n)
{
	slots->base = base;
	slots->n = KT_MIN(n, SLOTS_MAX);
	slots->held = calloc(slots->n, sizeof(*slots->held));
	return slots->held ? 0 : -ENOMEM;
}

static unsigned int default_mib(void)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return 4096;
	return (unsigned int)((uint64_t)info.totalram * info.mem_unit / 4 * 3 >> 20);
}

/* Without a cache that can be written, the budget is that of this run alone. */
static int open_file(struct kt_budget *budget, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL;

	if (kt_cache_path("locks", &dir, NULL) == 0) {
		path = kt_format("%s/budget", dir);
		if (!path)
			return kt_err_oom(reterr);
		budget->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	}
	if (budget->fd < 0)
		budget->fd = memfd_create("ktest-budget", MFD_CLOEXEC);
	return budget->fd < 0 ? kt_err_set(reterr, -errno, "cannot make the budget: %m") : 0;
}

int kt_budget_open(unsigned int vcpus, unsigned int mib, struct kt_budget **ret_budget,
		   struct kt_err *reterr)
{
	struct kt_budget *budget = calloc(1, sizeof(*budget));
	unsigned int memory_slots = (mib ?: default_mib()) / SLOT_MIB;
	int r;

	if (!budget)
		return kt_err_oom(reterr);
	budget->fd = budget->inotify_fd = -1;
	r = slots_init(&budget->vcpus, 0, KT_MAX(vcpus, 1u))
		    ?: slots_init(&budget->memory, MEMORY_BASE, KT_MAX(memory_slots, 1u));
	r = r < 0 ? kt_err_oom(reterr) : open_file(budget, reterr);
	if (r < 0)
		(void)kt_budget_close(budget);
	else
		*ret_budget = budget;
	return r;
}

struct kt_budget *kt_budget_close(struct kt_budget *budget)
{
	if (!budget)
		return NULL;
	(void)kt_close(budget->fd);
	(void)kt_close(budget->inotify_fd);
	free(budget->vcpus.held);
	free(budget->memory.held);
	free(budget);
	return NULL;
}

/* @command: F_OFD_SETLK fails at once if another holds the byte, F_OFD_SETLKW waits. */
static bool lock_byte(int fd, int command, off_t at, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, command, &lock) == 0;
}

static bool lock_slot(int fd, off_t at, short type)
{
	return lock_byte(fd, F_OFD_SETLK, at, type);
}

static void give_slots(const struct kt_budget *budget, struct slots *slots, unsigned int n)
{
	for (unsigned int i = slots->n; n && i--;) {
		if (!slots->held[i])
			continue;
		(void)lock_slot(budget->fd, slots->base + i, F_UNLCK);
		slots->held[i] = false;
		slots->n_held--;
		n--;
	}
}

/* All @n or none. Slots that this runner holds itself do not make it contended. */
static bool take_slots(struct kt_budget *budget, struct slots *slots, unsigned int n)
{
	unsigned int got = 0;

	if (slots->n - slots->n_held < n)
		return false;
	for (unsigned int i = 0; got < n && i < slots->n; i++) {
		if (slots->held[i] || !lock_slot(budget->fd, slots->base + i, F_WRLCK))
			continue;
		slots->held[i] = true;
		slots->n_held++;
		got++;
	}
	if (got == n)
		return true;
	give_slots(budget, slots, got);
	budget->contended = true;
	return false;
}

unsigned int kt_budget_cap_vcpus(const struct kt_budget *budget, unsigned int vcpus)
{
	return KT_MIN(vcpus, budget->vcpus.n);
}

static unsigned int memory_slots(const struct kt_budget *budget, unsigned int mib)
{
	return KT_MIN((mib + SLOT_MIB - 1) / SLOT_MIB, budget->memory.n);
}

static bool take_both(struct kt_budget *budget, unsigned int vcpus, unsigned int slots)
{
	if (!take_slots(budget, &budget->vcpus, vcpus))
		return false;
	if (take_slots(budget, &budget->memory, slots))
		return true;
	give_slots(budget, &budget->vcpus, vcpus);
	return false;
}

/* Whether another runner holds the turnstile. */
static bool others_wait(struct kt_budget *budget)
{
	if (budget->waiting)
		return false;
	if (!lock_slot(budget->fd, TURNSTILE, F_WRLCK))
		return true;
	(void)lock_slot(budget->fd, TURNSTILE, F_UNLCK);
	return false;
}

/* Takes the turnstile if @wait, or else gives it back and tells the other runners. */
static void take_turn(struct kt_budget *budget, bool wait)
{
	if (wait == budget->waiting)
		return;
	if (wait) {
		budget->waiting = lock_slot(budget->fd, TURNSTILE, F_WRLCK);
		return;
	}
	(void)lock_slot(budget->fd, TURNSTILE, F_UNLCK);
	budget->waiting = false;
	(void)pwrite(budget->fd, "", 1, 0); /* an event for the others */
}

/* How a request respects the turns of other runners. */
enum turn {
	TURN_WAIT, /* it fails while another has the turn, and takes the turn when it fails */
	TURN_NONE, /* it fails while another has the turn, and does not take the turn */
	TURN_OVER, /* it ignores the turn of another, and takes a free turn when it fails */
};

/*
 * Runs inside the gate. If two runners took slots at the same time, each could get a part of what
 * is free and fail, although there is enough for one of them.
 */
static bool take_in_gate(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
			 enum turn turn, struct kt_share *share)
{
	unsigned int slots = memory_slots(budget, mib);
	bool taken = false;

	vcpus = kt_budget_cap_vcpus(budget, vcpus);
	(void)lock_byte(budget->fd, F_OFD_SETLKW, GATE, F_WRLCK);
	if (turn != TURN_OVER && others_wait(budget))
		budget->contended = true;
	else
		taken = take_both(budget, vcpus, slots);
	if (turn != TURN_NONE && budget->contended)
		take_turn(budget, !taken);
	(void)lock_byte(budget->fd, F_OFD_SETLK, GATE, F_UNLCK);
	if (!taken)
		return false;
	share->vcpus += vcpus;
	share->mib += slots * SLOT_MIB;
	return true;
}

bool kt_budget_take(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share)
{
	return take_in_gate(budget, vcpus, mib, TURN_WAIT, share);
}

bool kt_budget_try(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		   struct kt_share *share)
{
	return take_in_gate(budget, vcpus, mib, TURN_NONE, share);
}

bool kt_budget_complete(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
			struct kt_share *share)
{
	return take_in_gate(budget, vcpus, mib, TURN_OVER, share);
}

void kt_budget_give(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share)
{
	unsigned int slots = memory_slots(budget, KT_MIN(mib, share->mib));

	vcpus = KT_MIN(vcpus, share->vcpus);
	if (!vcpus && !slots)
		return;
	give_slots(budget, &budget->vcpus, vcpus);
	give_slots(budget, &budget->memory, slots);
	share->vcpus -= vcpus;
	share->mib -= slots * SLOT_MIB;
	(void)pwrite(budget->fd, "", 1, 0); /* an event for the others */
}

bool kt_budget_is_contended(const struct kt_budget *budget)
{
	return budget->contended;
}

int kt_budget_watch(struct kt_budget *budget, int *ret_fd, struct kt_err *reterr)
{
	char path[64];

	if (budget->inotify_fd < 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", budget->fd);
		budget->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (budget->inotify_fd < 0 ||
		    inotify_add_watch(budget->inotify_fd, path, IN_MODIFY | IN_CLOSE_WRITE) < 0) {
			int r = kt_err_set(reterr, -errno, "cannot watch the budget's file: %m");

			budget->inotify_fd = kt_close(budget->inotify_fd);
			return r;
		}
	}
	*ret_fd = budget->inotify_fd;
	return 0;
}

void kt_budget_drain(struct kt_budget *budget)
{
	char events[4096];

	while (read(budget->inotify_fd, events, sizeof(events)) > 0)
		;
}
