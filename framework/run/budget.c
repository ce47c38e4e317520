/* SPDX-License-Identifier: MIT */
#include "framework/run/budget.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/memory.h"
#include "util/process.h"

/*
 * A slot is one byte of the file: a vCPU, or 64 MiB of memory. A runner that uses a slot holds a
 * write lock on its byte; the contents of the file mean nothing. Two more bytes keep runners in
 * order:
 *
 *   the gate       is locked while a runner takes slots, so that one runner takes at a time;
 *   the turnstile  is locked by the runner that has the next turn, from a request that failed
 *                  until a request succeeds. Meanwhile no other runner takes slots.
 *
 * A lock never makes a runner sleep: a runner can be stopped (SIGSTOP) with the gate locked, and
 * all others would sleep with it. A request that finds the gate locked fails and is repeated. The
 * gate and the turn of a runner that is stopped are ignored.
 *
 * A second file says who has locked what: four bytes for each byte of the first, the number of the
 * process that has locked it last. It is only read where a lock is refused, and only for people.
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
	int holders_fd;      /* the second file; -1: there is none */
	int inotify_fd;      /* -1 until kt_budget_watch() */
	bool contended;      /* another runner has made a request fail */
	bool busy;           /* the last request found the gate locked */
	bool waiting;        /* this runner holds the turnstile */
	pid_t holder;        /* of the byte that was refused last; 0: unknown */
	unsigned int n_lent; /* vCPUs; see kt_budget_lend() */
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
	uint64_t mib = kt_memory_mib();

	return mib ? (unsigned int)(mib / 4 * 3) : 4096;
}

