/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/debug.h"

#include <errno.h>
#include <inttypes.h>

#include "util/cleanup.h"
#include "vmm/qemu/state.h"

/*
 * What the gdbstub is used for: registers and watches. (stale.c uses it too.)
 *
 * The stub takes commands only while the machine stands, because it stops a machine that runs at
 * the first byte; QMP has to do so first. It reports a stop, with the vCPU and the watch, only if
 * the machine runs by its own command: a machine with watches is therefore resumed by the stub.
 * QEMU forgets a watch that was hit when it reports it, so that it can be removed at once.
 *
 * Watches of the same memory are one for the stub, and a hit is one of each. Of watches that
 * overlap, the stub would report the first one only: they are refused.
 */

/* Makes the machine stand; *@ret_paused says whether stand_end() lets it run again. */
static int stand_begin(struct qemu *qemu, bool *ret_paused, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	*ret_paused = !qemu->paused && !qemu->at_watch;
	return *ret_paused ? kt_machine_pause(&qemu->machine, deadline_ns, reterr) : 0;
}

/* @r: what came of the work. The first error counts. */
static int stand_end(struct qemu *qemu, bool paused, int r, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	int resumed = 0;

	if (paused)
		resumed = kt_machine_resume(&qemu->machine, deadline_ns, r < 0 ? NULL : reterr);
	return r ?: resumed;
}

/* Whether the guest waits in a host call, where the plugin has told the registers. */
static bool tell_place(const struct qemu *qemu, unsigned int vcpu, struct kt_registers *ret)
{
	if (!qemu->where || qemu->paused || qemu->at_watch || vcpu >= qemu->n_vcpus ||
	    !__atomic_load_n(&qemu->where->stands, __ATOMIC_ACQUIRE))
		return false;
	*ret = (struct kt_registers){ 0 };
	kt_registers_decode(qemu->where->registers[vcpu], ret);
	return true;
}

int kt_qemu_registers(struct kt_machine *machine, unsigned int vcpu,
		      struct kt_registers *ret_registers, uint64_t deadline_ns,
		      struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	bool paused = false;
	int r;

	if (tell_place(qemu, vcpu, ret_registers))
		return 0;
	if (!qemu->gdb || vcpu >= qemu->n_vcpus)
		return kt_err_set(reterr, -ERANGE, "there is no vCPU %u: the machine has %u", vcpu,
				  qemu->n_vcpus);
	r = stand_begin(qemu, &paused, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = kt_gdb_select(qemu->gdb, vcpu, deadline_ns, reterr)
		    ?: kt_gdb_get_all(qemu->gdb, ret_registers, deadline_ns, reterr);
	return stand_end(qemu, paused, r, deadline_ns, reterr);
}

/* ---- Watches ---- */

static enum kt_gdb_stop stop_of(const struct kt_watch *watch)
{
	return watch->kind == KT_WATCH_ON_WRITE ? KT_GDB_ON_WRITE : KT_GDB_ON_ACCESS;
}

/* With KVM a watch is one debug register (QEMU: kvm_arch_insert_hw_breakpoint()). */
static int check_register(const struct qemu *qemu, const struct kt_watch *watch,
			  struct kt_err *reterr)
{
	bool fits = watch->len <= 8 && (watch->len & (watch->len - 1)) == 0 &&
		    watch->address % watch->len == 0;

	if (fits || qemu->watches_max > kt_machine_watches_max(KT_ACCEL_KVM))
		return 0;
	return kt_err_set(reterr, -EOPNOTSUPP,
			  "%" PRIu32 " bytes at 0x%" PRIx64 ": QEMU with KVM watches 1, 2, 4 or 8 "
			  "bytes that are aligned to their number",
			  watch->len, watch->address);
}

/* Finds a free number; *@ret_is_set: the stub watches the memory already. */
static int place(const struct qemu *qemu, const struct kt_watch *watch, unsigned int *ret_number,
		 bool *ret_is_set, struct kt_err *reterr)
{
	unsigned int number = qemu->watches_max;

	*ret_is_set = false;
	for (unsigned int i = qemu->watches_max; i-- > 0;) {
		const struct kt_watch *other = &qemu->watches[i].watch;

		if (!qemu->watches[i].used)
			number = i;
		else if (kt_watch_beside(watch, other, reterr) < 0)
			return -EBUSY;
		else
			*ret_is_set |= kt_watch_is_same(watch, other);
	}
	if (number == qemu->watches_max)
		return kt_err_set(reterr, -ENOSPC, "this machine can have %u watches at a time",
				  qemu->watches_max);
	*ret_number = number;
	return 0;
}

/* How many watches have this memory. */
static unsigned int count_same(const struct qemu *qemu, const struct kt_watch *watch)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < qemu->watches_max; i++)
		n += qemu->watches[i].used && kt_watch_is_same(watch, &qemu->watches[i].watch);
	return n;
}

