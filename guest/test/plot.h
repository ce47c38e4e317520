/* SPDX-License-Identifier: MIT */
#pragma once
/* A series as a small plot in text. */

#include "guest/test/series.h"

/*
 * A line for each point: its name, time and value, and a bar between the least and the greatest
 * value. The point @at is marked; of a long series, the lines around it are shown. A text to be
 * freed; NULL: out of memory.
 */
char *kt_plot(const struct kt_series_point *points, size_t n, size_t at);
