/* SPDX-License-Identifier: MIT */
#include "vmm/freeze/freeze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/freeze/exit_watch.h"
#include "vmm/freeze/spot.h"
#include "vmm/freeze/waiting.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/scx.h"

/*
 * Each watch of the machine that is armed here has an entry in @slots, by the machine's number of
 * it: where the kernel keeps its schedulers (scx_root, and scx_sched_all where there are
 * sub-schedulers), the exit_kind of each scheduler, the time stamp that the watchdog writes when it
 * checks, the state of the work that lets it check, and what the owner wants.
 *
 * A write to where schedulers are kept is a tick: the list is read again, and what has changed is
 * armed or disarmed. In a machine whose hits hang on instructions, all of this is repeatable. The
 * machine stands still when a watch is removed, so that the next tick can follow at once.
 *
 * The watchdog checks in a task of sched_ext. A scheduler that dispatches nothing starves that one,
 * too, and no time stamp is written any more. The timer has queued the work then, and nobody takes
 * it up: meanwhile jiffies_64 is watched, with the condition that a task has waited for half of the
 * watchdog's time. At any other time, no hit of the tick is worth its milliseconds.
 *
 * A record of a scheduler outlives its watch: it says how the scheduler has ended.
 */

#define EXITS_MAX     64u  /* schedulers that are watched at a time */
#define RECORDS_MAX   256u /* that are remembered */
#define STOP_LIMIT_NS (60 * KT_NSEC_PER_SEC)
#define NAME_LEN      128u

enum use { UNUSED, CHANGES, CHECKS, WORK, LATE, EXIT, OWNERS };

struct slot {
	enum use use;
	size_t index; /* EXIT: in exits; OWNERS: in watches */
};

struct exit {
	struct kt_exit_track track;
	char name[NAME_LEN];
	bool armed;
	unsigned int number; /* of its watch */
	struct kt_dual dual;
};

struct watch {
	char *name, *path; /* owned */
	bool armed;
	unsigned int number;
	struct kt_watch_limit limit;
	uint64_t n_unmet;
};

struct kt_freeze {
	struct kt_freeze_config config;
	struct slot slots[KT_WATCHES_MAX];
	bool began; /* the first tick was made */
	bool late_armed;
	unsigned int late_number; /* of the watch of jiffies_64 */
	bool has_kinds;
	struct kt_exit_kinds kinds;
	struct exit exits[RECORDS_MAX];
	size_t n_exits;
	struct watch *watches; /* owned */
	size_t n_watches;
	uint64_t n_stale;
	struct kt_err err; /* of the latest failure at a hit */
};

static const char *const reason_names[] = {
	[KT_FREEZE_CLAIMED] = "exit-claimed", [KT_FREEZE_TOLD] = "exit-told",
	[KT_FREEZE_MISSED] = "exit-missed",   [KT_FREEZE_KILLED] = "program-killed",
	[KT_FREEZE_EARLY] = "half-watchdog",  [KT_FREEZE_WATCH] = "watch",
};

const char *kt_freeze_reason_name(enum kt_freeze_reason reason)
{
	return reason_names[reason];
}

int kt_freeze_new(const struct kt_freeze_config *config, struct kt_freeze **ret_freeze)
{
	struct kt_freeze *freeze = calloc(1, sizeof(*freeze));

	if (!freeze)
		return -ENOMEM;
	freeze->config = *config;
	*ret_freeze = freeze;
	return 0;
}

struct kt_freeze *kt_freeze_free(struct kt_freeze *freeze)
{
	for (size_t i = 0; freeze && i < freeze->n_watches; i++) {
		free(freeze->watches[i].name);
		free(freeze->watches[i].path);
	}
	if (freeze)
		free(freeze->watches);
	free(freeze);
	return NULL;
}

static int find_kernel(struct kt_freeze *freeze, struct kt_inspect **ret_inspect,
		       struct kt_err *reterr)
{
	int r = freeze->config.inspect(freeze->config.data, ret_inspect, reterr);

	if (r == 0)
		kt_inspect_refresh(*ret_inspect);
	return r;
}

/* ---- Telling the owner ---- */

