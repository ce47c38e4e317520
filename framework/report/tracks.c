/* SPDX-License-Identifier: MIT */
#include "framework/report/tracks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

int kt_tracks_init(struct kt_tracks *tracks)
{
	*tracks = (struct kt_tracks){ .began_ns = kt_now_ns() };
	tracks->out = open_memstream(&tracks->events, &tracks->events_len);
	return tracks->out ? 0 : -ENOMEM;
}

void kt_tracks_deinit(struct kt_tracks *tracks)
{
	kt_fclosep(&tracks->out);
	free(tracks->events);
	*tracks = (struct kt_tracks){ .out = NULL };
}

double kt_tracks_us(const struct kt_tracks *tracks, uint64_t ns)
{
	return (double)(ns - KT_MIN(ns, tracks->began_ns)) / KT_NSEC_PER_USEC;
}

void kt_tracks_put(struct kt_tracks *tracks, json_t *event)
{
	KT_JSON json_t *owned = event;
	KT_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	int n = text ? fprintf(tracks->out, ",\n%s", text) : 0;

	tracks->n_bytes += n > 0 ? (size_t)n : 0;
}

/*
 * A slice ends a nanosecond before its end: readers count in whole ones, and two that touch would
 * overlap where one is rounded up and the other down. They drop a slice that overlaps.
 */
void kt_tracks_put_slice(struct kt_tracks *tracks, struct kt_track track, const char *category,
			 json_t *name, struct kt_span span, json_t *more)
{
	KT_JSON json_t *members = more;
	double begin_us = kt_tracks_us(tracks, span.begin_ns);
	uint64_t end_ns = span.end_ns - (span.end_ns > span.begin_ns);
	json_t *event =
		json_pack("{ss so ss sf sf si si}", "ph", "X", "name", name, "cat", category, "ts",
			  begin_us, "dur", kt_tracks_us(tracks, end_ns) - begin_us, "pid",
			  track.process, "tid", track.thread);

	if (event && members)
		(void)json_object_update(event, members);
	kt_tracks_put(tracks, event);
}

void kt_tracks_put_name(struct kt_tracks *tracks, const char *kind, struct kt_track track,
			const char *name)
{
	kt_tracks_put(tracks, json_pack("{ss ss si si s{so}}", "ph", "M", "name", kind, "pid",
					track.process, "tid", track.thread, "args", "name",
					kt_json_text(name, strlen(name))));
}

char *kt_tracks_text(struct kt_tracks *tracks, json_t *other, size_t *ret_len)
{
	KT_JSON json_t *owned = other;
	KT_FREE char *told = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	char *text = NULL;
	FILE *out = told ? open_memstream(&text, ret_len) : NULL;

	if (!out || fflush(tracks->out) || ferror(tracks->out)) {
		kt_fclosep(&out);
		free(text);
		return NULL;
	}
	/* The first event has a comma before it. */
	(void)fprintf(out, "{\"displayTimeUnit\":\"ms\",\"otherData\":%s,\"traceEvents\":[%s]}\n",
		      told, tracks->events_len ? tracks->events + 1 : "");
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
