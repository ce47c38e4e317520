/* SPDX-License-Identifier: MIT */
#pragma once
/* The payloads of a run: which of its tests' are installed, and what of them goes into the guest. */

#include <stdio.h>

#include <ktest/payload.h>

#include "framework/image.h"

/* Where payloads are in the guest: /payloads/NAME/. */
#define KT_PAYLOAD_DIR "/payloads"

struct kt_payload_place {
	const struct kt_payload *payload;
	char *binary;                  /* on the host; NULL: it is not installed */
	struct kt_image_extra *extras; /* the program and its files */
	size_t n_extras;
};

/* Those that a selection of tests uses. A place is the package of the same index in the image. */
struct kt_payloads {
	struct kt_payload_place *places;
	struct kt_image_package *packages;
	size_t n;
};

#define KT_PAYLOADS_NULL ((struct kt_payloads){ .n = 0 })

/*
 * Looks for the payloads of @tests. One that is not installed is no error. Only what tests use that
 * can run is to be packed: the packages of others are empty.
 */
int kt_payloads_init(struct kt_payloads *payloads, const struct kt_test *const *tests,
		     size_t n_tests, struct kt_err *reterr);
void kt_payloads_deinit(struct kt_payloads *payloads);

/* The packages of a test. */
uint64_t kt_payloads_packages(const struct kt_payloads *payloads, const struct kt_test *test);

/* Why the test cannot run, to be freed; NULL when its payloads are all installed. */
char *kt_payloads_missing(const struct kt_payloads *payloads, const struct kt_test *test);

/* Writes what is wrong with the declarations to @out; returns how many faults there are. */
unsigned int kt_payloads_validate(const struct kt_payload_node *nodes, FILE *out);
