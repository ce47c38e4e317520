/* SPDX-License-Identifier: MIT */
#pragma once
/* Checks of what workers report, against the limits of the test. */

#include "guest/test/ctx.h"
#include "guest/worker/report.h"

/* The limits of @test, over those of the binary. */
struct kt_checks kt_checks_of(const struct kt_test *test);

/* Why they cannot be, or NULL; for validation, on the host. */
const char *kt_checks_fault(const struct kt_checks *checks);

/* Records what does not hold as failures of the test, and what was not measured as inconclusive. */
void kt_check_reports(struct kt_ctx *ctx, const struct kt_reports *reports);
