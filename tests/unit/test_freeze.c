/* SPDX-License-Identifier: MIT */
/* The decisions of the freeze coordinator, over all of their transitions. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/freeze/captures.h"
#include "vmm/freeze/exit_watch.h"
#include "vmm/rendezvous.h"
#include "vmm/watch.h"
#include "wire/watch_op.h"

UNIT_SUITE(rendezvous);
UNIT_SUITE(exit_watch);
UNIT_SUITE(captures);
UNIT_SUITE(watch);
UNIT_SUITE(watch_op);

/* ---- rendezvous -------------------------------------------------------------------------------
 */

Test(rendezvous, every_set_of_arrivals)
{
	struct kt_rendezvous rendezvous;

	for (unsigned int arrived = 0; arrived < 16; arrived++) {
		kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_FREEZE, 4, 100, UINT64_MAX);
		for (unsigned int i = 0; i < 4; i++)
			if (arrived >> i & 1)
				kt_rendezvous_arrive(&rendezvous, i);
		cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 100),
			     arrived == 15 ? KT_RENDEZVOUS_COMPLETE : KT_RENDEZVOUS_WAITING));
		cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 100 + KT_RENDEZVOUS_NS - 1),
			     arrived == 15 ? KT_RENDEZVOUS_COMPLETE : KT_RENDEZVOUS_WAITING));
		cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 100 + KT_RENDEZVOUS_NS),
			     arrived == 15 ? KT_RENDEZVOUS_COMPLETE : KT_RENDEZVOUS_LATE));
	}
}

Test(rendezvous, its_owner_may_be_less_patient)
{
	struct kt_rendezvous rendezvous;

	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_THAW, 1, 100, 150);
	cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 149), KT_RENDEZVOUS_WAITING));
	cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 150), KT_RENDEZVOUS_LATE));
	kt_rendezvous_arrive(&rendezvous, 0);
	cr_assert(eq(int, kt_rendezvous_judge(&rendezvous, 150), KT_RENDEZVOUS_COMPLETE));
}

/* A text that has too little room is cut, and nothing behind it is touched. */
static void check_room(const struct kt_rendezvous *rendezvous, const char *whole)
{
	char text[80];

	for (size_t room = 1; room <= strlen(whole); room++) {
		memset(text, '#', sizeof(text));
		(void)kt_rendezvous_describe(rendezvous, text, room);
		cr_assert(eq(sz, strlen(text), room - 1), "room for %zu", room);
		cr_assert(zero(int, strncmp(text, whole, room - 1)), "room for %zu", room);
		cr_assert(eq(chr, text[room], '#'), "room for %zu", room);
	}
}

Test(rendezvous, the_missing_are_named)
{
	struct kt_rendezvous rendezvous;
	char text[80];

	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_FREEZE, 4, 0, UINT64_MAX);
	cr_assert(eq(str, (char *)kt_rendezvous_describe(&rendezvous, text, sizeof(text)),
		     "vCPU 0, 1, 2 and 3 of 4 did not park"));
	check_room(&rendezvous, "vCPU 0, 1, 2 and 3 of 4 did not park");
	kt_rendezvous_arrive(&rendezvous, 0);
	kt_rendezvous_arrive(&rendezvous, 3);
	kt_rendezvous_arrive(&rendezvous, 3);
	kt_rendezvous_arrive(&rendezvous, 4);
	cr_assert(eq(u64, rendezvous.arrived[0], 0x9), "there is no vCPU 4");
	cr_assert(eq(str, (char *)kt_rendezvous_describe(&rendezvous, text, sizeof(text)),
		     "vCPU 1 and 2 of 4 did not park"));
	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_THAW, 200, 0, UINT64_MAX);
	for (unsigned int i = 0; i < 200; i++)
		if (i != 130)
			kt_rendezvous_arrive(&rendezvous, i);
	cr_assert(eq(str, (char *)kt_rendezvous_describe(&rendezvous, text, sizeof(text)),
		     "vCPU 130 of 200 did not run again"));
	cr_assert(eq(u64, rendezvous.deadline_ns, KT_RENDEZVOUS_NS));
	kt_rendezvous_begin(&rendezvous, KT_RENDEZVOUS_FREEZE, 100000, 0, UINT64_MAX);
	kt_rendezvous_arrive(&rendezvous, 99999);
	cr_assert(eq(u32, rendezvous.n_vcpus, KT_RENDEZVOUS_VCPUS_MAX));
}

