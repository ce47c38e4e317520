/* SPDX-License-Identifier: MIT */
#pragma once
/* The kernel of tests/walk_kernel.h, which the tests of a file share. */

#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/walk_kernel.h"

#define WILD UINT64_C(0xffffc90000001000) /* mapped to nothing */

static struct walk_kernel kernel;

static inline void begin(void)
{
	walk_kernel_init(&kernel);
}

static inline void end(void)
{
	walk_kernel_deinit(&kernel);
}

static inline void set(uint64_t kva, uint64_t value)
{
	tiny_set(&kernel.tiny, kva, value, 8);
}

static inline void expect_text(const struct kt_err *err, const char *text)
{
	cr_assert(strstr(err->text, text) != NULL, "\"%s\" is not in \"%s\"", text, err->text);
}
