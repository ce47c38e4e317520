/* SPDX-License-Identifier: MIT */
#pragma once
/* Checks: limits of the test, compared with what its workers report. */

#include "guest/test/ctx.h"
#include "guest/worker/report.h"

/* Returns the limits of @test, merged with those of its scheduler and of the binary. */
struct kt_checks kt_checks_of(const struct kt_test *test);

/* Returns what is wrong with the limits, or NULL. For validation on the host. */
const char *kt_checks_fault(const struct kt_checks *checks);

/*
 * Compares @reports with the limits. A limit that is missed is a failure of the test; a limit that
 * nothing was measured for makes it inconclusive.
 */
void kt_check_reports(struct kt_ctx *ctx, const struct kt_reports *reports);
