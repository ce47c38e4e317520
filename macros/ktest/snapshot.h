/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Snapshots: reports on the whole machine at one moment, and views of values in them. A test takes
 * one by KT_CAPTURE_SNAPSHOT() or kt_capture(), or periodically by .num_snapshots of struct
 * kt_test. docs/snapshots.md says what is in a report.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kt_capture() - takes a snapshot now, and keeps it until the end of the test under @name
 *
 * The name has 1 to 40 letters, digits, '_', '-' and '.'. One that is used again replaces the
 * snapshot, which standard error tells. A test keeps up to 64. The vCPUs stand still meanwhile: in
 * virtual time at the instruction that asks, in real time when the host has read the request, which
 * is shortly after; the task that asks may be in the kernel then, or wait.
 * Returns 0, or KT_FAILED with the failure recorded. Guest only; not for forked children.
 */
#define kt_capture(ctx, name)                                                                      \
	kt_capture_snapshot((ctx), (struct kt_where){ __FILE__, __LINE__ }, (name))
int kt_capture_snapshot(struct kt_ctx *ctx, struct kt_where where, const char *name);

/** enum kt_view_step_kind - what a step of a view does; the functions below set it */
enum kt_view_step_kind {
	KT_VIEW_STEP_NONE,
	KT_VIEW_STEP_MAP,
	KT_VIEW_STEP_VARIABLE,
	KT_VIEW_STEP_ACTIVE,
	KT_VIEW_STEP_AT,
	KT_VIEW_STEP_FIND,
	KT_VIEW_STEP_FIND_TEXT,
	KT_VIEW_STEP_MAX,
	KT_VIEW_STEP_CPU,
	KT_VIEW_STEP_GET,
};

#define KT_VIEW_STEPS 12 /* of one view */

/* A step of a view. */
struct kt_view_step {
	enum kt_view_step_kind kind;
	const char *text, *value;
	int64_t number;
};

/**
 * struct kt_view - a place in a snapshot, which is looked up when it is read
 *
 * The functions below return a view that goes further. Texts are not copied: they must exist until
 * the view is read. A view can be used any number of times.
 */
struct kt_view {
	struct kt_ctx *ctx;
	const char *snapshot; /* NULL: each periodic one */
	unsigned int n_steps;
	struct kt_view_step steps[KT_VIEW_STEPS];
};

/* kt_snapshot() - the report of the snapshot @name */
struct kt_view kt_snapshot(struct kt_ctx *ctx, const char *name);

/* kt_periodic() - the reports of all periodic snapshots, for the assertions of ktest/series.h */
struct kt_view kt_periodic(struct kt_ctx *ctx);

/*
 * kt_view_map() - a BPF map by its name, its id, or the end of its name from a dot on (".bss")
 * kt_view_variable() - a variable by its name: of the map that the view is at, else of all data
 *                      sections (.bss, .data, .rodata). If several have it, the view is ambiguous.
 * kt_view_active() - from here on, only maps that were loaded with the enabled scheduler count
 */
struct kt_view kt_view_map(struct kt_view view, const char *name);
struct kt_view kt_view_variable(struct kt_view view, const char *name);
struct kt_view kt_view_active(struct kt_view view);

/*
 * kt_view_at() - an entry of a map or of an array by its position, from 0 on
 * kt_view_find(), kt_view_find_text() - the first entry whose member @path has this value
 * kt_view_max() - the entry whose member @path is the greatest
 */
struct kt_view kt_view_at(struct kt_view view, unsigned int index);
struct kt_view kt_view_find(struct kt_view view, const char *path, int64_t number);
struct kt_view kt_view_find_text(struct kt_view view, const char *path, const char *text);
struct kt_view kt_view_max(struct kt_view view, const char *path);

/* kt_view_cpu() - the value of one CPU, of what has one for each */
struct kt_view kt_view_cpu(struct kt_view view, unsigned int cpu);

/*
 * kt_view_get() - a member by a dotted path: "scx.schedulers.0.name"
 *
 * A number in it is a position in an array. An entry of a map stands for its value, so that
 * "counter" is "value.counter".
 */
struct kt_view kt_view_get(struct kt_view view, const char *path);

