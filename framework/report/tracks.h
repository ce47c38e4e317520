/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Tracks: a file in the trace format of Chrome while it is made. A track is a thread of a process,
 * by the numbers that the format calls so, and slices lie on it. Everything is on one clock, the
 * host's CLOCK_MONOTONIC from the moment at which the file was begun.
 */

#include <stdio.h>

#include "util/err.h"
#include "wire/json.h"

struct kt_tracks {
	FILE *out;    /* a memory stream into @events */
	char *events; /* belongs to @out */
	size_t events_len;
	size_t n_bytes; /* that were written */
	uint64_t began_ns;
};

struct kt_track {
	int process, thread;
};

/* CLOCK_MONOTONIC of the host. */
struct kt_span {
	uint64_t begin_ns, end_ns;
};

/* The file begins now. kt_tracks_deinit() must follow. Returns 0 or -ENOMEM. */
int kt_tracks_init(struct kt_tracks *tracks);
void kt_tracks_deinit(struct kt_tracks *tracks);

/* Microseconds from the beginning, in which the format counts; 0 for what was before. */
double kt_tracks_us(const struct kt_tracks *tracks, uint64_t ns);

/* Adds @event, which is released. Out of memory is told by kt_tracks_text(). */
void kt_tracks_put(struct kt_tracks *tracks, json_t *event);

/*
 * Adds a slice. @name is released, and so are the members of @more, which become some of the
 * event's; NULL: it has no others.
 */
void kt_tracks_put_slice(struct kt_tracks *tracks, struct kt_track track, const char *category,
			 json_t *name, struct kt_span span, json_t *more);

/* Names a track, or with "process_name" and the thread 0 a process. */
void kt_tracks_put_name(struct kt_tracks *tracks, const char *kind, struct kt_track track,
			const char *name);

/*
 * The whole file, to be freed, of *@ret_len bytes; @other is released, and becomes the object that
 * tells about the file. NULL when out of memory, now or before.
 */
char *kt_tracks_text(struct kt_tracks *tracks, json_t *other, size_t *ret_len);
