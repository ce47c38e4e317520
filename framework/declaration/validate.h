/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of all tests of a binary, before the first one runs. */

#include <stdio.h>

#include <ktest/test.h>

/*
 * Writes a line "file:line: test: what is wrong" to @out for every fault of every test in @tests.
 * Returns the number of faults. No tests at all is a fault.
 */
unsigned int kt_validate(const struct kt_test_node *tests, FILE *out);