/* The latest clock of a runqueue; what cannot be read is left out. */
static uint64_t guest_time_ns(struct kt_inspect *inspect)
{
	uint64_t latest_ns = 0;

	for (unsigned int cpu = 0; cpu < kt_inspect_facts(inspect)->n_cpus; cpu++) {
		uint64_t clock_ns = 0;
		char path[48];

		(void)snprintf(path, sizeof(path), "runqueues[cpu %u].clock", cpu);
		(void)kt_inspect_value(inspect, path, &clock_ns, NULL);
		latest_ns = KT_MAX(latest_ns, clock_ns);
	}
	return latest_ns;
}

static void tell_of_exit(struct kt_freeze *freeze, struct exit *exit, struct kt_inspect *inspect,
			 enum kt_freeze_reason reason, uint64_t value, unsigned int vcpu)
{
	enum kt_dual_event happened = reason == KT_FREEZE_EARLY ? KT_DUAL_WAITS : KT_DUAL_CLAIMED;
	enum kt_dual_act act =
		reason == KT_FREEZE_TOLD ? KT_DUAL_NOTHING : kt_dual_on(&exit->dual, happened);
	struct kt_freeze_event event = {
		.reason = reason,
		.captures = act != KT_DUAL_NOTHING || reason == KT_FREEZE_TOLD,
		.name = exit->name,
		.value = value,
		.vcpu = vcpu,
		.time_ns = guest_time_ns(inspect),
	};

	if (reason != KT_FREEZE_EARLY)
		event.kind =
			kt_inspect_enum_name(inspect, "enum scx_exit_kind",
					     reason == KT_FREEZE_KILLED ? value : exit->track.kind);
	if (event.captures)
		kt_dual_took(&exit->dual, act, freeze->config.hit(freeze->config.data, &event));
}

/* ---- Schedulers ---- */

static int find_kinds(struct kt_freeze *freeze, struct kt_inspect *inspect, struct kt_err *reterr)
{
	int64_t done, error;
	int r;

	if (freeze->has_kinds)
		return 0;
	r = kt_inspect_enumerator(inspect, "SCX_EXIT_DONE", &done, reterr)
		    ?: kt_inspect_enumerator(inspect, "SCX_EXIT_ERROR", &error, reterr);
	if (r < 0)
		return r;
	freeze->kinds = (struct kt_exit_kinds){ .done = (uint32_t)done, .error = (uint32_t)error };
	freeze->has_kinds = true;
	return 0;
}

static int arm(struct kt_freeze *freeze, const struct kt_watch *watch, enum use use, size_t index,
	       unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = kt_machine_watch(freeze->config.machine, watch, ret_number, deadline_ns, reterr);

	if (r == 0)
		freeze->slots[*ret_number] = (struct slot){ use, index };
	return r;
}

static int disarm(struct kt_freeze *freeze, unsigned int number, uint64_t deadline_ns,
		  struct kt_err *reterr)
{
	int r = kt_machine_unwatch(freeze->config.machine, number, deadline_ns, reterr);

	if (r == 0)
		freeze->slots[number].use = UNUSED;
	return r;
}

/* Makes the stores of a tick for one scheduler, whose exit_kind is at @address. */
static int make_stores(struct kt_freeze *freeze, struct exit *exit, enum kt_exit_tick tick,
		       uint64_t sched, uint64_t address, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	const struct kt_watch watch = { .address = address, .len = sizeof(uint32_t) };
	enum kt_exit_store stores[2];
	size_t n = kt_exit_plan(tick, stores);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		switch (stores[i]) {
		case KT_EXIT_SET_SCHED:
			exit->track.sched = sched;
			break;
		case KT_EXIT_SET_ADDRESS:
			r = arm(freeze, &watch, EXIT, (size_t)(exit - freeze->exits), &exit->number,
				deadline_ns, reterr);
			exit->armed = r == 0;
			break;
		case KT_EXIT_CLEAR_ADDRESS:
			exit->armed = false;
			r = disarm(freeze, exit->number, deadline_ns, reterr);
			break;
		case KT_EXIT_CLEAR_SCHED:
			exit->track.sched = 0;
			break;
		}
	}
	return r;
}

