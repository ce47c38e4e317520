/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The command line of a test binary. Options can also be set by the project file, and some by
 * KTESTS_* variables: the command line overrides the variables, and these the file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ktest/work.h>

#include "framework/options/project.h"
#include "framework/options/shard.h"
#include "util/err.h"
#include "vmm/host.h"
#include "wire/turns.h"

enum kt_command {
	KT_COMMAND_RUN,
	KT_COMMAND_LIST,
	KT_COMMAND_SHELL,
	KT_COMMAND_VERIFIER, /* tests[0] is the scheduler or its object */
	KT_COMMAND_LOAD,     /* tests[0] is the object; VARIABLE=VALUE follow */
	KT_COMMAND_INSPECT,  /* paths are what to look at */
	KT_COMMAND_OPEN,     /* tests[0] is the capsule; paths are what to look at */
	KT_COMMAND_DOCTOR,
	KT_COMMAND_NEW,     /* tests[0] is the directory */
	KT_COMMAND_COMPARE, /* tests[0] and tests[1] are results */
	KT_COMMAND_MERGE,   /* tests are directories with the records of shards */
	KT_COMMAND_REPLAY,  /* tests[0] is the record; none: the latest */
	KT_COMMAND_KERNEL_FETCH,
	KT_COMMAND_KERNEL_LIST,
	KT_COMMAND_KERNEL_PATH,
	KT_COMMAND_TEMPLATE_LIST,
	KT_COMMAND_TEMPLATE_CLEAR,
	KT_COMMAND_CACHE_LIST,
	KT_COMMAND_CACHE_PRUNE,
	KT_COMMAND_MANUAL,
	KT_COMMAND_COMPLETION_BASH,
	KT_COMMAND_COMPLETION_ZSH,
	KT_COMMAND_COMPLETION_FISH,
	KT_COMMAND_HELP,
	KT_COMMAND_VERSION,
};

enum kt_list_format {
	KT_LIST_TERSE, /* "NAME: test", the format of Rust's libtest */
	KT_LIST_NAMES, /* one name a line */
	KT_LIST_JSON,
	KT_LIST_GTEST, /* the format of GoogleTest's --gtest_list_tests */
};

/* Which tests the console report shows as they end; each level includes those before it. */
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

/* Whose time machines show. */
enum kt_time_choice {
	KT_TIME_CHOICE_AUTO,    /* virtual under TCG, real with KVM */
	KT_TIME_CHOICE_REAL,    /* the host's */
	KT_TIME_CHOICE_VIRTUAL, /* the guest's own, under TCG; tests can ask for the host's */
};

#define KT_TURN_INSNS 10000u /* the default of --turn */
#define KT_PCT_DEPTH  3u     /* the default of --pct-depth */

/* Where a test's machine comes from. */
/* Which templates machines are restored from (vmm/template.h). */
enum kt_template_choice {
	KT_TEMPLATE_CHOICE_AUTO, /* OWN with --seed or --explore in virtual time, else ANY */
	KT_TEMPLATE_CHOICE_ANY,  /* of this program, of an earlier version of it, or another's */
	KT_TEMPLATE_CHOICE_OWN,  /* made by a boot of this very program */
	KT_TEMPLATE_CHOICE_RAM,  /* the one with a certain ram_hash */
};

enum kt_boot {
	KT_BOOT_FORK, /* restored from a template, which was booted and saved before */
	KT_BOOT_COLD, /* booted for each test */
};

/* Whose last moment is kept as a capsule (vmm/capsule/). */
enum kt_capsule_choice {
	KT_CAPSULE_NEVER,
	KT_CAPSULE_ON_FAIL, /* of each attempt that did not pass */
	KT_CAPSULE_ALWAYS,
};

/* When the console report has colors. AUTO: the terminal, NO_COLOR and CLICOLOR_FORCE decide. */
enum kt_color_choice {
	KT_COLOR_AUTO,
	KT_COLOR_ALWAYS,
	KT_COLOR_NEVER,
};

/* Which tests run that declare .disabled. */
enum kt_ignored_choice {
	KT_IGNORED_SKIP, /* none: they are reported as SKIP */
	KT_IGNORED_ONLY, /* they, and no others */
	KT_IGNORED_ALL,  /* they as all others */
};

/* What it means that no test is selected. */
enum kt_no_tests_choice {
	KT_NO_TESTS_FAIL, /* exit status 4 */
	KT_NO_TESTS_WARN, /* a warning, and exit status 0 */
	KT_NO_TESTS_PASS, /* exit status 0 */
};

