/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/stop.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/qemu/channels.h"
#include "vmm/qemu/debug.h"
#include "vmm/qemu/ending.h"
#include "vmm/qemu/state.h"
#include "vmm/qemu/vcpus.h"
#include "vmm/rendezvous.h"

/*
 * The machine stops for one of six reasons: the owner pauses it, it is saved, it ends, it hits a
 * watch of the owner or a breakpoint of stale.c, or QEMU cannot go on with it. A hit may come while
 * the machine is being paused: it is told before the machine goes on. Only at a watch or
 * breakpoint does this file let it run again by itself; a machine that cannot be let run is killed,
 * because its owner would wait for it in vain.
 */

#define STOP_TIMEOUT_NS (60 * KT_NSEC_PER_SEC) /* for handling one stop at a breakpoint */

/* Asks why the machine stands, in QEMU's word for it. */
static int query_status(struct qemu *qemu, uint64_t deadline_ns, char *ret_status, size_t size,
			struct kt_err *reterr)
{
	json_t *value = NULL;
	int r = kt_qmp_execute(qemu->qmp, "query-status", NULL, deadline_ns, &value, reterr);

	if (r < 0)
		return r;
	(void)snprintf(ret_status, size, "%s",
		       json_string_value(json_object_get(value, "status")) ?: "");
	json_decref(value);
	return 0;
}

/* Whether QEMU has stopped the machine by itself and for good, as KVM does at an internal error. */
static bool is_for_good(const char *status)
{
	static const char *const statuses[] = { "guest-panicked", "internal-error", "io-error",
						"shutdown", "watchdog" };

	for (size_t i = 0; i < KT_ARRAY_LEN(statuses); i++)
		if (!strcmp(status, statuses[i]))
			return true;
	return false;
}

/* Writes on the console, for people, what the guest itself cannot know. */
static void say_undone(struct qemu *qemu)
{
	char text[160];
	int len = snprintf(text, sizeof(text),
			   "\n[ktest: a vCPU ran a breakpoint at %" PRIx64
			   " that is no longer in memory (a race in QEMU); undone]\n",
			   qemu->stale.last_ip - 1);

	qemu->machine.events->console(qemu->machine.data, (const uint8_t *)text, (size_t)len);
}

/* Handles a stop; returns 0 when the machine runs again, or stands as it should. */
static int on_stop(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	char status[32] = "";
	int r = query_status(qemu, deadline_ns, status, sizeof(status), reterr);

	if (r < 0)
		return r;
	if (is_for_good(status))
		return kt_err_set(reterr, -EIO, "it has stopped the machine (%s)", status);
	if (strcmp(status, "debug") != 0)
		return 0; /* the machine ends, or is being saved */
	qemu->resumed = false;
	r = kt_qemu_on_debug_stop(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	if (r > 0)
		say_undone(qemu);
	return kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns, reterr);
}

/* Tells the owner that the guest has ended, if that is why the machine stands. */
static bool tell_end(struct qemu *qemu)
{
	struct kt_machine_exit exit = { 0 };

	if (!qemu->keep || !*qemu->shutdown_reason)
		return false;
	qemu->has_ended = true;
	kt_qemu_drain(qemu);
	kt_qemu_explain_exit(qemu, 0, &exit);
	qemu->machine.events->exited(qemu->machine.data, &exit);
	return true;
}

void kt_qemu_look_after(struct qemu *qemu)
{
	struct kt_err err = KT_ERR_NULL;
	int r = 0;

	while (r == 0 && qemu->stopped && !qemu->paused) {
		qemu->stopped = false;
		r = on_stop(qemu, kt_now_ns() + STOP_TIMEOUT_NS, &err);
	}
	if (r == 0 || kt_qemu_is_gone(r) || tell_end(qemu))
		return;
	(void)snprintf(qemu->given_up, sizeof(qemu->given_up), "%s", err.text);
	(void)kill(qemu->pid, SIGKILL);
}

/*
 * Tells the plugin that QEMU is going to stop the machine, which may wait in a host call, or no
 * longer is.
 */
static void set_standing(struct qemu *qemu, bool stands)
{
	uint64_t count = 1;

	if (qemu->stand_fd < 0)
		return;
	if (stands)
		(void)!write(qemu->stand_fd, &count, sizeof(count));
	else
		(void)!read(qemu->stand_fd, &count, sizeof(count));
}

static void arrive_all(struct kt_rendezvous *rendezvous)
{
	for (unsigned int i = 0; i < rendezvous->n_vcpus; i++)
		kt_rendezvous_arrive(rendezvous, i);
}

