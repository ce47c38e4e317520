/* SPDX-License-Identifier: MIT */
#pragma once
/* The words of the command line: a command and its arguments, or parts of test names. */

#include "framework/options/options.h"
#include "framework/options/value.h"

struct kt_command_row {
	const char *name;
	const char *usage; /* what follows the name */
	const char *help;  /* a phrase without a full stop */
	enum kt_command command;
	const struct kt_word *words; /* of which one must follow; NULL: none */
};

/* All commands, in the order of --help; *@ret_n is their number. */
const struct kt_command_row *kt_command_table(size_t *ret_n);

/* Adds @text, which must outlive @strings. 0 or -ENOMEM. */
int kt_strings_add(struct kt_strings *strings, const char *text, struct kt_err *reterr);

/*
 * Applies the @n arguments that are not options, in their order, to @options, which has the options
 * already. words[-1] must exist: it is an option or argv[0]. Strings are not copied. 0, or -EINVAL
 * for a command that is unknown or has too many words.
 */
int kt_words_apply(struct kt_options *options, char **words, int n, struct kt_err *reterr);
