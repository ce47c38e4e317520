/* SPDX-License-Identifier: MIT */
#pragma once
/* The command line of a test binary, and the KTESTS_* variables that stand in for it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "framework/host.h"
#include "util/err.h"

enum kt_command {
	KT_COMMAND_RUN,
	KT_COMMAND_LIST,
	KT_COMMAND_SHELL,
	KT_COMMAND_KERNEL_FETCH,
	KT_COMMAND_KERNEL_LIST,
	KT_COMMAND_KERNEL_PATH,
	KT_COMMAND_HELP,
	KT_COMMAND_VERSION,
};

enum kt_list_format {
	KT_LIST_TERSE, /* "name: test", as libtest */
	KT_LIST_NAMES,
	KT_LIST_JSON,
	KT_LIST_GTEST, /* as --gtest_list_tests */
};

/* What is shown of each test as it ends; each includes those before it. */
enum kt_status_level {
	KT_STATUS_NONE,
	KT_STATUS_FAIL,
	KT_STATUS_RETRY,
	KT_STATUS_SLOW,
	KT_STATUS_LEAK,
	KT_STATUS_PASS,
	KT_STATUS_SKIP,
	KT_STATUS_ALL,
};

enum kt_color_choice {
	KT_COLOR_AUTO,
	KT_COLOR_ALWAYS,
	KT_COLOR_NEVER,
};

/* A growing vector of borrowed strings. */
struct kt_strings {
	const char **at;
	size_t n;
};

struct kt_options {
	enum kt_command command;

	/* selection */
	struct kt_strings tests; /* -t and positional: substrings, or names with @exact */
	struct kt_strings skips; /* --skip: substrings, or names with @exact */
	const char *gtest_filter;
	bool exact;

	/* machines */
	const char *kernel;
	const char *append;
	const char *qemu;
	enum kt_accel_choice accel;

	/* running */
	unsigned int budget_vcpus; /* -j */
	uint64_t timeout_ns;       /* 0: what each test says */
	uint64_t boot_timeout_ns;
	double timeout_multiplier; /* 0: by the accelerator */
	unsigned int max_fail;     /* 0: run all */
	unsigned int stress_count;
	bool no_capture;

	/* reporting */
	enum kt_status_level status_level;
	enum kt_color_choice color;
	bool verbose;
	bool tap;
	const char *junit;
	const char *gtest_output;
	enum kt_list_format list_format;

	/* ktests shell */
	const char *exec;

	/* ktests kernel */
	const char *kernel_version;
	const char *mirror;
	const char *suite;
};

/*
 * Parses @argv, with what the environment says where the command line does not. -EINVAL is a usage
 * error. Strings stay owned by @argv and the environment; the vectors by the options.
 */
int kt_options_parse(int argc, char **argv, struct kt_options *ret_options, struct kt_err *reterr);
void kt_options_deinit(struct kt_options *options);

/* Writes the text of --help. */
void kt_options_help(const char *program, FILE *out);
