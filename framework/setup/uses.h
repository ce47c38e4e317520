/* SPDX-License-Identifier: MIT */
#pragma once
/* What a test uses: the payloads and schedulers that its declaration and its steps name. */

#include <stddef.h>

#include <ktest/payload.h>
#include <ktest/scheduler.h>
#include <ktest/test.h>

enum kt_use_kind {
	KT_USE_PAYLOAD,   /* a program */
	KT_USE_SCHEDULER, /* a program that loads a scheduler */
	KT_USE_OBJECT,    /* a BPF object, which ktest loads itself */
};

/* The kind as messages name it: "payload" or "scheduler". */
static inline const char *kt_use_kind_name(enum kt_use_kind kind)
{
	return kind == KT_USE_PAYLOAD ? "payload" : "scheduler";
}

/* One declaration that is used. Everything is borrowed from it. */
struct kt_use {
	enum kt_use_kind kind;
	const void *declaration; /* struct kt_payload or struct kt_scheduler */
	const char *name;        /* also of its directory in the guest */
	const char *path;        /* .binary or .object, as declared */
	const char *package; /* of the distribution, to be installed if it is missing; or NULL */
	const char *const *files; /* of a payload, beside its program: NULL-terminated; or NULL */
};

/* Each declaration once, in the order in which the test names them. */
struct kt_uses {
	struct kt_use *at; /* owned */
	size_t n;          /* without a bound */
};

/* Lists what @test uses. Returns 0 or -ENOMEM. */
int kt_uses_init(struct kt_uses *uses, const struct kt_test *test);
void kt_uses_deinit(struct kt_uses *uses);
