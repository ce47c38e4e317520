/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Under the address sanitizer, a test that leaks fails. UNIT_SUITE(name) is needed for every suite
 * of a file.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>

/* Criterion ignores assertions that fail here, but not a crash. */
static inline void fail_on_leaks(void)
{
	if (__lsan_do_recoverable_leak_check())
		abort();
}
#define UNIT_SUITE(name) TestSuite(name, .fini = fail_on_leaks)
#else
#define UNIT_SUITE(name) TestSuite(name)
#endif
