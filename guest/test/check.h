/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The checks of workers: compares the reports of the workers with the limits of the test (struct
 * kt_checks). Payloads have checks of their own (guest/payload/check.h).
 */

#include "guest/test/ctx.h"
#include "guest/worker/report.h"

/*
 * The limits that hold for @test: its own, where it says nothing those of its scheduler, and where
 * that says nothing those of the binary (KT_DEFAULT_CHECKS()).
 */
struct kt_checks kt_checks_of(const struct kt_test *test);

/* A message why @checks cannot be used, for validation on the host; NULL when they can. */
const char *kt_checks_fault(const struct kt_checks *checks);

/*
 * Checks @reports, of all workers of the test. A limit that is missed is recorded as a failure; a
 * limit on something that was not measured makes the test INCONCLUSIVE.
 */
void kt_check_reports(struct kt_ctx *ctx, const struct kt_reports *reports);
