/* SPDX-License-Identifier: MIT */
#pragma once
/* A kernel of tests/tiny_kernel.h, looked at. */

#include <string.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"

struct view {
	struct tiny_kernel kernel;
	struct kt_inspect *inspect;
};

static inline void open_view(struct view *view, const struct tiny_options *options)
{
	struct kt_err err = KT_ERR_NULL;

	tiny_kernel_init(&view->kernel, options);
	cr_assert(zero(int, kt_inspect_open(view->kernel.ram, NULL, &view->inspect, &err)), "%s",
		  err.text);
}

static inline void close_view(struct view *view)
{
	view->inspect = kt_inspect_close(view->inspect);
	tiny_kernel_deinit(&view->kernel);
}

static inline uint64_t value_of(struct view *view, const char *path)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t value = 0;

	cr_assert(zero(int, kt_inspect_value(view->inspect, path, &value, &err)), "%s", err.text);
	return value;
}

static inline void expect_error(struct view *view, const char *path, int code, const char *text)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	int r = kt_inspect_resolve(view->inspect, path, &place, &err);

	cr_assert(eq(int, r, code), "'%s' gives %d: %s", path, r, err.text);
	cr_assert(strstr(err.text, text) != NULL, "'%s' gives \"%s\", not \"%s\"", path, err.text,
		  text);
}