/* How a run tells how far it is. */
enum kt_progress_choice {
	KT_PROGRESS_AUTO,    /* BAR, if TERM tells that the terminal can move its cursor */
	KT_PROGRESS_BAR,     /* at the bottom of the terminal, if standard error is one */
	KT_PROGRESS_COUNTER, /* a number before each test */
	KT_PROGRESS_NONE,
};

/* Whether the console report is one for GitHub Actions. AUTO: GITHUB_ACTIONS decides. */
enum kt_github_choice {
	KT_GITHUB_AUTO,
	KT_GITHUB_ON,
	KT_GITHUB_OFF,
};

/* A growing vector of borrowed strings. */
struct kt_strings {
	const char **at; /* owned; NULL while @n is 0 */
	size_t n;
	bool inherited; /* of a lower rank than what comes next, which replaces all of them */
};

/*
 * The options after kt_options_parse(), with defaults filled in. Strings are borrowed from argv and
 * the environment; those without another default are NULL when they were not given.
 */
struct kt_options {
	enum kt_command command; /* default: RUN */

	/* the project file */
	struct kt_project *project; /* NULL: there is none; owned */
	const char *config;         /* --config: its path, or "none"; NULL: it is looked for */
	const char *profile;        /* --profile; NULL: none */

	/* selection */
	struct kt_strings tests;  /* -t and positional arguments; none: all tests */
	struct kt_strings skips;  /* --skip */
	struct kt_strings skip_files;     /* --skip-file */
	struct kt_strings filters;        /* -E, not parsed (framework/select/filter.h) */
	const char *gtest_filter;         /* POSITIVE[-NEGATIVE], patterns separated by colons */
	bool exact;                       /* tests and skips are whole names, not substrings */
	enum kt_ignored_choice ignored;   /* default: SKIP */
	enum kt_no_tests_choice no_tests; /* default: FAIL */
	struct kt_shard shard;    /* default: everything */
	bool shard_given;         /* then the variables of Bazel and GoogleTest do not count */
	bool shard_auto;          /* --shard auto: the variables of the CI system decide */
	const char *timings; /* file or directory with the times of an earlier run, to divide by */

	/* machines */
	struct kt_strings kernels; /* -k; none: the default kernel */
	const char *append;        /* added to the kernel command line */
	const char *qemu;          /* program; NULL: the default one */
	enum kt_boot boot;         /* default: FORK */
	enum kt_template_choice template_choice;
	uint64_t template_ram;         /* of KT_TEMPLATE_CHOICE_RAM: the ram_hash */
	uint64_t template_cache_bytes; /* of the disk; default 4 GiB */
	enum kt_time_choice time;      /* default: AUTO */
	enum kt_accel_choice accel;    /* default: AUTO */
	enum kt_vmm_choice vmm;        /* default: AUTO */

	/* running */
	unsigned int budget_vcpus; /* -j: vCPUs at once, 1..4096; default: CPUs of the host */
	uint64_t timeout_ns;       /* of each test; 0: as the test declares */
	bool timeout_given;        /* by the environment or the command line */
	uint64_t boot_timeout_ns;  /* of each boot; 0: kt_setup_boot_limit_ns() */
	double timeout_multiplier; /* 0.1..1000; 0: 1 with KVM, 3 with TCG */
	const char *rerun;         /* a record, or "latest"; NULL: the run begins anew */
	bool rerun_bare;           /* the record may follow as the first word */
	bool bisect;               /* the exit status is one for git bisect run */
	bool max_fail_given;
	unsigned int max_fail;          /* failures after which the run ends; 0: none */
	bool max_fail_at_once;          /* then running tests are ended, too */
	unsigned int memory_budget_mib; /* at least 64; 0: three quarters of the host's memory */
	unsigned int pool;              /* machines prepared ahead, 0..64; default 2 */
	unsigned int retries;           /* attempts after the first, 0..1000; default 0 */
	bool retries_given;             /* by the environment or the command line */
	const char *baseline;           /* results for the gates of tests; NULL: they are off */
	bool flaky_fails;               /* a test that passes in a later attempt fails the run */
	unsigned int stress_count;      /* runs of each test, at least 1; 0: without end */
	bool stress_count_given;
	uint64_t stress_duration_ns; /* 0: no limit; else stress_count is 0 unless given */
	uint64_t global_timeout_ns;  /* of the whole run; 0: none */
	bool explore; /* stress_count runs, each under a seed of its own, up to a failure */
	enum kt_turns_policy policy; /* of vCPUs' turns; default RANDOM, or CONFLICT to explore */
	bool policy_given;
	unsigned int turn_insns; /* mean length of a vCPU's turn, 16..10^9; default 10000 */
	unsigned int pct_depth;  /* 1..KT_TURNS_DEPTH_MAX; default 3 */
	unsigned int pct_length; /* of a run, in instructions; 0: the seed guesses it */
	unsigned int mips; /* of each busy vCPU in virtual time, 1..1000; 0: as the test says */
	uint64_t slow_ns;  /* after which a test is called slow; default 60 s */
	bool shuffle;      /* random order */
	uint64_t seed;     /* of all random numbers; default: a random one */
	bool seed_given;   /* then it is that of each round, unless explore */
	bool no_capture;   /* the guest's output appears as it comes */
	enum kt_work_type work_type; /* of swappable workers; KT_WORK_NONE: their own */