/* An error that is there already can only be reported: the write that told it is over. */
static int publish(struct kt_freeze *freeze, struct kt_inspect *inspect,
		   const struct kt_scx_sched *sched, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct exit *exit = &freeze->exits[freeze->n_exits];
	struct kt_member member;
	int r;

	if (freeze->n_exits == RECORDS_MAX)
		return kt_err_set(reterr, -ENOSPC, "more than %u schedulers were attached",
				  RECORDS_MAX);
	r = kt_inspect_member(inspect, "struct scx_sched", "exit_kind", &member, reterr);
	if (r < 0)
		return r;
	*exit = (struct exit){ .dual = { .wants_early = freeze->config.wants_early } };
	(void)snprintf(exit->name, sizeof(exit->name), "%s", sched->name);
	r = make_stores(freeze, exit, KT_EXIT_PUBLISH, sched->kva, sched->kva + member.offset,
			deadline_ns, reterr);
	if (r < 0)
		return r;
	freeze->n_exits++;
	if (kt_exit_track_hit(&exit->track, &freeze->kinds, true, sched->exit_kind) ==
	    KT_EXIT_CLAIMED)
		tell_of_exit(freeze, exit, inspect, KT_FREEZE_MISSED, sched->exit_kind, 0);
	return 0;
}

/* The schedulers that are watched now; at most EXITS_MAX. */
static size_t list_armed(const struct kt_freeze *freeze, uint64_t *ret_scheds, size_t *ret_indices)
{
	size_t n = 0;

	for (size_t i = 0; i < freeze->n_exits && n < EXITS_MAX; i++) {
		if (!freeze->exits[i].armed)
			continue;
		ret_scheds[n] = freeze->exits[i].track.sched;
		ret_indices[n++] = i;
	}
	return n;
}

static int withdraw(struct kt_freeze *freeze, struct exit *exit, uint64_t deadline_ns,
		    struct kt_err *reterr)
{
	(void)kt_dual_on(&exit->dual, KT_DUAL_ENDED);
	return make_stores(freeze, exit, KT_EXIT_DISARM, 0, 0, deadline_ns, reterr);
}

/*
 * The scheduler of @exit, if it has an error whose hit was missed. While the CPU stands at the
 * write, the hit is not missed but under way: QEMU has still to stop the machine, or this process
 * to hear of the stop. A pause at that moment could lose the hit.
 */
static const struct kt_scx_sched *find_missed(const struct kt_freeze *freeze,
					      struct kt_inspect *inspect, const struct exit *exit,
					      const struct kt_scx_sched *scheds, size_t n)
{
	for (size_t i = 0; exit->armed && !exit->track.kind && i < n; i++) {
		if (scheds[i].kva == exit->track.sched)
			return scheds[i].exit_kind >= freeze->kinds.error &&
					       kt_scx_exit_goes_on(inspect, &scheds[i])
				       ? &scheds[i]
				       : NULL;
	}
	return NULL;
}

static void tell_missed(struct kt_freeze *freeze, struct kt_inspect *inspect,
			const struct kt_scx_sched *scheds, size_t n)
{
	for (size_t i = 0; i < freeze->n_exits; i++) {
		struct exit *exit = &freeze->exits[i];
		const struct kt_scx_sched *sched = find_missed(freeze, inspect, exit, scheds, n);

		if (!sched)
			continue;
		exit->track.kind = sched->exit_kind;
		tell_of_exit(freeze, exit, inspect, KT_FREEZE_MISSED, sched->exit_kind, 0);
	}
}

/* What was last and what is seen now, and what follows from it. */
struct tick {
	struct kt_scx_sched *scheds; /* owned; n_seen of them */
	uint64_t last[EXITS_MAX], seen[EXITS_MAX];
	bool gone[EXITS_MAX], new[EXITS_MAX];
	size_t indices[EXITS_MAX]; /* of the last, in exits */
	size_t n_last, n_seen;
	enum kt_exit_tick what;
};

static int look(struct kt_freeze *freeze, struct kt_inspect *inspect, struct tick *tick,
		struct kt_err *reterr)
{
	int r = kt_scx_scheds(inspect, &tick->scheds, &tick->n_seen, reterr);