int kt_qemu_watch(struct kt_machine *machine, const struct kt_watch *watch,
		  unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	bool is_set = false, paused = false;
	unsigned int number = 0;
	int r = kt_watch_check(watch, reterr) ?: check_register(qemu, watch, reterr)
					?: place(qemu, watch, &number, &is_set, reterr)
					?: stand_begin(qemu, &paused, deadline_ns, reterr);

	if (r < 0)
		return r;
	if (!is_set)
		r = kt_gdb_set(qemu->gdb, stop_of(watch), watch->address, watch->len, deadline_ns,
			       reterr);
	if (r == 0) {
		qemu->watches[number] = (struct kt_qemu_watch){ .used = true, .watch = *watch };
		qemu->n_watches++;
		*ret_number = number;
	}
	return stand_end(qemu, paused, r, deadline_ns, reterr);
}

static int unset(struct qemu *qemu, unsigned int number, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	const struct kt_watch *watch = &qemu->watches[number].watch;
	int r = 0;

	if (count_same(qemu, watch) == 1)
		r = kt_gdb_unset(qemu->gdb, stop_of(watch), watch->address, watch->len, deadline_ns,
				 reterr);
	if (r < 0)
		return r;
	qemu->watches[number].used = false;
	qemu->n_watches--;
	return 0;
}

int kt_qemu_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		    struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	bool paused = false;
	int r;

	if (number >= qemu->watches_max || !qemu->watches[number].used)
		return kt_err_set(reterr, -ENOENT, "there is no watch %u", number);
	r = stand_begin(qemu, &paused, deadline_ns, reterr);
	if (r < 0)
		return r;
	return stand_end(qemu, paused, unset(qemu, number, deadline_ns, reterr), deadline_ns,
			 reterr);
}

int kt_qemu_unwatch_all(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < qemu->watches_max; i++)
		if (qemu->watches[i].used)
			r = unset(qemu, i, deadline_ns, reterr);
	return r;
}

/* ---- Hits ---- */

/* Tells the owner of one watch that was hit, if its condition holds. */
static void tell(struct qemu *qemu, unsigned int number, unsigned int vcpu, uint64_t raw)
{
	struct kt_qemu_watch *at = &qemu->watches[number];
	struct kt_machine_stop stop = { .watch = number, .vcpu = vcpu };

	if (!kt_watch_holds(&at->watch, raw)) {
		at->n_unmet++;
		return;
	}
	stop.n_unmet = at->n_unmet;
	if (at->watch.len <= sizeof(raw))
		stop.value = kt_watch_value(&at->watch, raw);
	if (qemu->machine.events->stopped)
		qemu->machine.events->stopped(qemu->machine.data, &stop);
}

/* The value is read once, for all watches of the memory. A handler may remove some of them. */
static int on_hit(struct qemu *qemu, const struct kt_gdb_report *report, uint64_t deadline_ns,
		  struct kt_err *reterr)
{
	uint64_t raw = 0;
	bool is_read = false;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < qemu->watches_max; i++) {
		const struct kt_qemu_watch *at = &qemu->watches[i];

		if (!at->used || at->watch.address != report->address)
			continue;
		if (!is_read && at->watch.len <= sizeof(raw))
			r = kt_gdb_read(qemu->gdb, report->address, &raw, at->watch.len,
					deadline_ns, reterr);
		is_read = true;
		qemu->at_watch = true;
		if (r == 0)
			tell(qemu, i, report->vcpu, raw);
		qemu->at_watch = false;
	}
	return r;
}

static bool is_watched(const struct qemu *qemu, const struct kt_gdb_report *report)
{
	for (unsigned int i = 0; i < qemu->watches_max; i++)
		if (qemu->watches[i].used && qemu->watches[i].watch.address == report->address)
			return true;
	return false;
}

/* A stop at a watch that was removed meanwhile is nobody's. */
int kt_qemu_on_debug_stop(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kt_gdb_report report;
	int r = kt_gdb_take_report(qemu->gdb, &report, reterr);

	if (r > 0 && report.at_data && is_watched(qemu, &report))
		r = on_hit(qemu, &report, deadline_ns, reterr);
	else if (r >= 0 && qemu->may_be_stale && qemu->stale.die)
		return kt_stale_on_stop(&qemu->stale, qemu->gdb, deadline_ns, reterr);
	return r < 0 ? r : kt_gdb_continue(qemu->gdb, reterr);
}
