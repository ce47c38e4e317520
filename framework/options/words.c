/* SPDX-License-Identifier: MIT */
#include "framework/options/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/options/value.h"
#include "util/clock.h"

#define DEFAULT_CACHE_AGE_NS (30 * 24 * 3600 * KT_NSEC_PER_SEC)

int kt_strings_add(struct kt_strings *strings, const char *text, struct kt_err *reterr)
{
	const char **grown;

	if (strings->inherited)
		strings->n = 0;
	strings->inherited = false;
	grown = reallocarray(strings->at, strings->n + 1, sizeof(*grown));

	if (!grown)
		return kt_err_oom(reterr);
	strings->at = grown;
	grown[strings->n++] = text;
	return 0;
}

/* Reads the word behind "kernel" or "template", which @commands lists. */
static int take_subcommand(struct kt_options *o, const char *what, const struct kt_word *commands,
			   char **words, int n, struct kt_err *reterr)
{
	int value = 0, r;

	if (!n)
		return kt_err_set(reterr, -EINVAL, "%s: a command must follow, like %s", what,
				  commands[0].name);
	r = kt_value_word(what, commands, words[0], &value, reterr);
	o->command = (enum kt_command)value;
	return r;
}

static int take_kernel_command(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	static const struct kt_word commands[] = {
		{ "fetch", KT_COMMAND_KERNEL_FETCH },
		{ "list", KT_COMMAND_KERNEL_LIST },
		{ "path", KT_COMMAND_KERNEL_PATH },
		{ 0 },
	};
	int r = take_subcommand(o, "kernel", commands, words, n, reterr);

	if (r < 0)
		return r;
	if (n > 2 || (n == 2 && o->command == KT_COMMAND_KERNEL_LIST))
		return kt_err_set(reterr, -EINVAL, "kernel %s: '%s' is too much", words[0],
				  words[n - 1]);
	o->kernel_version = n == 2 ? words[1] : NULL;
	return 0;
}

static int take_template_command(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	static const struct kt_word commands[] = {
		{ "list", KT_COMMAND_TEMPLATE_LIST },
		{ "clear", KT_COMMAND_TEMPLATE_CLEAR },
		{ 0 },
	};
	int r = take_subcommand(o, "template", commands, words, n, reterr);

	if (r == 0 && n > 1)
		return kt_err_set(reterr, -EINVAL, "template %s: '%s' is too much", words[0],
				  words[1]);
	return r;
}

static int take_cache_command(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	static const struct kt_word commands[] = {
		{ "list", KT_COMMAND_CACHE_LIST },
		{ "prune", KT_COMMAND_CACHE_PRUNE },
		{ 0 },
	};
	int r = take_subcommand(o, "cache", commands, words, n, reterr);

	if (r == 0 && n > 1)
		return kt_err_set(reterr, -EINVAL, "cache %s: '%s' is too much", words[0],
				  words[1]);
	if (r == 0 && !o->cache_max_age_ns && o->cache_max_bytes == UINT64_MAX)
		o->cache_max_age_ns = DEFAULT_CACHE_AGE_NS;
	return r;
}

/*
 * The rest of the words: parts of test names, or the arguments of a command, which reads them from
 * there.
 */
static int take_names(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		bool is_path = o->command == KT_COMMAND_INSPECT ||
			       (o->command == KT_COMMAND_OPEN && i);

		r = kt_strings_add(is_path ? &o->paths : &o->tests, words[i], reterr);
	}
	return r;
}

int kt_words_apply(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	static const struct kt_word commands[] = {
		{ "run", KT_COMMAND_RUN },
		{ "list", KT_COMMAND_LIST },
		{ "shell", KT_COMMAND_SHELL },
		{ "verifier", KT_COMMAND_VERIFIER },
		{ "load", KT_COMMAND_LOAD },
		{ "inspect", KT_COMMAND_INSPECT },
		{ "open", KT_COMMAND_OPEN },
		{ "doctor", KT_COMMAND_DOCTOR },
		{ "new", KT_COMMAND_NEW },
		{ "compare", KT_COMMAND_COMPARE },
		{ 0 },
	};

	if (o->command == KT_COMMAND_HELP) /* --help explains all commands at once */
		return 0;
	/* After "--" every word is a part of a name, also one that is called like a command. */
	if (!n || !strcmp(words[-1], "--"))
		return take_names(o, words, n, reterr);
	if (!strcmp(words[0], "kernel"))
		return take_kernel_command(o, words + 1, n - 1, reterr);
	if (!strcmp(words[0], "template"))
		return take_template_command(o, words + 1, n - 1, reterr);
	if (!strcmp(words[0], "cache"))
		return take_cache_command(o, words + 1, n - 1, reterr);
	for (const struct kt_word *at = commands; at->name; at++) {
		if (!strcmp(words[0], at->name)) {
			o->command = (enum kt_command)at->value;
			return take_names(o, words + 1, n - 1, reterr);
		}
	}
	return take_names(o, words, n, reterr);
}