/** enum kt_view_fault - why a view cannot be read */
enum kt_view_fault {
	KT_VIEW_OK,
	KT_VIEW_NO_SNAPSHOT,    /* no snapshot has the name */
	KT_VIEW_PLACEHOLDER,    /* the snapshot could not be taken */
	KT_VIEW_MISSING,        /* the report lacks this part, and says why */
	KT_VIEW_NO_SCHEDULER,   /* no scheduler is enabled */
	KT_VIEW_NO_MAP,         /* no map has the name */
	KT_VIEW_NO_VARIABLE,    /* no variable has the name */
	KT_VIEW_AMBIGUOUS,      /* several have it */
	KT_VIEW_NO_FIELD,       /* there is no such member */
	KT_VIEW_NOT_A_STRUCT,   /* it has no members, or no entries */
	KT_VIEW_TYPE_MISMATCH,  /* it cannot be read as what was asked for */
	KT_VIEW_OUT_OF_RANGE,   /* there is no entry with this index */
	KT_VIEW_NO_CPU,         /* there is no value of this CPU */
	KT_VIEW_NOT_NARROWED,   /* there is a value for each CPU: kt_view_cpu() */
	KT_VIEW_NO_MATCH,       /* no entry has this value */
	KT_VIEW_NOT_RENDERED,   /* it has no type, or a limit of the report has left it out */
	KT_VIEW_EMPTY_COMPONENT /* a component of a path is empty: "a..b" */
};

/** enum kt_view_form - as what a view is read */
enum kt_view_form {
	KT_VIEW_AS_NONE,
	KT_VIEW_AS_U64,
	KT_VIEW_AS_I64,
	KT_VIEW_AS_DOUBLE,
	KT_VIEW_AS_BOOL,
	KT_VIEW_AS_TEXT,
	KT_VIEW_AS_COUNT,
};

/**
 * kt_view_check() - whether a view can be read as @form, without recording a failure
 * @text: what is wrong, cut to @room bytes; NULL: nobody wants to know.
 */
enum kt_view_fault kt_view_check(struct kt_view view, enum kt_view_form form, char *text,
				 size_t room);

/**
 * kt_as_u64() and others - read the value of a view: kt_as_u64(view, &value)
 *
 * kt_as_u64(), kt_as_i64(): an integer; kt_as_double(): any number; kt_as_bool(): a truth value, or
 * 0 or 1; kt_as_text(): a text, or the name of an enumerator, cut to @room bytes; kt_as_count():
 * how many entries, elements or members there are.
 *
 * Return 0, or KT_FAILED with the failure recorded. For views of one snapshot; .check, .run and
 * .post_vm.
 */
#define kt_as_u64(view, value)                                                                     \
	kt_view_as_u64((struct kt_where){ __FILE__, __LINE__ }, (view), (value))
#define kt_as_i64(view, value)                                                                     \
	kt_view_as_i64((struct kt_where){ __FILE__, __LINE__ }, (view), (value))
#define kt_as_double(view, value)                                                                  \
	kt_view_as_double((struct kt_where){ __FILE__, __LINE__ }, (view), (value))
#define kt_as_bool(view, value)                                                                    \
	kt_view_as_bool((struct kt_where){ __FILE__, __LINE__ }, (view), (value))
#define kt_as_text(view, text, room)                                                               \
	kt_view_as_text((struct kt_where){ __FILE__, __LINE__ }, (view), (text), (room))
#define kt_as_count(view, n) kt_view_as_count((struct kt_where){ __FILE__, __LINE__ }, (view), (n))
int kt_view_as_u64(struct kt_where where, struct kt_view view, uint64_t *ret_value);
int kt_view_as_i64(struct kt_where where, struct kt_view view, int64_t *ret_value);
int kt_view_as_double(struct kt_where where, struct kt_view view, double *ret_value);
int kt_view_as_bool(struct kt_where where, struct kt_view view, bool *ret_value);
int kt_view_as_text(struct kt_where where, struct kt_view view, char *text, size_t room);
int kt_view_as_count(struct kt_where where, struct kt_view view, uint64_t *ret_n);

#ifdef __cplusplus
}
#endif
