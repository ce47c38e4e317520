/* SPDX-License-Identifier: MIT */
#include "framework/run/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SLOT_MIB    64u
#define MEMORY_BASE 65536 /* where the bytes for memory begin */
#define SLOTS_MAX   16384u
#define GATE        (2 * MEMORY_BASE) /* the byte that is locked while slots are being taken */
#define TURNSTILE   (GATE + 1)        /* and the one by who could not have enough, until it has */

/* A run of bytes of the file; @held says which are locked by this runner. */
struct slots {
	off_t base;
	unsigned int n;
	unsigned int n_held;
	bool *held;
};

/*
 * The locks belong to the open file description, not to the process (F_OFD_SETLK), so that forked
 * sessions keep them alive until they are gone too: what a dead runner used is free when its machines
 * have ended. Giving back touches the file, and closing it is an event by itself.
 */
struct kt_budget {
	int fd;
	int inotify_fd;
	bool contended;
	bool waiting; /* has the turnstile */
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

static int open_file(struct kt_budget *budget, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL;
	int r = kt_cache_path("locks", &dir, reterr);

	if (r < 0)
		return r;
	path = kt_format("%s/budget", dir);
	if (!path)
		return kt_err_oom(reterr);
	budget->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (budget->fd < 0)
		return kt_err_set(reterr, -errno, "cannot open '%s': %m", path);
	return 0;
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

/* Whether another runner waits for its turn. */
static bool others_wait(struct kt_budget *budget)
{
	if (budget->waiting)
		return false;
	if (!lock_slot(budget->fd, TURNSTILE, F_WRLCK))
		return true;
	(void)lock_slot(budget->fd, TURNSTILE, F_UNLCK);
	return false;
}

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
	(void)pwrite(budget->fd, "", 1, 0); /* the others' event */
}

enum turn {
	TURN_WAIT, /* behind who waits already, before who comes later */
	TURN_NONE, /* behind all who wait, and without a place among them */
	TURN_OVER, /* before all */
};

/* One at a time: two that take some each, and not enough, would refuse one another what is free. */
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
	(void)pwrite(budget->fd, "", 1, 0); /* the others' event */
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
