/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Walks over the lists of a kernel as JSON, by the words that people use for them: "tasks",
 * "runqueues", "scx", "maps", "map NAME", "programs"; and all of them at once.
 *
 * Limits make a walk end, and end soon, whatever the guest's memory holds. What a limit leaves out
 * is said as in render.h: a last element {"truncated": N} of an array, where N is how many more
 * there are, or true when nobody has counted them. What cannot be read is {"error": TEXT} in its
 * place, and the rest goes on.
 *
 * tasks.h, runqueues.h, scx.h, maps.h and programs.h have the same for C.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/render.h"

struct kt_walk_limits {
	unsigned int tasks;            /* default 4096 */
	unsigned int queues;           /* dispatch queues, default 1024 */
	unsigned int queued;           /* tasks of one queue, default 64 */
	unsigned int maps;             /* default 256 */
	unsigned int entries;          /* of one map, default 32 */
	unsigned int programs;         /* default 1024 */
	uint64_t cpu_ns;               /* of the whole walk, default 1 s of CPU time; 0: no limit */
	struct kt_render_limits value; /* of one variable, key or value of a map */
};

#define KT_WALK_LIMITS_DEFAULT                                                                     \
	((struct kt_walk_limits){ .tasks = 4096,                                                   \
				  .queues = 1024,                                                  \
				  .queued = 64,                                                    \
				  .maps = 256,                                                     \
				  .entries = 32,                                                   \
				  .programs = 1024,                                                \
				  .cpu_ns = UINT64_C(1000000000),                                  \
				  .value = KT_RENDER_LIMITS_DEFAULT })

/* A walk that is under way. */
struct kt_walk {
	struct kt_inspect *inspect; /* borrowed */
	struct kt_walk_limits limits;
	uint64_t cpu_end_ns; /* on kt_thread_cpu_ns(); 0: none */
};

/* @limits may be NULL for the default. */
void kt_walk_init(struct kt_walk *walk, struct kt_inspect *inspect,
		  const struct kt_walk_limits *limits);

/* Whether it has used up its CPU time, as a list does that the guest has bent into a circle. */
bool kt_walk_is_late(const struct kt_walk *walk);

/* Appends {"truncated": @n} to an array; true in place of 0. */
void kt_walk_cut(json_t *array, uint64_t n);

/* Things of a kind, one after the other. */
struct kt_walk_source {
	/* Goes to the next one. 1: there is one; 0: there is none; below: it cannot be read. */
	int (*next)(void *data, struct kt_err *reterr);
	/* Shows the one that next() has gone to. */
	json_t *(*json)(struct kt_walk *walk, void *data);
	void *data;
};

/*
 * An array of the things, cut at @limit and when the time is up. One that cannot be read is an
 * error in its place. NULL: out of memory.
 */
json_t *kt_walk_array(struct kt_walk *walk, const struct kt_walk_source *source,
		      unsigned int limit);

/* A word, which may have one argument. *@ret_json has one reference. */
struct kt_walk_word {
	const char *name;
	const char *argument; /* what it is, for a usage text; NULL: the word has none */
	const char *help;
	int (*json)(struct kt_walk *walk, const char *argument, json_t **ret_json,
		    struct kt_err *reterr);
};

/* All of them; the last has no name. */
extern const struct kt_walk_word kt_walk_words[];

/* NULL when there is no such word. */
const struct kt_walk_word *kt_walk_word(const char *name);

/* Whether a text begins with such a word. No kernel has a variable of such a name. */
bool kt_is_walk(const char *text);

/* A word with its argument, "map pairs"; -EINVAL says which words there are. */
int kt_inspect_walk(struct kt_inspect *inspect, const char *words,
		    const struct kt_walk_limits *limits, json_t **ret_json, struct kt_err *reterr);

/*
 * All of a kernel: {"kernel": ..., "runqueues": [...], "scx": {...}, "maps": [...],
 * "programs": [...], "tasks": [...]}. Each of them may be {"error": TEXT} instead.
 */
int kt_inspect_render_all(struct kt_inspect *inspect, const struct kt_walk_limits *limits,
			  json_t **ret_json, struct kt_err *reterr);

/* Such JSON for people; a text to be freed. NULL: out of memory. */
char *kt_walk_text(const json_t *json);
