/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of KT_PERF(), and what its gates are with their defaults. */

#include <ktest/perf.h>

#include "framework/metric/gate.h"
#include "util/err.h"

/* The gate with what it leaves out: of the payload's declaration, or the built-in one. */
struct kt_gate kt_perf_gate(const struct kt_perf *perf);

/* -EINVAL with the reason when the gate can never be right. */
int kt_perf_check(const struct kt_perf *perf, struct kt_err *reterr);
