/* SPDX-License-Identifier: MIT */
#include "vmm/freeze/captures.h"

enum kt_dual_act kt_dual_on(struct kt_dual *dual, enum kt_dual_event event)
{
	if (dual->state == KT_DUAL_DONE)
		return KT_DUAL_NOTHING;
	switch (event) {
	case KT_DUAL_WAITS:
		if (!dual->wants_early || dual->state != KT_DUAL_IDLE)
			return KT_DUAL_NOTHING;
		dual->state = KT_DUAL_TOOK_EARLY;
		return KT_DUAL_TAKE_EARLY;
	case KT_DUAL_CLAIMED:
		dual->state = KT_DUAL_DONE;
		return KT_DUAL_TAKE_LATE;
	case KT_DUAL_REFUSED:
		dual->suppressed = true;
		dual->state = KT_DUAL_DONE;
		break;
	case KT_DUAL_ENDED:
		dual->state = KT_DUAL_DONE;
		break;
	case KT_DUAL_N_EVENTS:
		break;
	}
	return KT_DUAL_NOTHING;
}

/* A late capture that came to nothing is one that could not be taken. */
void kt_dual_took(struct kt_dual *dual, enum kt_dual_act act, enum kt_capture_quality quality)
{
	if (act == KT_DUAL_TAKE_EARLY)
		dual->early = quality;
	if (act == KT_DUAL_TAKE_LATE) {
		dual->late = quality;
		dual->suppressed = quality == KT_CAPTURE_NONE;
	}
}

enum kt_dual_schema kt_dual_schema(const struct kt_dual *dual)
{
	if (dual->late == KT_CAPTURE_NONE)
		return dual->early == KT_CAPTURE_NONE ? KT_DUAL_SCHEMA_NONE
		       : dual->suppressed             ? KT_DUAL_SCHEMA_EARLY_ONLY_LATE_SUPPRESSED
						      : KT_DUAL_SCHEMA_EARLY_ONLY_LATE_NEVER_FIRED;
	if (dual->early == KT_CAPTURE_NONE)
		return dual->late == KT_CAPTURE_WHOLE ? KT_DUAL_SCHEMA_SINGLE
						      : KT_DUAL_SCHEMA_LATE_DEGRADED;
	if (dual->late == KT_CAPTURE_DEGRADED)
		return KT_DUAL_SCHEMA_EARLY_PRE_LATE_DEGRADED;
	return dual->early == KT_CAPTURE_WHOLE ? KT_DUAL_SCHEMA_DUAL
					       : KT_DUAL_SCHEMA_EARLY_DEGRADED;
}

const char *kt_dual_schema_name(enum kt_dual_schema schema)
{
	static const char *const names[KT_DUAL_N_SCHEMAS] = {
		[KT_DUAL_SCHEMA_NONE] = "none",
		[KT_DUAL_SCHEMA_SINGLE] = "single",
		[KT_DUAL_SCHEMA_DUAL] = "dual",
		[KT_DUAL_SCHEMA_LATE_DEGRADED] = "late-degraded",
		[KT_DUAL_SCHEMA_EARLY_DEGRADED] = "early-degraded",
		[KT_DUAL_SCHEMA_EARLY_PRE_LATE_DEGRADED] = "early-pre-late-degraded",
		[KT_DUAL_SCHEMA_EARLY_ONLY_LATE_SUPPRESSED] = "early-only-late-suppressed",
		[KT_DUAL_SCHEMA_EARLY_ONLY_LATE_NEVER_FIRED] = "early-only-late-never-fired",
	};

	return names[schema];
}

bool kt_watch_limit_take(struct kt_watch_limit *limit, uint64_t now_ns)
{
	bool rests = limit->n_taken && now_ns - limit->last_ns < limit->interval_ns;

	limit->n_hits++;
	if (rests || limit->n_taken >= limit->n_max) {
		limit->n_left_out++;
		return false;
	}
	limit->n_taken++;
	limit->last_ns = now_ns;
	return true;
}