	if (r < 0)
		return r;
	tick->n_last = list_armed(freeze, tick->last, tick->indices);
	tick->n_seen = KT_MIN(tick->n_seen, (size_t)EXITS_MAX);
	for (size_t i = 0; i < tick->n_seen; i++)
		tick->seen[i] = tick->scheds[i].kva;
	tick->what = kt_exit_tick_decide_all(tick->last, tick->n_last, tick->gone, tick->seen,
					     tick->n_seen, tick->new);
	return 0;
}

/* One tick; *@ret_tick says whether another one is due. */
static int tick_once(struct kt_freeze *freeze, struct kt_inspect *inspect,
		     enum kt_exit_tick *ret_tick, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct tick tick = { .scheds = NULL };
	int r = look(freeze, inspect, &tick, reterr);

	if (r < 0)
		return r;
	tell_missed(freeze, inspect, tick.scheds, tick.n_seen);
	for (size_t i = 0; r == 0 && i < tick.n_last; i++)
		if (tick.gone[i])
			r = withdraw(freeze, &freeze->exits[tick.indices[i]], deadline_ns, reterr);
	for (size_t i = 0; r == 0 && i < tick.n_seen; i++)
		if (tick.new[i])
			r = publish(freeze, inspect, &tick.scheds[i], deadline_ns, reterr);
	*ret_tick = tick.what;
	free(tick.scheds);
	return r;
}

/* Whether the watches are too few to have the early captures made by hits. */
static bool is_polled(const struct kt_freeze *freeze)
{
	return freeze->config.wants_early && freeze->config.watches_max <= KT_FREEZE_RESERVED;
}

/* Whether the early capture of a scheduler has still to be made. */
static bool wants_early(const struct exit *exit)
{
	return exit->armed && !exit->track.kind && exit->dual.wants_early &&
	       exit->dual.state == KT_DUAL_IDLE;
}

/* Once a task has waited for half of the watchdog's time, that is captured. */
static void on_check(struct kt_freeze *freeze, struct kt_inspect *inspect, unsigned int vcpu)
{
	for (size_t i = 0; i < freeze->n_exits; i++) {
		struct exit *exit = &freeze->exits[i];
		uint32_t pid;

		if (wants_early(exit) &&
		    kt_waiting_find(inspect, exit->track.sched, &pid, &freeze->err) > 0)
			tell_of_exit(freeze, exit, inspect, KT_FREEZE_EARLY, pid, vcpu);
	}
}

static bool somebody_waits(const struct kt_freeze *freeze, struct kt_inspect *inspect)
{
	uint32_t pid;

	for (size_t i = 0; i < freeze->n_exits; i++)
		if (wants_early(&freeze->exits[i]) &&
		    kt_waiting_find(inspect, freeze->exits[i].track.sched, &pid, NULL) > 0)
			return true;
	return false;
}

bool kt_freeze_is_due(struct kt_freeze *freeze)
{
	struct tick tick = { .scheds = NULL };
	struct kt_inspect *inspect;
	bool due;

	if (!freeze->has_kinds || find_kernel(freeze, &inspect, NULL) < 0 ||
	    look(freeze, inspect, &tick, NULL) < 0)
		return false;
	due = tick.what != KT_EXIT_HOLD || (is_polled(freeze) && somebody_waits(freeze, inspect));
	for (size_t i = 0; !due && i < tick.n_last; i++)
		due = find_missed(freeze, inspect, &freeze->exits[tick.indices[i]], tick.scheds,
				  tick.n_seen);
	free(tick.scheds);
	return due;
}

/* Watches @len bytes of a variable that not every kernel has. */
static int watch_variable(struct kt_freeze *freeze, struct kt_inspect *inspect, const char *symbol,
			  uint32_t len, enum use use, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kt_watch watch = { .len = len };
	unsigned int number;

	if (!kt_inspect_has_symbol(inspect, symbol, &watch.address))
		return 0;
	return arm(freeze, &watch, use, 0, &number, deadline_ns, reterr);
}

