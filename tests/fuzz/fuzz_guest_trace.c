/* SPDX-License-Identifier: MIT */
/* The trace that a guest has sent, as tracks: each event lies within the test. */
#include <math.h>
#include <string.h>

#include "framework/report/guest_trace.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

#define ROOM ((size_t)1 << 20)

/* Runs from 1 ms to 2 ms after the file's beginning. */
static struct kt_span put_run(struct kt_outcome *outcome, const struct kt_tracks *tracks)
{
	outcome->mips = 100;
	outcome->result.duration_ns = 5000000;
	return (struct kt_span){ tracks->began_ns + 1000000, tracks->began_ns + 2000000 };
}

static void check_event(const json_t *event)
{
	double begin_us = json_number_value(json_object_get(event, "ts"));
	double len_us = json_number_value(json_object_get(event, "dur"));

	KT_FUZZ_ASSERT(json_is_string(json_object_get(event, "name")));
	if (!strcmp(kt_json_str(event, "ph"), "M"))
		return;
	KT_FUZZ_ASSERT(isgreaterequal(begin_us, 999.999) && isgreaterequal(len_us, 0));
	KT_FUZZ_ASSERT(islessequal(begin_us + len_us, 2000.001));
}

static void check_file(struct kt_tracks *tracks)
{
	KT_JSON json_t *json = NULL;
	const json_t *event;
	size_t len, i;
	KT_FREE char *text = kt_tracks_text(tracks, json_object(), &len);

	KT_FUZZ_ASSERT(text && kt_json_parse(text, len, "file", &json, NULL) == 0);
	json_array_foreach(json_object_get(json, "traceEvents"), i, event) check_event(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_CLEANUP(kt_guest_trace_deinit) struct kt_guest_trace trace = KT_GUEST_TRACE_NULL;
	KT_CLEANUP(kt_tracks_deinit) struct kt_tracks tracks;
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_guest_clock clock;

	KT_FUZZ_ASSERT(kt_tracks_init(&tracks) == 0);
	if (kt_guest_trace_init(&trace, kt_fuzz_text(data, size), size) == 0) {
		clock = kt_guest_clock_of(&outcome, put_run(&outcome, &tracks), trace.lead_ns);
		KT_FUZZ_ASSERT(kt_guest_trace_put(&trace, &clock, 2, ROOM, &tracks) >= 0);
		check_file(&tracks);
	}
	return 0;
}
