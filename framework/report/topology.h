/* SPDX-License-Identifier: MIT */
#pragma once
/* The topology of a test's machine, for people and programs that read reports and lists. */

#include <jansson.h>

#include <ktest/test.h>

/*
 * A new object of what @test asks for, with the defaults filled in. It has "llc_cores" only if the
 * LLCs differ; "cores" is 0 then. NULL when out of memory.
 */
json_t *kt_report_topology(const struct kt_test *test);