/* A machine with few watches keeps them: its owner calls for ticks. */
static int begin(struct kt_freeze *freeze, struct kt_inspect *inspect, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	int r;

	if (freeze->began || freeze->config.watches_max <= KT_FREEZE_RESERVED)
		return 0;
	freeze->began = true;
	r = watch_variable(freeze, inspect, "scx_root", 8, CHANGES, deadline_ns, reterr)
		    ?: watch_variable(freeze, inspect, "scx_sched_all", 16, CHANGES, deadline_ns,
				      reterr);
	/* The first word of a work is its state. */
	if (r == 0 && freeze->config.wants_early)
		r = watch_variable(freeze, inspect, "scx_watchdog_timestamp", 8, CHECKS,
				   deadline_ns, reterr)
			    ?: watch_variable(freeze, inspect, "scx_watchdog_work", 8, WORK,
					      deadline_ns, reterr);
	return r;
}

int kt_freeze_tick(struct kt_freeze *freeze, uint64_t deadline_ns, struct kt_err *reterr)
{
	enum kt_exit_tick tick = KT_EXIT_HOLD;
	struct kt_inspect *inspect;
	int r = find_kernel(freeze, &inspect, reterr);

	/* A kernel without sched_ext has nothing to be watched. */
	if (r == 0 && !kt_inspect_has_symbol(inspect, "scx_root", &(uint64_t){ 0 }))
		return 0;
	if (r == 0)
		r = find_kinds(freeze, inspect, reterr)
			    ?: begin(freeze, inspect, deadline_ns, reterr);
	do {
		r = r ?: tick_once(freeze, inspect, &tick, deadline_ns, reterr);
	} while (r == 0 && tick == KT_EXIT_REBIND);
	if (r == 0 && is_polled(freeze))
		on_check(freeze, inspect, 0);
	return r;
}

/* ---- Watches of the owner ---- */

static struct watch *find_watch(struct kt_freeze *freeze, const char *name)
{
	for (size_t i = 0; i < freeze->n_watches; i++)
		if (freeze->watches[i].armed && !strcmp(freeze->watches[i].name, name))
			return &freeze->watches[i];
	return NULL;
}

static unsigned int count_armed(const struct kt_freeze *freeze)
{
	unsigned int n = 0;

	for (size_t i = 0; i < freeze->n_watches; i++)
		n += freeze->watches[i].armed;
	return n;
}

/* How many of the machine's watches the owner can have. */
static unsigned int owners_max(const struct kt_freeze *freeze)
{
	unsigned int max = freeze->config.watches_max;

	return max > KT_FREEZE_RESERVED ? max - KT_FREEZE_RESERVED : max ? max - 1 : 0;
}

/* Appends an entry that is not armed yet. */
static int add_watch(struct kt_freeze *freeze, const struct kt_freeze_spec *spec,
		     struct kt_err *reterr)
{
	struct watch *more = reallocarray(freeze->watches, freeze->n_watches + 1, sizeof(*more));
	struct watch *watch;

	if (!more)
		return kt_err_oom(reterr);
	freeze->watches = more;
	watch = &more[freeze->n_watches];
	*watch = (struct watch){
		.name = strdup(spec->name),
		.path = strdup(spec->path),
		.limit = { .interval_ns = spec->interval_ns, .n_max = spec->n_max },
	};
	freeze->n_watches++;
	return watch->name && watch->path ? 0 : kt_err_oom(reterr);
}

int kt_freeze_watch(struct kt_freeze *freeze, const struct kt_freeze_spec *spec,
		    uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kt_watch watch = { .len = spec->len, .kind = spec->kind, .when = spec->when };
	struct kt_inspect *inspect;
	struct watch *added;
	int r;

	if (find_watch(freeze, spec->name))
		return kt_err_set(reterr, -EEXIST, "a watch has the name '%s' already", spec->name);
	if (count_armed(freeze) >= owners_max(freeze))
		return kt_err_set(reterr, -ENOSPC, "this machine can have %u watches at a time",
				  owners_max(freeze));
	r = find_kernel(freeze, &inspect, reterr);
	if (r == 0)
		r = kt_spot_find(inspect, spec->path, &watch, reterr)
			    ?: add_watch(freeze, spec, reterr);
	if (r < 0)
		return r;
	added = &freeze->watches[freeze->n_watches - 1];
	r = arm(freeze, &watch, OWNERS, freeze->n_watches - 1, &added->number, deadline_ns, reterr);
	added->armed = r == 0;
	return r;
}