/* F_OFD_SETLK fails at once if another holds the byte. Returns 0 or a negative errno. */
static int set_lock(int fd, off_t at, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static bool is_held(int r)
{
	return r == -EAGAIN || r == -EACCES;
}

/* Whether the file system has locks (fcntl(2): ENOLCK, EINVAL). */
static int try_lock(int fd)
{
	int r = set_lock(fd, TURNSTILE + 1, F_WRLCK);

	(void)set_lock(fd, TURNSTILE + 1, F_UNLCK);
	return is_held(r) ? 0 : r;
}

/* virtiofs is FUSE. The kernel's headers lack Lustre's and GPFS's numbers. */
static bool is_network(long fs_type)
{
	static const long types[] = {
		NFS_SUPER_MAGIC,  CEPH_SUPER_MAGIC, SMB_SUPER_MAGIC, SMB2_SUPER_MAGIC,
		CIFS_SUPER_MAGIC, AFS_SUPER_MAGIC,  V9FS_MAGIC,      FUSE_SUPER_MAGIC,
		0x0bd00bd0,       0x47504653,
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(types); i++) {
		if ((uint32_t)fs_type == (uint32_t)types[i])
			return true;
	}
	return false;
}

char *kt_budget_path(const char *dir, const char *name, long fs_type)
{
	KT_FREE char *boot_id = NULL;

	if (!is_network(fs_type) ||
	    kt_file_read("/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL) < 0)
		return kt_format("%s/%s", dir, name);
	return kt_format("%s/%s-%.*s", dir, name, (int)strcspn(boot_id, "\n"), boot_id);
}

static int open_files(struct kt_budget *budget, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL, *holders = NULL;
	struct statfs fs = { .f_type = 0 };
	int r;

	if (kt_cache_path("locks", &dir, NULL) < 0)
		return 0;
	(void)statfs(dir, &fs);
	path = kt_budget_path(dir, "budget", fs.f_type);
	holders = kt_budget_path(dir, "budget-holders", fs.f_type);
	if (!path || !holders)
		return kt_err_oom(reterr);
	budget->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	r = budget->fd < 0 ? 0 : try_lock(budget->fd);
	if (r < 0) {
		(void)kt_err_set(reterr, r,
				 "other runs on this host are not counted: cannot lock '%s': %m",
				 path);
		budget->fd = kt_close(budget->fd);
		return 0;
	}
	budget->holders_fd = open(holders, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	return 0;
}

/* Without a cache that can be written and locked, the budget is that of this run alone. */
static int open_file(struct kt_budget *budget, struct kt_err *reterr)
{
	int r = open_files(budget, reterr);

	if (r == 0 && budget->fd < 0)
		budget->fd = memfd_create("ktest-budget", MFD_CLOEXEC);
	return r == 0 && budget->fd < 0 ? kt_err_set(reterr, -errno, "cannot make the budget: %m")
					: r;
}

int kt_budget_open(unsigned int vcpus, unsigned int mib, struct kt_budget **ret_budget,
		   struct kt_err *reterr)
{
	struct kt_budget *budget = calloc(1, sizeof(*budget));
	unsigned int memory_slots = (mib ?: default_mib()) / SLOT_MIB;
	int r;

	if (!budget)
		return kt_err_oom(reterr);
	budget->fd = budget->holders_fd = budget->inotify_fd = -1;
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
	(void)kt_close(budget->holders_fd);
	(void)kt_close(budget->inotify_fd);
	free(budget->vcpus.held);
	free(budget->memory.held);
	free(budget);
	return NULL;
}

/* Who has locked the byte; 0 when nobody knows. */
static pid_t read_holder(const struct kt_budget *budget, off_t at)
{
	int32_t pid = 0;

	if (pread(budget->holders_fd, &pid, sizeof(pid), at * (off_t)sizeof(pid)) != sizeof(pid) ||
	    pid < 0 || pid == getpid())
		return 0;
	return pid;
}

/*
 * False when another runner has locked the byte. Where the file system refuses for another reason
 * than that, the byte counts as locked: kt_budget_open() has seen that it has locks.
 */
static bool lock_byte(struct kt_budget *budget, off_t at)
{
	int32_t pid = getpid();

	if (is_held(set_lock(budget->fd, at, F_WRLCK))) {
		budget->holder = read_holder(budget, at);
		return false;
	}
	(void)pwrite(budget->holders_fd, &pid, sizeof(pid), at * (off_t)sizeof(pid));
	return true;
}

static void unlock_byte(const struct kt_budget *budget, off_t at)
{
	(void)set_lock(budget->fd, at, F_UNLCK);
}

static void give_slots(const struct kt_budget *budget, struct slots *slots, unsigned int n)
{
	for (unsigned int i = slots->n; n && i--;) {
		if (!slots->held[i])
			continue;
		unlock_byte(budget, slots->base + i);
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
		if (slots->held[i] || !lock_byte(budget, slots->base + i))
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

/* Whether another runner holds the turnstile, and can use its turn. */
static bool others_wait(struct kt_budget *budget)
{
	if (budget->waiting)
		return false;
	if (!lock_byte(budget, TURNSTILE))
		return !kt_process_is_stopped(budget->holder);
	unlock_byte(budget, TURNSTILE);
	return false;
}

/* Takes the turnstile if @wait, or else gives it back and tells the other runners. */
static void take_turn(struct kt_budget *budget, bool wait)
{
	if (wait == budget->waiting)
		return;
	if (wait) {
		pid_t holder = budget->holder;

		budget->waiting = lock_byte(budget, TURNSTILE);
		budget->holder = holder; /* of what the request lacks */
		return;
	}
	unlock_byte(budget, TURNSTILE);
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
 * Whether the caller may look for slots. *@ret_locked: the gate is to be unlocked afterwards; it is
 * not where its holder has been stopped, which may last for ever.
 */
static bool enter_gate(struct kt_budget *budget, bool *ret_locked)
{
	*ret_locked = lock_byte(budget, GATE);
	budget->busy = !*ret_locked && !kt_process_is_stopped(budget->holder);
	return !budget->busy;
}

/*
 * Runs inside the gate. If two runners took slots at the same time, each could get a part of what
 * is free and fail, although there is enough for one of them.
 */
static bool take_in_gate(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
			 enum turn turn, struct kt_share *share)
{
	unsigned int slots = memory_slots(budget, mib);
	bool taken = false, locked;

	vcpus = kt_budget_cap_vcpus(budget, vcpus);
	if (!enter_gate(budget, &locked))
		return false;
	if (turn != TURN_OVER && others_wait(budget))
		budget->contended = true;
	else
		taken = take_both(budget, vcpus, slots);
	if (turn != TURN_NONE && budget->contended)
		take_turn(budget, !taken);
	if (locked)
		unlock_byte(budget, GATE);
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

	unsigned int lent;

	vcpus = KT_MIN(vcpus, share->vcpus);
	if (!vcpus && !slots)
		return;
	lent = KT_MIN(vcpus, budget->n_lent);
	budget->n_lent -= lent;
	give_slots(budget, &budget->vcpus, vcpus - lent);
	give_slots(budget, &budget->memory, slots);
	share->vcpus -= vcpus;
	share->mib -= slots * SLOT_MIB;
	(void)pwrite(budget->fd, "", 1, 0); /* an event for the others */
}

void kt_budget_lend(struct kt_budget *budget)
{
	budget->n_lent += budget->vcpus.n_held;
	give_slots(budget, &budget->vcpus, budget->vcpus.n_held);
	take_turn(budget, false);
	(void)pwrite(budget->fd, "", 1, 0); /* an event for the others */
}

bool kt_budget_reclaim(struct kt_budget *budget)
{
	struct kt_share share = { 0, 0 };

	if (budget->n_lent && !kt_budget_complete(budget, budget->n_lent, 0, &share))
		return false;
	budget->n_lent = 0;
	return true;
}

bool kt_budget_is_busy(const struct kt_budget *budget)
{
	return budget->busy;
}

pid_t kt_budget_holder(const struct kt_budget *budget)
{
	return budget->holder;
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
