/* SPDX-License-Identifier: MIT */
#pragma once
/* The end of every process but PID 1: what a test has left behind, or never knew of. */

#include <stdint.h>

#include "util/err.h"

/* Kills and reaps them all; -ETIMEDOUT names one that has not died by @deadline_ns. */
int kt_reap_all(uint64_t deadline_ns, struct kt_err *reterr);
