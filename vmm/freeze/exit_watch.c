/* SPDX-License-Identifier: MIT */
#include "vmm/freeze/exit_watch.h"

enum kt_exit_tick kt_exit_tick_decide(uint64_t last, uint64_t seen)
{
	if (last == seen)
		return KT_EXIT_HOLD;
	if (!last)
		return KT_EXIT_PUBLISH;
	return seen ? KT_EXIT_REBIND : KT_EXIT_DISARM;
}

/* Marks what of @set is not in @other; returns how many. */
static size_t mark_missing(const uint64_t *set, size_t n, const uint64_t *other, size_t n_other,
			   bool *ret_missing)
{
	size_t n_missing = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = 0;

		while (at < n_other && other[at] != set[i])
			at++;
		ret_missing[i] = at == n_other;
		n_missing += ret_missing[i];
	}
	return n_missing;
}

enum kt_exit_tick kt_exit_tick_decide_all(const uint64_t *last, size_t n_last, bool *ret_gone,
					  const uint64_t *seen, size_t n_seen, bool *ret_new)
{
	size_t n_gone = mark_missing(last, n_last, seen, n_seen, ret_gone);
	size_t n_new = mark_missing(seen, n_seen, last, n_last, ret_new);

	for (size_t i = 0; n_gone && i < n_seen; i++)
		ret_new[i] = false;
	return kt_exit_tick_decide(n_gone ? 1 : 0, n_new ? 2 : 0);
}

size_t kt_exit_plan(enum kt_exit_tick tick, enum kt_exit_store ret_stores[2])
{
	switch (tick) {
	case KT_EXIT_PUBLISH:
		ret_stores[0] = KT_EXIT_SET_SCHED;
		ret_stores[1] = KT_EXIT_SET_ADDRESS;
		return 2;
	case KT_EXIT_DISARM:
	case KT_EXIT_REBIND:
		ret_stores[0] = KT_EXIT_CLEAR_ADDRESS;
		ret_stores[1] = KT_EXIT_CLEAR_SCHED;
		return 2;
	case KT_EXIT_HOLD:
		break;
	}
	return 0;
}

enum kt_exit_hit kt_exit_track_hit(struct kt_exit_track *track, const struct kt_exit_kinds *kinds,
				   bool lives, uint32_t value)
{
	if (!lives)
		return KT_EXIT_STALE;
	if (!track->kind && value >= kinds->error) {
		track->kind = value;
		return KT_EXIT_CLAIMED;
	}
	if (!track->kind && value > kinds->done)
		return KT_EXIT_LEAVES;
	if (track->kind && !track->told && value == kinds->done) {
		track->told = true;
		return KT_EXIT_TOLD;
	}
	return KT_EXIT_NOTHING;
}
