/* SPDX-License-Identifier: MIT */
#pragma once
/* Reads TAP, and the kernel's KTAP (Documentation/dev-tools/ktap.rst), from a payload's output. */

#include <stdbool.h>
#include <stddef.h>

#define KT_TAP_TEXT_MAX 200u /* bytes of a line that are kept */

/* What the TAP of one program says. The results of nested tests are in those of their parents. */
struct kt_tap {
	bool has_plan;
	unsigned int planned;             /* number of results that the plan announces */
	unsigned int n_results;           /* "ok" and "not ok" */
	unsigned int n_failed;            /* "not ok" without SKIP, TODO or XFAIL behind it */
	unsigned int n_skipped;           /* results with SKIP behind them */
	bool skips_all;                   /* the plan is "1..0 # SKIP" */
	bool bails_out;                   /* there is a line "Bail out!" */
	char reason[KT_TAP_TEXT_MAX + 1]; /* of the first SKIP, or of bailing out; may be "" */
};

/*
 * Reads @len bytes of @text, which may be anything: lines that are no TAP are passed over. Calls
 * @on_failed, if it is not NULL, with each "not ok" that counts as failed: the line without its
 * end, @line_len bytes, at most KT_TAP_TEXT_MAX.
 */
void kt_tap_read(const char *text, size_t len, struct kt_tap *ret_tap,
		 void (*on_failed)(void *data, const char *line, size_t line_len), void *data);