/*
 * Judges a rendezvous; @r: what came of the command to QEMU, which answers when all vCPUs have left
 * guest code, or may execute it. A machine in which a vCPU is missing can neither be looked at nor
 * go on: it is killed, and its end has the reason.
 */
static int judge(struct qemu *qemu, struct kt_rendezvous *rendezvous, int r, struct kt_err *reterr)
{
	char text[160];

	if (r == 0)
		arrive_all(rendezvous);
	else if (r == -ETIMEDOUT && rendezvous->kind == KT_RENDEZVOUS_FREEZE)
		kt_vcpus_tell_parked(qemu->pid, rendezvous);
	if (r != -ETIMEDOUT || kt_rendezvous_judge(rendezvous, kt_now_ns()) != KT_RENDEZVOUS_LATE)
		return r;
	(void)snprintf(qemu->given_up, sizeof(qemu->given_up), "%s",
		       kt_rendezvous_describe(rendezvous, text, sizeof(text)));
	(void)kill(qemu->pid, SIGKILL);
	return kt_err_set(reterr, r, "%s", text);
}

int kt_qemu_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_rendezvous rendezvous;
	int r;

	if (qemu->at_watch)
		return 0;
	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_FREEZE, qemu->n_vcpus, kt_now_ns(),
			    deadline_ns);
	qemu->paused = true;
	set_standing(qemu, true);
	r = kt_qmp_execute(qemu->qmp, "stop", NULL, rendezvous.deadline_ns, NULL, reterr);
	set_standing(qemu, false);
	if (r < 0)
		qemu->paused = false;
	return judge(qemu, &rendezvous, r, reterr);
}

/* Hits of watches are reported only if the gdbstub lets the machine run: see debug.c. */
static int let_run(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->n_watches)
		return kt_qmp_execute(qemu->qmp, "cont", NULL, deadline_ns, NULL, reterr);
	qemu->resumed = false;
	return kt_gdb_continue(qemu->gdb, reterr)
		       ?: kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns,
				      reterr);
}

/* Whether a hit had stopped the machine before it was paused: QEMU keeps the first reason. */
static bool has_untold_hit(struct qemu *qemu, uint64_t deadline_ns)
{
	char status[32];

	return qemu->n_watches &&
	       query_status(qemu, deadline_ns, status, sizeof(status), NULL) == 0 &&
	       !strcmp(status, "debug");
}

int kt_qemu_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_rendezvous rendezvous;
	int r = 0;

	if (qemu->at_watch)
		return 0;
	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_THAW, qemu->n_vcpus, kt_now_ns(),
			    deadline_ns);
	qemu->stopped = has_untold_hit(qemu, rendezvous.deadline_ns);
	if (!qemu->stopped)
		r = judge(qemu, &rendezvous, let_run(qemu, rendezvous.deadline_ns, reterr), reterr);
	if (r < 0)
		return r;
	qemu->paused = false;
	kt_qemu_look_after(qemu);
	return 0;
}

/* ---- The guard against stale code ---- */

int kt_qemu_begin_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->may_be_stale || !qemu->stale.die)
		return 0;
	return kt_stale_begin(&qemu->stale, qemu->gdb, deadline_ns, reterr);
}

int kt_qemu_end_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	bool guards = qemu->may_be_stale && qemu->stale.die;
	int r;

	if (!guards && !qemu->n_watches)
		return 0;
	r = kt_qemu_pause(&qemu->machine, deadline_ns, reterr)
		    ?: kt_qemu_unwatch_all(qemu, deadline_ns, reterr);
	if (r == 0 && guards)
		r = kt_stale_end(&qemu->stale, qemu->gdb, deadline_ns, reterr);
	return r ?: kt_qemu_resume(&qemu->machine, deadline_ns, reterr);
}

int kt_qemu_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		  struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	if (qemu->stale.die)
		return 0;
	qemu->stale.die = hello->die;
	qemu->stale.kprobe_table = hello->kprobe_table;
	if (!qemu->may_be_stale ||
	    !hello->die) /* the restore will begin the guard, or none is possible */
		return 0;
	r = kt_qemu_pause(machine, deadline_ns, reterr) ?:
	    kt_qemu_begin_guard(qemu, deadline_ns, reterr) ?:
	    kt_qemu_resume(machine, deadline_ns, reterr);
	return kt_qemu_is_gone(r) ? 0 : r;
}