/* ---- exit watch -------------------------------------------------------------------------------
 */

#define A 0xffff888000001000ull
#define B 0xffff888000002000ull

Test(exit_watch, every_pair_of_last_and_seen)
{
	static const struct {
		uint64_t last, seen;
		enum kt_exit_tick tick;
	} cases[] = {
		{ 0, 0, KT_EXIT_HOLD },   { 0, A, KT_EXIT_PUBLISH }, { 0, B, KT_EXIT_PUBLISH },
		{ A, 0, KT_EXIT_DISARM }, { A, A, KT_EXIT_HOLD },    { A, B, KT_EXIT_REBIND },
		{ B, 0, KT_EXIT_DISARM }, { B, A, KT_EXIT_REBIND },  { B, B, KT_EXIT_HOLD },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		uint64_t last = cases[i].last, seen = cases[i].seen;
		bool gone = false, new = false;

		cr_assert(eq(int, kt_exit_tick_decide(last, seen), cases[i].tick), "case %zu", i);
		cr_assert(
			eq(int,
			   kt_exit_tick_decide_all(&last, last != 0, &gone, &seen, seen != 0, &new),
			   cases[i].tick),
			"case %zu", i);
		cr_assert(eq(int, gone,
			     cases[i].tick == KT_EXIT_DISARM || cases[i].tick == KT_EXIT_REBIND));
		cr_assert(eq(int, new, cases[i].tick == KT_EXIT_PUBLISH));
	}
}

/* Repeated ticks reach what is seen: at most one disarms, the next publishes. */
static void check_ticks(unsigned int last, unsigned int seen)
{
	static const uint64_t all[] = { 10, 20, 30, 40 };
	uint64_t have[4], want[4];
	bool gone[5], new[5]; /* with one behind the last, which must not be touched */
	unsigned int n_ticks = 0;
	enum kt_exit_tick tick;

	do {
		size_t n_have = 0, n_want = 0;

		for (unsigned int i = 0; i < 4; i++) {
			if (last >> i & 1)
				have[n_have++] = all[i];
			if (seen >> i & 1)
				want[n_want++] = all[i];
		}
		gone[n_have] = new[n_want] = true;
		tick = kt_exit_tick_decide_all(have, n_have, gone, want, n_want, new);
		cr_assert(gone[n_have] && new[n_want]);
		for (size_t i = 0; i < n_have; i++)
			if (gone[i])
				last &= ~(1u << (have[i] / 10 - 1));
		for (size_t i = 0; i < n_want; i++)
			if (new[i]) {
				cr_assert(eq(int, tick, KT_EXIT_PUBLISH));
				last |= 1u << (want[i] / 10 - 1);
			}
		n_ticks++;
	} while (tick != KT_EXIT_HOLD && n_ticks < 5);
	cr_assert(eq(u32, last, seen));
	cr_assert(le(u32, n_ticks, 3));
}

Test(exit_watch, every_pair_of_sets)
{
	for (unsigned int last = 0; last < 16; last++)
		for (unsigned int seen = 0; seen < 16; seen++)
			check_ticks(last, seen);
}

