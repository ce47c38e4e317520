/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of a run bring into the guest, payloads and schedulers: where each file is on the
 * host, and which files are packed for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "framework/image/image.h"
#include "framework/setup/uses.h"

/* Directories in the guest: /payloads/NAME/ and /schedulers/NAME/. */
#define KT_PAYLOAD_DIR   "/payloads"
#define KT_SCHEDULER_DIR "/schedulers"

struct kt_cargo_place {
	struct kt_use use;
	char *path;                    /* of the file on the host, owned; NULL: there is none */
	struct kt_image_extra *extras; /* the file and what it brings along; owned */
	char *fault;                   /* why it cannot be packed; NULL: nothing is wrong; owned */
	size_t n_extras; /* 0: nothing is packed, because no test that can run uses it */
};

/* The cargo of one test. */
struct kt_cargo_test {
	const struct kt_test *test;
	struct kt_uses uses;
	struct kt_packages packages;  /* one for each use */
	char *fault;                  /* why the test is an ERROR; NULL: nothing is wrong; owned */
	const struct kt_use *missing; /* the first use without a file; NULL: all are there */
};

/* A place is the package of the same index in the image. */
struct kt_cargo {
	struct kt_cargo_place *places;     /* each declaration once; owned */
	struct kt_image_package *packages; /* with the extras of their place; owned */
	size_t n;                          /* of both */
	struct kt_cargo_test *tests;       /* ordered by address */
	size_t n_tests;
	const struct kt_image_extra *shared; /* packed with every scheduler; borrowed */
	size_t n_shared;
	bool with_disabled; /* tests that are disabled run, too, and need their files */
};

#define KT_CARGO_NULL ((struct kt_cargo){ .n = 0 })

/*
 * Computes the cargo of @tests into @cargo, which must be KT_CARGO_NULL but for @shared and
 * @with_disabled, which are used only here. A file that is missing is not an error; a program that
 * is not ELF, and a file that is not regular or cannot be read, is a fault of the tests that use
 * it. Returns 0 or -ENOMEM. kt_cargo_deinit() is due in any case.
 */
int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr);
void kt_cargo_deinit(struct kt_cargo *cargo);

/* Returns the cargo of @test; that of a test which kt_cargo_init() was not given is empty. */
const struct kt_cargo_test *kt_cargo_of(const struct kt_cargo *cargo, const struct kt_test *test);

/* Returns the set of packages that @test needs. */
struct kt_packages kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test);

/* Returns why @test cannot run, to be freed, or NULL when every file that it needs is there. */
char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test);

/*
 * Notes that @test cannot run because of @fault, which is copied. A fault that was noted before
 * stays. 0 or -ENOMEM.
 */
int kt_cargo_note_fault(struct kt_cargo *cargo, const struct kt_test *test, const char *fault);

/* Notes the faults of packages (kt_image_package_fault()) for the tests that use them. */
int kt_cargo_note_faults(struct kt_cargo *cargo, const struct kt_image *image);

/* Returns the path on the host of a declaration's file, or NULL. */
const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration);
