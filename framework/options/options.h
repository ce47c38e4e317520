/* SPDX-License-Identifier: MIT */
#pragma once
/* The command line of a test binary, and the KTESTS_* variables that stand in for it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ktest/work.h>

#include "framework/options/shard.h"
#include "util/err.h"
#include "vmm/host.h"

enum kt_command {
	KT_COMMAND_RUN,
	KT_COMMAND_LIST,
	KT_COMMAND_SHELL,
	KT_COMMAND_VERIFIER, /* the scheduler is in tests */
	KT_COMMAND_LOAD,     /* object and variables are in tests */
	KT_COMMAND_KERNEL_FETCH,
	KT_COMMAND_KERNEL_LIST,
	KT_COMMAND_KERNEL_PATH,
	KT_COMMAND_TEMPLATE_LIST,
	KT_COMMAND_TEMPLATE_CLEAR,
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

/* How a test's machine comes to be. */
enum kt_boot {
	KT_BOOT_FORK, /* restored from a template, which is booted once */
	KT_BOOT_COLD, /* booted for each test */
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
	struct kt_shard shard;
	bool shard_given; /* what Bazel and GoogleTest say does not count then */
	bool shard_auto;  /* --shard auto: the shard is still to be found out */

	/* machines */
	struct kt_strings kernels;    /* -k; none: the default */
	bool kernel_from_environment; /* a -k takes the place of that one */
	const char *append;
	const char *qemu;
	enum kt_boot boot;
	uint64_t template_cache_bytes;
	enum kt_accel_choice accel;

	/* running */
	unsigned int budget_vcpus; /* -j */
	uint64_t timeout_ns;       /* 0: what each test says */
	uint64_t boot_timeout_ns;
	double timeout_multiplier;      /* 0: by the accelerator */
	unsigned int max_fail;          /* 0: run all */
	unsigned int memory_budget_mib; /* 0: three quarters of the host's memory */
	unsigned int pool;              /* machines kept ready for the next tests, at most */
	unsigned int retries;           /* attempts after the first */
	bool flaky_fails;               /* a test that passes in a later attempt has failed */
	unsigned int stress_count;      /* 0: without end */
	bool stress_count_given;
	uint64_t stress_duration_ns; /* 0: none */
	uint64_t global_timeout_ns;  /* 0: none */
	bool shuffle;
	uint64_t seed; /* of everything random */
	bool no_capture;
	enum kt_work_type work_type; /* of swappable workers; KT_WORK_NONE: their own */

	/* reporting */
	enum kt_status_level status_level;
	enum kt_color_choice color;
	bool verbose;
	bool tap;
	const char *junit;
	const char *gtest_output;
	const char *output_dir; /* -o */
	enum kt_list_format list_format;

	/* ktests shell */
	const char *exec;

	/* ktests load */
	bool verify;

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