Test(exit_watch, no_address_is_armed_without_its_scheduler)
{
	static const enum kt_exit_tick ticks[] = { KT_EXIT_HOLD, KT_EXIT_PUBLISH, KT_EXIT_DISARM,
						   KT_EXIT_REBIND };

	for (size_t i = 0; i < KT_ARRAY_LEN(ticks); i++) {
		bool armed = ticks[i] != KT_EXIT_PUBLISH, sched = armed;
		enum kt_exit_store stores[2];
		size_t n = kt_exit_plan(ticks[i], stores);

		cr_assert(eq(sz, n, ticks[i] == KT_EXIT_HOLD ? 0 : 2));
		for (size_t j = 0; j < n; j++) {
			if (stores[j] == KT_EXIT_SET_ADDRESS || stores[j] == KT_EXIT_CLEAR_ADDRESS)
				armed = stores[j] == KT_EXIT_SET_ADDRESS;
			else
				sched = stores[j] == KT_EXIT_SET_SCHED;
			cr_assert(sched || !armed, "tick %zu, store %zu", i, j);
		}
		cr_assert(eq(int, armed, ticks[i] == KT_EXIT_HOLD || ticks[i] == KT_EXIT_PUBLISH));
		cr_assert(eq(int, sched, armed), "tick %zu", i);
	}
}

#define DONE  1u
#define UNREG 64u
#define ERROR 1024u
#define STALL 1026u

static const struct kt_exit_kinds kinds = { .done = DONE, .error = ERROR };

static enum kt_exit_hit hit(struct kt_exit_track *track, uint32_t value)
{
	return kt_exit_track_hit(track, &kinds, true, value);
}

Test(exit_watch, an_error_is_claimed_and_told_once)
{
	struct kt_exit_track track = { .sched = A };

	cr_assert(eq(int, hit(&track, DONE), KT_EXIT_NOTHING), "without an error");
	cr_assert(eq(int, hit(&track, STALL), KT_EXIT_CLAIMED));
	cr_assert(eq(u32, track.kind, STALL));
	cr_assert(eq(int, hit(&track, ERROR), KT_EXIT_NOTHING), "an error is claimed once");
	cr_assert(eq(u32, track.kind, STALL));
	cr_assert(eq(int, hit(&track, DONE), KT_EXIT_TOLD));
	cr_assert(eq(int, hit(&track, DONE), KT_EXIT_NOTHING), "it is told once");
	cr_assert(eq(int, hit(&track, STALL), KT_EXIT_NOTHING));
}

Test(exit_watch, a_detach_is_no_error)
{
	struct kt_exit_track track = { .sched = A };

	cr_assert(eq(int, hit(&track, UNREG), KT_EXIT_LEAVES));
	cr_assert(eq(int, hit(&track, DONE), KT_EXIT_NOTHING));
	cr_assert(eq(int, hit(&track, 0), KT_EXIT_NOTHING));
	cr_assert(eq(int, hit(&track, ERROR - 1), KT_EXIT_LEAVES));
	cr_assert(zero(u32, track.kind));
	cr_assert(eq(int, hit(&track, ERROR), KT_EXIT_CLAIMED), "the first of the errors is one");
	cr_assert(eq(int, hit(&track, UNREG), KT_EXIT_NOTHING),
		  "behind an error it is nothing new");
}

Test(exit_watch, a_hit_on_a_scheduler_that_is_gone_reads_nothing_stale)
{
	struct kt_exit_track track = { .sched = A };

	cr_assert(eq(int, kt_exit_track_hit(&track, &kinds, false, STALL), KT_EXIT_STALE));
	cr_assert(eq(int, kt_exit_track_hit(&track, &kinds, false, UNREG), KT_EXIT_STALE));
	cr_assert(zero(u32, track.kind));
	cr_assert(eq(int, hit(&track, STALL), KT_EXIT_CLAIMED));
	cr_assert(eq(int, kt_exit_track_hit(&track, &kinds, false, DONE), KT_EXIT_STALE));
	cr_assert(not(track.told));
}

/* ---- captures ---------------------------------------------------------------------------------
 */