	/* capsules */
	enum kt_capsule_choice capsule; /* default: NEVER */
	const char *capsule_dir;        /* NULL: in the cache, without the template's pages */
	uint64_t capsule_max_bytes;     /* of one; default 256 MiB */
	uint64_t capsule_cache_bytes;   /* of all in the cache; default 1 GiB */

	/* reporting */
	enum kt_status_level status_level; /* default: PASS */
	enum kt_color_choice color;        /* default: AUTO */
	enum kt_progress_choice show_progress; /* default: AUTO */
	bool no_input_handler;                 /* no keys are read from the terminal */
	enum kt_github_choice github;      /* default: AUTO */
	bool verbose;                      /* details of tests that pass, too */
	bool tap;                          /* TAP on standard output */
	bool meson; /* the exit status tells whether the plan is complete, not the verdicts */
	const char *junit;               /* file; "-": standard output */
	const char *ktap;                /* likewise, KTAP */
	const char *json;                /* likewise, a line for each event */
	const char *html;                /* likewise */
	const char *trace;               /* likewise */
	const char *gtest_output;        /* likewise, without the "xml:" before it */
	bool trace_sched; /* guests trace their schedulers; needs output_dir or trace */
	const char *output_dir;          /* -o: directory of the sidecar files */
	enum kt_list_format list_format; /* default: TERSE */

	/* ktests shell */
	const char *exec; /* command; NULL: an interactive shell */

	/* ktests open; also @paths, @depth, @pointers, and @vmcore is written */
	bool gdb;               /* serve gdb */
	const char *gdb_socket; /* path; NULL: one below TMPDIR */
	bool shell;             /* let the machine run, and give a shell; @exec: one command */

	/* ktests load */
	bool verify; /* show what the verifier says instead of attaching */

	/* ktests inspect */
	struct kt_strings paths; /* what to look at; none: the kernel itself */
	const char *vmcore;      /* file with a guest's RAM */
	bool step_given;
	unsigned int step;     /* of the test, at whose end is looked */
	unsigned int depth;    /* of structs in each other, 1..32; 0: the renderer's default */
	unsigned int pointers; /* that are followed in a row, 0..32 */

	/* ktests compare; also @html and @verbose */
	struct kt_strings gates; /* --gate, not parsed; none: the built-in ones */

	/* ktests cache prune */
	uint64_t cache_max_age_ns; /* since the last use; 0: any */
	uint64_t cache_max_bytes;  /* of all together; UINT64_MAX: any */

	/* ktests kernel */
	const char *kernel_version; /* NULL: the command's default */
	const char *mirror;         /* URI; NULL: KTESTS_MIRROR, else that of the host's apt */
	const char *suite;          /* NULL: trixie-backports */
};

/*
 * Parses the environment and @argv. Returns 0; -EINVAL for a usage error, with the reason; -ENOMEM.
 * @argv is reordered: getopt_long(3) moves options before the other words.
 */
int kt_options_parse(int argc, char **argv, struct kt_options *ret_options, struct kt_err *reterr);

/* Frees the vectors. */
void kt_options_deinit(struct kt_options *options);

/* "random", "pct" or "conflict", as --policy has it. */
const char *kt_turns_policy_name(enum kt_turns_policy policy);

/* Writes the text of --help; @program is argv[0]. */
void kt_options_help(const char *program, FILE *out);

/* Writes the manual page of a program called @name, as man(7) has it. */
void kt_options_manual(const char *name, FILE *out);

/* Writes a script with which the shell of @command completes the words of a program @name. */
void kt_options_completion(enum kt_command command, const char *name, FILE *out);