int kt_freeze_unwatch(struct kt_freeze *freeze, const char *name, uint64_t deadline_ns,
		      struct kt_err *reterr)
{
	struct watch *watch = find_watch(freeze, name);

	if (!watch)
		return kt_err_set(reterr, -ENOENT, "no watch has the name '%s'", name);
	watch->armed = false;
	return disarm(freeze, watch->number, deadline_ns, reterr);
}

/* ---- Hits ---- */

static bool lives(struct kt_inspect *inspect, uint64_t kva)
{
	KT_FREE struct kt_scx_sched *scheds = NULL;
	size_t n = 0;

	(void)kt_scx_scheds(inspect, &scheds, &n, NULL);
	for (size_t i = 0; i < n; i++)
		if (scheds[i].kva == kva)
			return true;
	return false;
}

/*
 * Whether the task on a CPU dies of a signal. The last reference to a scheduler goes with its
 * program then, in the midst of that task's end. The low bits of an exit code are the signal.
 */
static bool dies_of_signal(struct kt_inspect *inspect, unsigned int cpu)
{
	uint64_t code = 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "runqueues[cpu %u].curr->signal->group_exit_code", cpu);
	return kt_inspect_value(inspect, path, &code, NULL) == 0 && code & 0x7f;
}

static void on_exit_kind(struct kt_freeze *freeze, struct exit *exit, struct kt_inspect *inspect,
			 const struct kt_machine_stop *stop)
{
	uint32_t value = (uint32_t)stop->value;

	switch (kt_exit_track_hit(&exit->track, &freeze->kinds, lives(inspect, exit->track.sched),
				  value)) {
	case KT_EXIT_NOTHING:
		break;
	case KT_EXIT_LEAVES:
		if (dies_of_signal(inspect, stop->vcpu))
			tell_of_exit(freeze, exit, inspect, KT_FREEZE_KILLED, value, stop->vcpu);
		break;
	case KT_EXIT_CLAIMED:
		tell_of_exit(freeze, exit, inspect, KT_FREEZE_CLAIMED, value, stop->vcpu);
		break;
	case KT_EXIT_TOLD:
		tell_of_exit(freeze, exit, inspect, KT_FREEZE_TOLD, value, stop->vcpu);
		break;
	case KT_EXIT_STALE:
		freeze->n_stale++;
		(void)withdraw(freeze, exit, kt_now_ns() + STOP_LIMIT_NS, &freeze->err);
		break;
	}
}

static void disarm_late(struct kt_freeze *freeze)
{
	if (!freeze->late_armed)
		return;
	freeze->late_armed = false;
	(void)disarm(freeze, freeze->late_number, kt_now_ns() + STOP_LIMIT_NS, &freeze->err);
}

/* The first moment at which an early capture may be due; 0: there is none to be made. */
static uint64_t find_moment(struct kt_freeze *freeze, struct kt_inspect *inspect)
{
	uint64_t first = 0;

	for (size_t i = 0; i < freeze->n_exits; i++) {
		const struct exit *exit = &freeze->exits[i];
		uint64_t jiffies;

		if (wants_early(exit) &&
		    kt_waiting_until(inspect, exit->track.sched, &jiffies, &freeze->err) == 0)
			first = first ? KT_MIN(first, jiffies) : jiffies;
	}
	return first;
}

static void arm_late(struct kt_freeze *freeze, struct kt_inspect *inspect)
{
	struct kt_watch watch = {
		.len = 8,
		.when = { .compare = KT_WATCH_GE, .number = find_moment(freeze, inspect) },
	};

	if (!watch.when.number ||
	    kt_inspect_symbol(inspect, "jiffies_64", &watch.address, &freeze->err) < 0)
		return;
	freeze->late_armed = arm(freeze, &watch, LATE, 0, &freeze->late_number,
				 kt_now_ns() + STOP_LIMIT_NS, &freeze->err) == 0;
}

static void on_late(struct kt_freeze *freeze, struct kt_inspect *inspect, unsigned int vcpu)
{
	disarm_late(freeze);
	on_check(freeze, inspect, vcpu);
	arm_late(freeze, inspect);
}

