/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The cargo of a run: the payloads and schedulers that its tests bring into the guest. The cargo
 * says which of them exist on the host, which test uses which, and which files of them are
 * packed.
 */

#include <stdbool.h>

#include <ktest/payload.h>
#include <ktest/scheduler.h>

#include "framework/image/image.h"

/* Where the guest has their files: /payloads/NAME/ and /schedulers/NAME/. */
#define KT_PAYLOAD_DIR   "/payloads"
#define KT_SCHEDULER_DIR "/schedulers"

enum kt_cargo_kind {
	KT_CARGO_PAYLOAD,   /* a program */
	KT_CARGO_SCHEDULER, /* a program that loads a scheduler */
	KT_CARGO_OBJECT,    /* a BPF object, which ktest loads */
};

/* The kind as messages name it: "payload" or "scheduler". */
static inline const char *kt_cargo_kind_name(enum kt_cargo_kind kind)
{
	return kind == KT_CARGO_PAYLOAD ? "payload" : "scheduler";
}

/* A KT_PAYLOAD() or KT_SCHEDULER(), in one form. All pointers are borrowed from the declaration. */
struct kt_cargo_item {
	enum kt_cargo_kind kind;
	const void *declaration;  /* struct kt_payload or kt_scheduler; the identity of the item */
	const char *name;         /* as declared; also its directory in the guest */
	const char *path;         /* .binary or .object, as declared */
	const char *package;      /* of the distribution, to be named when it is missing; or NULL */
	const char *const *files; /* of a payload, beside its program; NULL-terminated, or NULL */
};

/* An item and its files on the host. */
struct kt_cargo_place {
	struct kt_cargo_item item;
	char *path;                    /* the program or object; NULL: it does not exist */
	struct kt_image_extra *extras; /* the program and its files; owned */
	size_t n_extras;               /* 0: nothing is packed, as no test that can run uses it */
};

/* What one test uses: each place once, in the order in which the test first mentions them. */
struct kt_cargo_use {
	const struct kt_test *test;
	size_t *places;    /* indices into the cargo's places; owned */
	size_t n;          /* without a bound */
	uint64_t packages; /* the same places as a set of kt_image_package_bit() */
};

/* A place and the image's package of the same index belong together. */
struct kt_cargo {
	struct kt_cargo_place *places;     /* each declaration once; owned */
	struct kt_image_package *packages; /* borrow their extras from the places; owned */
	size_t n;                          /* places, and packages */
	struct kt_cargo_use *uses;         /* one for each test, in the order of kt_cargo_init() */
	size_t n_uses;
};

#define KT_CARGO_NULL ((struct kt_cargo){ .n = 0 })

/*
 * Looks for the payloads and schedulers of @tests on the host. Only what tests that can run use
 * is packed; other packages stay empty. @cargo must be KT_CARGO_NULL, and is to be freed on
 * failure too.
 *
 * A file that does not exist is not an error: kt_cargo_missing() tells it. Errors: -ENOEXEC for a
 * program that is not ELF, -EINVAL for a file that is not regular, the errno of a file that
 * cannot be read, -ENOMEM.
 */
int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr);
void kt_cargo_deinit(struct kt_cargo *cargo);

/*
 * The questions below are about the tests that kt_cargo_init() was given; any other test uses
 * nothing.
 */

/* The packages that the test uses, as a set of kt_image_package_bit(). */
uint64_t kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test);

/*
 * Why the test cannot run, to be freed: the first of its payloads and schedulers that does not
 * exist on the host. NULL when all of them exist, or memory is short.
 */
char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test);

/*
 * The path on the host of the program or object of @declaration, a payload or scheduler. NULL
 * when it does not exist, or no test uses it.
 */
const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration);

/*
 * Calls @fn once for every scheduler that the test uses, until @fn returns other than 0. Returns
 * the last result of @fn, or 0.
 */
int kt_cargo_for_each_scheduler(const struct kt_cargo *cargo, const struct kt_test *test,
				int (*fn)(void *data, const struct kt_scheduler *scheduler),
				void *data);

/*
 * Whether the declaration of @test names a scheduler anywhere: in .scheduler, .schedulers, the
 * backdrop or a step. @test may be any test.
 */
bool kt_cargo_names_scheduler(const struct kt_test *test);
