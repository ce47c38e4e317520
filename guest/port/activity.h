/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What PID 1 is doing at the moment, for the message of a test that does not end in time. Setting
 * it costs next to nothing; the text is made only when it is asked for, by another thread. Strings
 * are copied, and cut where they are long, unless they are said to be static.
 */

/*
 * A part of the test begins: @phase (static) is ".run", "the hold", "the teardown". @step is the
 * index of the step, with its name, which may be NULL; -1: outside the steps. What was set by the
 * functions below is over.
 */
void kt_activity_begin(const char *phase, int step, const char *step_name);

/*
 * An operation begins: @name (static) of its macro, with its first argument, which may be NULL.
 * @index: in its list; -1: it has none. @name NULL: the operation has ended.
 */
void kt_activity_operate(int index, const char *name, const char *argument);

/* A wait for @what (static) of @whom begins; @whom may be NULL. @what NULL: it has ended. */
void kt_activity_await(const char *what, const char *whom);

/*
 * "the hold of step 1 (warm up)", "operation 2, KT_FREEZE_CGROUP(\"w\"), of ..., waiting for ...".
 * To be freed; NULL before the first part, or without memory. Any thread may call it.
 */
char *kt_activity_text(void);