/*
 * Whether the timer has queued the work, and no worker has taken it up (Linux:
 * kernel/workqueue.c, insert_work() and set_work_pool_and_clear_pending()).
 */
static bool is_queued(struct kt_inspect *inspect, uint64_t data)
{
	int64_t pending, queue;

	return kt_inspect_has_enumerator(inspect, "WORK_STRUCT_PENDING", &pending) &&
	       kt_inspect_has_enumerator(inspect, "WORK_STRUCT_PWQ", &queue) &&
	       !(~data & (uint64_t)(pending | queue));
}

static void on_work(struct kt_freeze *freeze, struct kt_inspect *inspect, uint64_t data)
{
	disarm_late(freeze);
	if (is_queued(inspect, data))
		arm_late(freeze, inspect);
}

static void on_watch(struct kt_freeze *freeze, size_t index, struct kt_inspect *inspect,
		     const struct kt_machine_stop *stop)
{
	struct watch *watch = &freeze->watches[index];
	struct kt_freeze_event event = {
		.reason = KT_FREEZE_WATCH,
		.name = watch->name,
		.value = stop->value,
		.vcpu = stop->vcpu,
		.time_ns = guest_time_ns(inspect),
	};

	watch->n_unmet = stop->n_unmet;
	event.captures = kt_watch_limit_take(&watch->limit, event.time_ns);
	if (event.captures)
		(void)freeze->config.hit(freeze->config.data, &event);
}

void kt_freeze_on_stopped(struct kt_freeze *freeze, const struct kt_machine_stop *stop)
{
	struct slot slot = freeze->slots[stop->watch];
	struct kt_inspect *inspect;

	if (find_kernel(freeze, &inspect, &freeze->err) < 0)
		return;
	switch (slot.use) {
	case UNUSED:
		break;
	case CHANGES:
		(void)kt_freeze_tick(freeze, kt_now_ns() + STOP_LIMIT_NS, &freeze->err);
		break;
	case CHECKS:
		on_check(freeze, inspect, stop->vcpu);
		break;
	case WORK:
		on_work(freeze, inspect, stop->value);
		break;
	case LATE:
		on_late(freeze, inspect, stop->vcpu);
		break;
	case EXIT:
		on_exit_kind(freeze, &freeze->exits[slot.index], inspect, stop);
		break;
	case OWNERS:
		on_watch(freeze, slot.index, inspect, stop);
		break;
	}
}

void kt_freeze_end(struct kt_freeze *freeze)
{
	for (size_t i = 0; i < freeze->n_exits; i++)
		(void)kt_dual_on(&freeze->exits[i].dual, KT_DUAL_ENDED);
}

/* ---- JSON ---- */

static json_t *exit_json(const struct exit *exit)
{
	return json_pack("{so sI ss}", "name", kt_tree_text(exit->name), "kind",
			 (json_int_t)exit->track.kind, "captures",
			 kt_dual_schema_name(kt_dual_schema(&exit->dual)));
}

static json_t *watch_json(const struct watch *watch)
{
	return json_pack("{so so sI sI sI sI}", "name", kt_tree_text(watch->name), "path",
			 kt_tree_text(watch->path), "hits", (json_int_t)watch->limit.n_hits,
			 "unmet", (json_int_t)watch->n_unmet, "captures",
			 (json_int_t)watch->limit.n_taken, "left_out",
			 (json_int_t)watch->limit.n_left_out);
}

json_t *kt_freeze_json(const struct kt_freeze *freeze)
{
	json_t *scheds = json_array(), *watches = json_array();

	for (size_t i = 0; i < freeze->n_exits; i++)
		(void)json_array_append_new(scheds, exit_json(&freeze->exits[i]));
	for (size_t i = 0; i < freeze->n_watches; i++)
		(void)json_array_append_new(watches, watch_json(&freeze->watches[i]));
	return json_pack("{so so sI so*}", "schedulers", scheds, "watches", watches, "stale",
			 (json_int_t)freeze->n_stale, "error",
			 freeze->err.text[0] ? kt_tree_text(freeze->err.text) : NULL);
}
