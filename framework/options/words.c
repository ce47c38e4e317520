/* SPDX-License-Identifier: MIT */
#include "framework/options/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/options/value.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The first word is a command, or, as all others, a part of a test's name. A command is a row of
 * the table below, from which --help, the manual page and the completions are written, too; some
 * are followed by another word, which makes them one of several commands.
 */

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

static const struct kt_word kernel_words[] = {
	{ "fetch", KT_COMMAND_KERNEL_FETCH },
	{ "list", KT_COMMAND_KERNEL_LIST },
	{ "path", KT_COMMAND_KERNEL_PATH },
	{ 0 },
};

static const struct kt_word template_words[] = {
	{ "list", KT_COMMAND_TEMPLATE_LIST },
	{ "clear", KT_COMMAND_TEMPLATE_CLEAR },
	{ 0 },
};

static const struct kt_word cache_words[] = {
	{ "list", KT_COMMAND_CACHE_LIST },
	{ "prune", KT_COMMAND_CACHE_PRUNE },
	{ 0 },
};

static const struct kt_word completion_words[] = {
	{ "bash", KT_COMMAND_COMPLETION_BASH },
	{ "zsh", KT_COMMAND_COMPLETION_ZSH },
	{ "fish", KT_COMMAND_COMPLETION_FISH },
	{ 0 },
};

static const struct kt_command_row commands[] = {
	{ "run", "[OPTIONS] [NAME-SUBSTRING...]",
	  "run the tests that are selected, or all (default)", KT_COMMAND_RUN },
	{ "list", "[OPTIONS] [NAME-SUBSTRING...]", "list them", KT_COMMAND_LIST },
	{ "shell", "[-t NAME] [--exec COMMAND] [OPTIONS]",
	  "a shell in a machine, such as that of a test", KT_COMMAND_SHELL },
	{ "verifier", "SCHEDULER|OBJECT [-k KERNEL]...",
	  "what the kernel's verifier says of a scheduler", KT_COMMAND_VERIFIER },
	{ "load", "[--verify] OBJECT [VARIABLE=VALUE]...",
	  "attach a sched_ext scheduler, as in a guest's shell", KT_COMMAND_LOAD },
	{ "inspect", "--vmcore FILE | -t NAME [--step N] [--format json] [PATH|WORDS...]",
	  "look into a kernel's memory by name and type", KT_COMMAND_INSPECT },
	{ "open", "CAPSULE [--inspect PATH]... | --gdb[=SOCKET] | --shell | --vmcore FILE",
	  "look into a machine that was kept", KT_COMMAND_OPEN },
	{ "doctor", "", "what this host can do, and what would make ktest faster on it",
	  KT_COMMAND_DOCTOR },
	{ "new", "DIR", "begin a project of tests", KT_COMMAND_NEW },
	{ "compare", "A B [--gate METRIC=BETTER]... [--html FILE]",
	  "compare two directories of results", KT_COMMAND_COMPARE },
	{ "merge", "DIR... [-o DIR] [--junit FILE] [--html FILE] [--tap]",
	  "make one run of all shards, or say what is missing", KT_COMMAND_MERGE },
	{ "replay", "[latest|RECORD] [--junit FILE] [--html FILE] [--tap]",
	  "report a run again from its record", KT_COMMAND_REPLAY },
	{ "kernel", "fetch [VERSION] | list | path [VERSION]", "the kernels in the cache",
	  KT_COMMAND_KERNEL_LIST, kernel_words },
	{ "template", "list | clear", "the booted machines in the cache", KT_COMMAND_TEMPLATE_LIST,
	  template_words },
	{ "cache", "list | prune [--max-age DURATION] [--max-size SIZE]", "all of the cache",
	  KT_COMMAND_CACHE_LIST, cache_words },
	{ "manual", "", "this text as a manual page: COMMAND manual | man -l -",
	  KT_COMMAND_MANUAL },
	{ "completion", "bash | zsh | fish",
	  "a script that completes options in a shell, which is to evaluate it",
	  KT_COMMAND_COMPLETION_BASH, completion_words },
};

const struct kt_command_row *kt_command_table(size_t *ret_n)
{
	*ret_n = KT_ARRAY_LEN(commands);
	return commands;
}

/* Reads the words behind a command that has others behind it, and perhaps a version. */
static int take_subcommand(struct kt_options *o, const struct kt_command_row *row, char **words,
			   int n, struct kt_err *reterr)
{
	int value = 0, most, r;

	if (!n)
		return kt_err_set(reterr, -EINVAL, "%s: a command must follow, like %s", row->name,
				  row->words[0].name);
	r = kt_value_word(row->name, row->words, words[0], &value, reterr);
	if (r < 0)
		return r;
	o->command = (enum kt_command)value;
	most = o->command == KT_COMMAND_KERNEL_FETCH || o->command == KT_COMMAND_KERNEL_PATH;
	if (n - 1 > most)
		return kt_err_set(reterr, -EINVAL, "%s %s: '%s' is too much", row->name, words[0],
				  words[n - 1]);
	o->kernel_version = n > 1 ? words[1] : NULL;
	if (o->command == KT_COMMAND_CACHE_PRUNE && !o->cache_max_age_ns &&
	    o->cache_max_bytes == UINT64_MAX)
		o->cache_max_age_ns = DEFAULT_CACHE_AGE_NS;
	return 0;
}

/*
 * The rest of the words: parts of test names, or the arguments of a command, which reads them from
 * there.
 */
static int take_names(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		bool is_path =
			o->command == KT_COMMAND_INSPECT || (o->command == KT_COMMAND_OPEN && i);

		r = kt_strings_add(is_path ? &o->paths : &o->tests, words[i], reterr);
	}
	return r;
}

/*
 * "--rerun RECORD" as two words: the parser of options takes RECORD for a word of its own. The name
 * of a test has no slash and no dot.
 */
static void take_record(struct kt_options *o, char ***words, int *n)
{
	bool follows = *n && (!strcmp((*words)[0], "latest") || strpbrk((*words)[0], "./"));

	if (!o->rerun_bare || !follows || !strcmp((*words)[-1], "--"))
		return;
	o->rerun = *(*words)++;
	(*n)--;
}

int kt_words_apply(struct kt_options *o, char **words, int n, struct kt_err *reterr)
{
	if (o->command == KT_COMMAND_HELP) /* --help explains all commands at once */
		return 0;
	take_record(o, &words, &n);
	/* After "--" every word is a part of a name, also one that is called like a command. */
	if (!n || !strcmp(words[-1], "--"))
		return take_names(o, words, n, reterr);
	for (size_t i = 0; i < KT_ARRAY_LEN(commands); i++) {
		const struct kt_command_row *row = &commands[i];

		if (strcmp(words[0], row->name) != 0)
			continue;
		if (row->words)
			return take_subcommand(o, row, words + 1, n - 1, reterr);
		o->command = row->command;
		return take_names(o, words + 1, n - 1, reterr);
	}
	return take_names(o, words, n, reterr);
}
