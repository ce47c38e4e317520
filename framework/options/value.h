/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Parsers of the values of options. They write the error for the user, which names the option, and
 * accept a value completely or not at all: -EINVAL.
 */

#include <ktest/work.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define KT_STRESS_COUNT_MAX 10000000u

/* A value that is written as a word. Tables of words end with a name of NULL. */
struct kt_word {
	const char *name;
	int value;
};

/* @what: the option, or what else the value belongs to. */
int kt_value_word(const char *what, const struct kt_word *words, const char *text, int *ret_value,
		  struct kt_err *reterr);
int kt_value_number(const char *what, const char *text, uint64_t min, uint64_t max,
		    unsigned int *ret_value, struct kt_err *reterr);
int kt_value_time(const char *what, const char *text, uint64_t *ret_ns, struct kt_err *reterr);
int kt_value_bytes(const char *what, const char *text, uint64_t *ret_bytes, struct kt_err *reterr);

/* Those of one option. */
int kt_value_budget(const char *text, unsigned int *ret_vcpus, struct kt_err *reterr);
int kt_value_multiplier(const char *text, double *ret_value, struct kt_err *reterr);
int kt_value_max_fail(const char *text, unsigned int *ret_value, bool *ret_at_once,
		      struct kt_err *reterr);
int kt_value_stress_count(const char *text, unsigned int *ret_value, struct kt_err *reterr);
int kt_value_work_type(const char *text, enum kt_work_type *ret_type, struct kt_err *reterr);
int kt_value_memory_budget(const char *text, unsigned int *ret_mib, struct kt_err *reterr);
int kt_value_seed(const char *text, uint64_t *ret_seed, struct kt_err *reterr);
int kt_value_gtest_output(const char *text, const char **ret_path, struct kt_err *reterr);

/* The CPUs that this process may use, which can be fewer than those of the host. */
unsigned int kt_online_cpus(void);
