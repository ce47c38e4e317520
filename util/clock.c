/* SPDX-License-Identifier: MIT */
#include "util/clock.h"

uint64_t kt_clock_skipped_ns;

void kt_clock_skip(uint64_t ns)
{
	kt_clock_skipped_ns += ns;
}
