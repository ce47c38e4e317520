/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of all tests of a binary, before the first one runs. */

#include <stdio.h>

#include <ktest/test.h>

/*
 * Writes a line "file:line: test: fault" to @out for each fault of each test in @tests. Returns the
 * number of faults. An empty list (NULL) is a fault.
 */
unsigned int kt_validate(const struct kt_test_node *tests, FILE *out);