Test(captures, every_state_and_event)
{
	static const struct {
		enum kt_dual_state state;
		enum kt_dual_event event;
		bool wants_early;
		enum kt_dual_act act;
		enum kt_dual_state next;
	} cases[] = {
		{ KT_DUAL_IDLE, KT_DUAL_WAITS, false, KT_DUAL_NOTHING, KT_DUAL_IDLE },
		{ KT_DUAL_IDLE, KT_DUAL_WAITS, true, KT_DUAL_TAKE_EARLY, KT_DUAL_TOOK_EARLY },
		{ KT_DUAL_IDLE, KT_DUAL_CLAIMED, false, KT_DUAL_TAKE_LATE, KT_DUAL_DONE },
		{ KT_DUAL_IDLE, KT_DUAL_CLAIMED, true, KT_DUAL_TAKE_LATE, KT_DUAL_DONE },
		{ KT_DUAL_IDLE, KT_DUAL_REFUSED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_IDLE, KT_DUAL_ENDED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_TOOK_EARLY, KT_DUAL_WAITS, true, KT_DUAL_NOTHING, KT_DUAL_TOOK_EARLY },
		{ KT_DUAL_TOOK_EARLY, KT_DUAL_CLAIMED, true, KT_DUAL_TAKE_LATE, KT_DUAL_DONE },
		{ KT_DUAL_TOOK_EARLY, KT_DUAL_REFUSED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_TOOK_EARLY, KT_DUAL_ENDED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_DONE, KT_DUAL_WAITS, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_DONE, KT_DUAL_CLAIMED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_DONE, KT_DUAL_REFUSED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
		{ KT_DUAL_DONE, KT_DUAL_ENDED, true, KT_DUAL_NOTHING, KT_DUAL_DONE },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_dual dual = { .wants_early = cases[i].wants_early,
					.state = cases[i].state };

		cr_assert(eq(int, kt_dual_on(&dual, cases[i].event), cases[i].act), "case %zu", i);
		cr_assert(eq(int, dual.state, cases[i].next), "case %zu", i);
		cr_assert(eq(int, dual.suppressed,
			     cases[i].event == KT_DUAL_REFUSED && cases[i].state != KT_DUAL_DONE),
			  "case %zu", i);
	}
}

/* What the captures amount to, by the qualities of both and whether the error was refused. */
Test(captures, every_outcome)
{
	static const char *const names[3][3] = {
		/* early: none, late: none, degraded, whole */
		{ "none", "late-degraded", "single" },
		{ "early-only-late-never-fired", "early-pre-late-degraded", "early-degraded" },
		{ "early-only-late-never-fired", "early-pre-late-degraded", "dual" },
	};

	for (int early = 0; early < 3; early++) {
		for (int late = 0; late < 3; late++) {
			struct kt_dual dual = { .wants_early = true };

			if (early != KT_CAPTURE_NONE)
				kt_dual_took(&dual, kt_dual_on(&dual, KT_DUAL_WAITS),
					     (enum kt_capture_quality)early);
			if (late != KT_CAPTURE_NONE)
				kt_dual_took(&dual, kt_dual_on(&dual, KT_DUAL_CLAIMED),
					     (enum kt_capture_quality)late);
			(void)kt_dual_on(&dual, KT_DUAL_ENDED);
			cr_assert(eq(str, (char *)kt_dual_schema_name(kt_dual_schema(&dual)),
				     (char *)names[early][late]));
		}
	}
}

Test(captures, an_error_without_a_capture)
{
	struct kt_dual refused = { .wants_early = true }, failed = { .wants_early = true };

	kt_dual_took(&refused, kt_dual_on(&refused, KT_DUAL_WAITS), KT_CAPTURE_WHOLE);
	kt_dual_took(&refused, kt_dual_on(&refused, KT_DUAL_REFUSED), KT_CAPTURE_NONE);
	cr_assert(eq(int, kt_dual_schema(&refused), KT_DUAL_SCHEMA_EARLY_ONLY_LATE_SUPPRESSED));
	kt_dual_took(&failed, kt_dual_on(&failed, KT_DUAL_WAITS), KT_CAPTURE_WHOLE);
	kt_dual_took(&failed, kt_dual_on(&failed, KT_DUAL_CLAIMED), KT_CAPTURE_NONE);
	cr_assert(eq(int, kt_dual_schema(&failed), KT_DUAL_SCHEMA_EARLY_ONLY_LATE_SUPPRESSED));
}

Test(captures, a_watch_is_limited_and_counted)
{
	struct kt_watch_limit limit = { .interval_ns = 100, .n_max = 3 };
	unsigned int taken = 0;

	for (uint64_t now = 1000; now < 2000; now++)
		taken += kt_watch_limit_take(&limit, now);
	cr_assert(eq(u32, taken, 3));
	cr_assert(eq(u64, limit.n_hits, 1000));
	cr_assert(eq(u64, limit.n_taken, 3));
	cr_assert(eq(u64, limit.n_left_out, 997));
	cr_assert(eq(u64, limit.last_ns, 1200));
	limit = (struct kt_watch_limit){ .interval_ns = 100, .n_max = 2 };
	cr_assert(kt_watch_limit_take(&limit, 1), "no hit was before the first");
	limit = (struct kt_watch_limit){ .n_max = 2 };
	cr_assert(kt_watch_limit_take(&limit, 0), "a first hit at the guest's first moment");
	cr_assert(kt_watch_limit_take(&limit, 0), "without a limit of the rate");
	cr_assert(not(kt_watch_limit_take(&limit, 1)));
	limit = (struct kt_watch_limit){ .n_max = 0 };
	cr_assert(not(kt_watch_limit_take(&limit, 1)), "hits are only counted");
}

/* ---- conditions -------------------------------------------------------------------------------
 */

Test(watch, every_comparison)
{
	/* by enum kt_watch_compare: does it hold for a value below, equal to and above 5? */
	static const bool holds[KT_WATCH_N_COMPARES][3] = {
		[KT_WATCH_ALWAYS] = { true, true, true }, [KT_WATCH_EQ] = { false, true, false },
		[KT_WATCH_NE] = { true, false, true },    [KT_WATCH_LT] = { true, false, false },
		[KT_WATCH_LE] = { true, true, false },    [KT_WATCH_GT] = { false, false, true },
		[KT_WATCH_GE] = { false, true, true },
	};

	for (int compare = 0; compare < KT_WATCH_N_COMPARES; compare++) {
		struct kt_watch watch = {
			.len = 4,
			.when = { .compare = (enum kt_watch_compare)compare, .number = 5 },
		};

		for (uint64_t i = 0; i < 3; i++)
			cr_assert(eq(int, kt_watch_holds(&watch, 4 + i), holds[compare][i]),
				  "comparison %d with %d", compare, (int)(4 + i));
	}
}

/* A guest may ask for anything. */
Test(watch, a_comparison_that_is_none_never_holds)
{
	const struct kt_watch watch = { .len = 4, .when = { .compare = KT_WATCH_N_COMPARES } };

	for (uint64_t i = 0; i < 3; i++)
		cr_assert(not(kt_watch_holds(&watch, i)));
}

Test(watch, signs_widths_and_bit_fields)
{
	struct kt_watch watch = { .len = 4, .when = { KT_WATCH_LT, .is_signed = true } };

	cr_assert(kt_watch_holds(&watch, 0xffffffff), "-1 < 0");
	cr_assert(not(kt_watch_holds(&watch, 0x7fffffff)));
	cr_assert(not(kt_watch_holds(&watch, 0xffffffff00000000)), "4 bytes count");
	watch.when.is_signed = false;
	watch.when.number = 1;
	cr_assert(not(kt_watch_holds(&watch, 0xffffffff)));
	watch.len = 8;
	cr_assert(eq(u64, kt_watch_value(&watch, UINT64_MAX), UINT64_MAX));
	watch.when.is_signed = true;
	watch.when.number = (uint64_t)-4;
	cr_assert(eq(u64, kt_watch_value(&watch, (uint64_t)-5), (uint64_t)-5));
	cr_assert(kt_watch_holds(&watch, (uint64_t)-5), "-5 < -4");
	cr_assert(not(kt_watch_holds(&watch, 5)));
	watch.when.is_signed = false;
	watch.when.bit_shift = 3;
	watch.when.bit_size = 2;
	cr_assert(eq(u64, kt_watch_value(&watch, 0x10), 2));
	cr_assert(eq(u64, kt_watch_value(&watch, 0xffe7), 0));
	watch.when.is_signed = true;
	cr_assert(eq(u64, kt_watch_value(&watch, 0x10), (uint64_t)-2));
}

/* ---- on the wire ------------------------------------------------------------------------------
 */

_Static_assert((int)KT_WATCH_N_COMPARES == KT_WOP_COMPARES, "comparisons are those of the wire");

static const struct kt_wop_request asked = {
	.id = 7,
	.op = KT_WOP_WATCH,
	.on_access = true,
	.compare = KT_WATCH_GE,
	.len = 4,
	.number = UINT64_MAX,
	.interval_ns = 5,
	.n_max = 6,
	.elapsed_ns = 8,
	.name = "errors",
	.path = "scx_root->exit_kind",
};

Test(watch_op, a_request_is_decoded_as_it_was_encoded)
{
	struct kt_wop_request got;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(zero(int, kt_wop_request_encode(&asked, &data, &len)));
	cr_assert(zero(int, kt_wop_request_decode(data, len, &got, &err)), "%s", err.text);
	cr_assert(zero(int, memcmp(&got, &asked, sizeof(got))));
	for (size_t i = 0; i < len; i++)
		cr_assert(eq(int, kt_wop_request_decode(data, i, &got, &err), -EBADMSG));
}

/* By the number of the word of the record, and a value that it cannot have. */
Test(watch_op, a_malformed_request_is_refused)
{
	static const struct {
		size_t word;
		uint32_t value;
	} cases[] = {
		{ 1, 0 }, { 1, KT_WOP_END }, { 2, 2 },   { 3, KT_WOP_COMPARES }, { 5, 7 },
		{ 5, 5 }, { 5, UINT32_MAX }, { 6, 500 }, { 6, UINT32_MAX },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_wop_request got;
		struct kt_err err = KT_ERR_NULL;
		KT_FREE void *data = NULL;
		size_t len;

		cr_assert(zero(int, kt_wop_request_encode(&asked, &data, &len)));
		memcpy((char *)data + 4 * cases[i].word, &cases[i].value, 4);
		cr_assert(eq(int, kt_wop_request_decode(data, len, &got, &err), -EBADMSG),
			  "case %zu", i);
	}
}

Test(watch_op, a_reply_is_decoded_as_it_was_encoded)
{
	const struct kt_wop_reply said = { .id = 7, .result = -ENOENT, .text = "no such path" };
	struct kt_wop_reply got;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	static char flood[KT_WOP_ERROR_MAX + 9];
	size_t len;

	cr_assert(zero(int, kt_wop_reply_encode(&said, &data, &len)));
	cr_assert(zero(int, kt_wop_reply_decode(data, len, &got, &err)), "%s", err.text);
	cr_assert(zero(int, memcmp(&got, &said, sizeof(got))));
	cr_assert(eq(int, kt_wop_reply_decode(data, 7, &got, &err), -EBADMSG));
	cr_assert(eq(int, kt_wop_reply_decode(flood, sizeof(flood), &got, &err), -EBADMSG));
}
