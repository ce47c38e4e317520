/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What tests bring with them into the guest, payloads and schedulers: which of a run's are there, and what of
 * them is packed.
 */

#include <stdbool.h>

#include <ktest/payload.h>
#include <ktest/scheduler.h>

#include "framework/image/image.h"

/* Where they are in the guest: /payloads/NAME/ and /schedulers/NAME/. */
#define KT_PAYLOAD_DIR   "/payloads"
#define KT_SCHEDULER_DIR "/schedulers"

enum kt_cargo_kind {
	KT_CARGO_PAYLOAD,
	KT_CARGO_SCHEDULER, /* a program */
	KT_CARGO_OBJECT,    /* a scheduler that ktest loads */
};

/* "payload", "scheduler". */
static inline const char *kt_cargo_kind_name(enum kt_cargo_kind kind)
{
	return kind == KT_CARGO_PAYLOAD ? "payload" : "scheduler";
}

/* A declaration; all is borrowed from it. */
struct kt_cargo_item {
	enum kt_cargo_kind kind;
	const void *declaration; /* struct kt_payload or kt_scheduler */
	const char *name;
	const char *path; /* as declared */
	const char *package;
	const char *const *files;
};

struct kt_cargo_place {
	struct kt_cargo_item item;
	char *path;                    /* on the host; NULL: it is not there */
	struct kt_image_extra *extras; /* the program and its files */
	size_t n_extras;
};

/* What one test uses: each place once, in the order in which the test mentions them first. */
struct kt_cargo_use {
	const struct kt_test *test;
	size_t *places; /* indices into the cargo's places */
	size_t n;
	uint64_t packages; /* the same as a set of kt_image_package_bit() */
};

/* What a selection of tests uses. A place is the package of the same index in the image. */
struct kt_cargo {
	struct kt_cargo_place *places;
	struct kt_image_package *packages;
	size_t n;
	struct kt_cargo_use *uses; /* one for each test, in the order of kt_cargo_init() */
	size_t n_uses;
};

#define KT_CARGO_NULL ((struct kt_cargo){ .n = 0 })

/*
 * Looks for the payloads and schedulers of @tests. One that is not there is no error. Only what tests use that
 * can run is to be packed: the packages of others are empty.
 */
int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr);
void kt_cargo_deinit(struct kt_cargo *cargo);

/* The packages of a test. */
uint64_t kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test);

/* Why the test cannot run, to be freed; NULL when all that it brings is there. */
char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test);

/* Where the file of a declaration is on the host; NULL when it is not there, or no test uses it. */
const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration);

/*
 * Calls @fn once for every scheduler that the test uses, until @fn returns other than 0. Returns
 * the last result of @fn, or 0.
 */
int kt_cargo_for_each_scheduler(const struct kt_cargo *cargo, const struct kt_test *test,
				int (*fn)(void *data, const struct kt_scheduler *scheduler),
				void *data);

/* Whether the test names a scheduler anywhere: in a list of its own, the backdrop or a step. */
bool kt_cargo_names_scheduler(const struct kt_test *test);
