/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The story of a snapshot: what the scheduler did last, which task waited for how long and in which
 * queue, and what each CPU ran. It follows from reports alone. docs/snapshots.md describes it.
 *
 * A report says what a guest says. Whatever JSON stands there, there is a story, and it is short.
 */

#include <jansson.h>

/* Reports of one scheduler's end, by kt_snapshot_take(); each may be NULL. All are borrowed. */
struct kt_story_reports {
	const json_t *before; /* an earlier moment: what has run since then is told */
	const json_t *at;     /* the error is claimed, and all tasks are still where they waited */
	const json_t *told;   /* its message is complete */
};

/*
 * An object with at most KT_STORY_WAITING tasks and KT_STORY_CPUS CPUs; JSON's null when the
 * reports know no scheduler. NULL: out of memory.
 */
json_t *kt_story_make(const struct kt_story_reports *reports);

#define KT_STORY_WAITING 8u /* tasks that waited too long, the longest first */
#define KT_STORY_CPUS    64u
#define KT_STORY_RAN     3u   /* tasks that ran most on a CPU since the earlier moment */
#define KT_STORY_FRAMES  4u   /* of the stack on which the error was found */
#define KT_STORY_TEXT    400u /* bytes of a text of the guest; a longer one is cut */

/*
 * The story as lines for people, at most KT_STORY_LINES of them, without control characters and
 * with a newline behind each. To be freed. "" when there is none, NULL: out of memory.
 */
char *kt_story_text(const json_t *story);

#define KT_STORY_LINES 32u
