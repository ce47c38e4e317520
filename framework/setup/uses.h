/* SPDX-License-Identifier: MIT */
#pragma once
/* What a test uses: the payloads and schedulers that its declaration and its steps name. */

#include <stddef.h>

#include <ktest/payload.h>
#include <ktest/scheduler.h>
#include <ktest/test.h>

enum kt_use_kind {
	KT_USE_PAYLOAD,
	KT_USE_SCHEDULER, /* a program */
	KT_USE_OBJECT,    /* a scheduler that ktest loads itself */
};

/* "payload", "scheduler". */
static inline const char *kt_use_kind_name(enum kt_use_kind kind)
{
	return kind == KT_USE_PAYLOAD ? "payload" : "scheduler";
}

/* One declaration that is used. Everything is borrowed from it. */
struct kt_use {
	enum kt_use_kind kind;
	const void *declaration; /* struct kt_payload or struct kt_scheduler */
	const char *name;
	const char *path; /* as declared */
	const char *package;
	const char *const *files;
};

/* Each declaration once, in the order in which the test names them. */
struct kt_uses {
	struct kt_use *at;
	size_t n;
};

/* Lists what @test uses. Returns 0 or -ENOMEM. */
int kt_uses_init(struct kt_uses *uses, const struct kt_test *test);
void kt_uses_deinit(struct kt_uses *uses);
