/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Samples: the numbers of runs that are to be compared, read from the files that -o DIR has
 * written. The files are not trusted: they come from other hosts.
 */

#include <stdbool.h>
#include <stddef.h>

#include "framework/metric/judge.h"
#include "util/err.h"
#include "wire/result.h"

/* A number that a run of a test has measured. */
struct kt_sample {
	char *test;         /* owned; its memory holds @metric, too */
	const char *metric; /* never empty, as the test is not either */
	unsigned int run;   /* number of the file, from 0 */
	double value;
};

struct kt_samples {
	struct kt_sample *at;
	size_t n, n_room;
	unsigned int n_runs; /* files that were read, skipped tests included */
	unsigned int n_else; /* JSON files in the directory that are no results */
};

#define KT_SAMPLES_NULL ((struct kt_samples){ .n = 0 })

void kt_samples_deinit(struct kt_samples *samples);

/*
 * Adds the numbers of a file TEST.json, whose @len bytes are at @text. Of several attempts the last
 * one counts; of one that did not pass only that. @kernel: only of a test with that label, which is
 * removed from its name; NULL: of any. @name: the name of the test; NULL: the file's.
 *
 * Returns 0; -ENODATA for a JSON object that is no result; -EBADMSG for one that is damaged;
 * -E2BIG for more numbers than a comparison holds; -ENOMEM.
 */
int kt_samples_add(struct kt_samples *samples, const char *kernel, const char *name,
		   const char *text, size_t len, struct kt_err *reterr);

/* Adds the numbers of @result, of a test that has passed, as kt_samples_add() of its file would. */
int kt_samples_add_result(struct kt_samples *samples, const char *test,
			  const struct kt_result *result, struct kt_err *reterr);

/*
 * Reads what @path names:
 *   DIR          all results in a directory
 *   DIR[LABEL]   those of one of several kernels
 *   DIR/TEST     those of one test and all its rounds; TEST may have a [LABEL] and a ".json"
 *
 * @name: see above. Returns 0, -ENOENT when there are no results, or another negative errno. The
 * error names the file.
 */
int kt_samples_read(struct kt_samples *samples, const char *path, const char *name,
		    struct kt_err *reterr);

/* The order of samples by test and metric, as of strcmp(3). */
int kt_sample_order(const struct kt_sample *left, const struct kt_sample *right);

/* Whether @path is one test and not a directory. */
bool kt_samples_is_test(const char *path);

/*
 * Sorts by test, metric and run. Several values of a run, such as of a payload that ran twice, are
 * replaced by their mean.
 */
void kt_samples_sort(struct kt_samples *samples);

/* The values of a metric of a test, which are none if nothing is called so. They are sorted. */
struct kt_series kt_samples_series(const struct kt_samples *samples, const char *test,
				   const char *metric);
