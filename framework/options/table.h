/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The table of options. Whatever is said of an option anywhere comes from its row: how it is
 * parsed, the variable of the environment, --help, the manual page and the completions of shells.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framework/options/options.h"
#include "framework/options/value.h"
#include "util/err.h"

/* Where an option stands in --help and the manual page; in this order. */
enum kt_option_group {
	KT_OPTIONS_SELECTION,
	KT_OPTIONS_MACHINES,
	KT_OPTIONS_RUNNING,
	KT_OPTIONS_CAPSULES,
	KT_OPTIONS_REPORTING,
	KT_OPTIONS_SHELL,
	KT_OPTIONS_KERNELS,
	KT_OPTIONS_INSPECT,
	KT_OPTIONS_OPEN,
	KT_OPTIONS_COMPARE,
	KT_OPTIONS_CACHE,
	KT_OPTIONS_OTHER,
	KT_N_OPTION_GROUPS,
	KT_OPTIONS_HIDDEN = KT_N_OPTION_GROUPS, /* for runners made for other frameworks */
};

struct kt_option {
	const char *name; /* without the dashes */
	char letter;      /* the short form; 0: none */
	bool is_variable; /* KTESTS_NAME is its default; empty counts as unset */
	bool may_lack;    /* the argument may be left out: --name or --name=ARGUMENT */
	enum kt_option_group group;
	const char *argument; /* as people read it; NULL: there is none, or @words has it */
	const char *help;     /* a phrase without a full stop */

	/*
	 * Takes @text, NULL without an argument. 0, -ENOMEM, or -EINVAL with an error that names
	 * the option. What it stores where:
	 */
	int (*apply)(const struct kt_option *option, struct kt_options *options, const char *text,
		     struct kt_err *reterr);
	size_t member;               /* offset in struct kt_options */
	size_t given;                /* offset of a bool that becomes true; 0: none */
	uint64_t min, max;           /* of a number */
	const struct kt_word *words; /* of one that takes a word */
	int value;                   /* of one without an argument that stores an enumerator */
};

/* All options, in the order of their groups; *@ret_n is their number. */
const struct kt_option *kt_option_table(size_t *ret_n);

/* The option that is called @name, whole and without dashes; NULL: none is. */
const struct kt_option *kt_option_find(const char *name);

/* Applies @option with @text, as on the command line. */
int kt_option_apply(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr);

/* Whether the option adds to a list each time that it is given. */
bool kt_option_is_list(const struct kt_option *option);

/* Writes the name of the variable, such as KTESTS_TEST_THREADS, which is cut at @room. */
void kt_option_variable(const struct kt_option *option, char *text, size_t room);

/* Writes what follows the name, such as "N" or "auto|kvm|tcg"; "" when nothing does. */
void kt_option_argument(const struct kt_option *option, char *text, size_t room);

/* "Selection", "Machines", ... */
const char *kt_option_group_title(enum kt_option_group group);
