/* SPDX-License-Identifier: MIT */
/*
 * Scripts that complete words in bash, zsh and fish, from the tables of commands and options. Names
 * of tests come from the program itself, which lists them in a few milliseconds.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "framework/options/options.h"
#include "framework/options/table.h"
#include "framework/options/words.h"
#include "util/cleanup.h"

/* What can follow an option. */
enum kind {
	KIND_NONE, /* nothing */
	KIND_ANY,  /* what a shell does not know */
	KIND_TEST,
	KIND_FILE,
	KIND_DIR,
	KIND_WORD,
};

static enum kind kind_of(const struct kt_option *option)
{
	static const struct {
		const char *argument;
		enum kind kind;
	} kinds[] = {
		{ "NAME", KIND_TEST },   { "FILE", KIND_FILE },   { "PROGRAM", KIND_FILE },
		{ "SOCKET", KIND_FILE }, { "KERNEL", KIND_FILE }, { "DIR", KIND_DIR },
		{ "ID", KIND_ANY },
	};

	if (option->words)
		return KIND_WORD;
	for (size_t i = 0; option->argument && i < KT_ARRAY_LEN(kinds); i++) {
		if (!strcmp(option->argument, kinds[i].argument))
			return kinds[i].kind;
	}
	return option->argument ? KIND_ANY : KIND_NONE;
}

static void write_words(const struct kt_option *option, FILE *out)
{
	for (const struct kt_word *at = option->words; at->name; at++)
		(void)fprintf(out, "%s%s", at == option->words ? "" : " ", at->name);
}

/* The name of a function of a shell: other characters than letters and digits become '_'. */
static void write_function(const char *name, FILE *out)
{
	(void)fputs("_ktest_", out);
	for (; *name; name++)
		(void)fputc(isalnum((unsigned char)*name) ? *name : '_', out);
}

static void write_command_names(FILE *out)
{
	size_t n;
	const struct kt_command_row *commands = kt_command_table(&n);

	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, "%s%s", i ? " " : "", commands[i].name);
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void write_bash_case(const struct kt_option *option, FILE *out)
{
	enum kind kind = kind_of(option);

	if (kind == KIND_NONE || option->may_lack)
		return;
	(void)fputs("\t", out);
	if (option->letter)
		(void)fprintf(out, "-%c|", option->letter);
	(void)fprintf(out, "--%s) ", option->name);
	if (kind == KIND_WORD) {
		(void)fputs("COMPREPLY=($(compgen -W \"", out);
		write_words(option, out);
		(void)fputs("\" -- \"$cur\"))", out);
	} else if (kind == KIND_TEST) {
		(void)fputs(
			"COMPREPLY=($(compgen -W \"$(\"$1\" list --format names 2> /dev/null)\" "
			"-- \"$cur\"))",
			out);
	} else if (kind != KIND_ANY) {
		(void)fprintf(out, "COMPREPLY=($(compgen -%c -- \"$cur\"))",
			      kind == KIND_DIR ? 'd' : 'f');
	} else {
		(void)fputs("COMPREPLY=()", out);
	}
	(void)fputs("; return ;;\n", out);
}

static void write_bash(const char *name, FILE *out)
{
	size_t n;
	const struct kt_option *options = kt_option_table(&n);

	write_function(name, out);
	(void)fputs("() {\n"
		    "\tlocal cur=$2 prev=$3\n"
		    "\tcase $prev in\n",
		    out);
	for (size_t i = 0; i < n && options[i].group != KT_OPTIONS_HIDDEN; i++)
		write_bash_case(&options[i], out);
	(void)fputs("\tesac\n"
		    "\tcase $cur in\n"
		    "\t-*) COMPREPLY=($(compgen -W \"",
		    out);
	for (size_t i = 0; i < n && options[i].group != KT_OPTIONS_HIDDEN; i++)
		(void)fprintf(out, "%s--%s", i ? " " : "", options[i].name);
	(void)fputs("\" -- \"$cur\")) ;;\n"
		    "\t*) COMPREPLY=($(compgen -W \"",
		    out);
	write_command_names(out);
	(void)fputs(" $(\"$1\" list --format names 2> /dev/null)\" -- \"$cur\")) ;;\n"
		    "\tesac\n"
		    "}\n"
		    "complete -F ",
		    out);
	write_function(name, out);
	(void)fprintf(out, " %s\n", name);
}

/* ---- zsh ------------------------------------------------------------------------------------- */

/* Help in the brackets of _arguments, and in single quotes. */
static void write_zsh_help(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			(void)fputc('\\', out);
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*text, out);
	}
}

static void write_zsh_argument(const struct kt_option *option, FILE *out)
{
	static const char *const actions[] = {
		[KIND_ANY] = " ",
		[KIND_TEST] = "($(${words[1]} list --format names 2> /dev/null))",
		[KIND_FILE] = "_files",
		[KIND_DIR] = "_files -/",
	};
	enum kind kind = kind_of(option);

	if (kind == KIND_NONE)
		return;
	(void)fprintf(out, "%s:%s:", option->may_lack ? ":" : "", option->name);
	if (kind == KIND_WORD) {
		(void)fputc('(', out);
		write_words(option, out);
		(void)fputc(')', out);
	} else {
		(void)fputs(actions[kind], out);
	}
}

static void write_zsh_option(const struct kt_option *option, const char *prefix, FILE *out)
{
	(void)fprintf(out, "\t\t'*%s", prefix);
	(void)fputc('[', out);
	write_zsh_help(option->help, out);
	(void)fputc(']', out);
	write_zsh_argument(option, out);
	(void)fputs("' \\\n", out);
}

static void write_zsh(const char *name, FILE *out)
{
	size_t n;
	const struct kt_option *options = kt_option_table(&n);

	(void)fprintf(out, "#compdef %s\n", name);
	write_function(name, out);
	(void)fputs("() {\n\t_arguments \\\n", out);
	for (size_t i = 0; i < n && options[i].group != KT_OPTIONS_HIDDEN; i++) {
		char word[64] = { '-', options[i].letter };

		if (options[i].letter)
			write_zsh_option(&options[i], word, out);
		(void)snprintf(word, sizeof(word), "--%s%s", options[i].name,
			       options[i].may_lack                 ? "=-"
			       : kind_of(&options[i]) != KIND_NONE ? "="
								   : "");
		write_zsh_option(&options[i], word, out);
	}
	(void)fputs("\t\t'*:word:(", out);
	write_command_names(out);
	(void)fputs(" $(${words[1]} list --format names 2> /dev/null))'\n}\ncompdef ", out);
	write_function(name, out);
	(void)fprintf(out, " %s\n", name);
}

/* ---- fish ------------------------------------------------------------------------------------ */

/* The program may not be in PATH: it is called as in the command that is completed. */
#define FISH_TESTS                                                                                 \
	"(set -l words (commandline -opc); command $words[1] list --format names 2> /dev/null)"

static void write_fish_text(const char *text, FILE *out)
{
	(void)fputc('\'', out);
	for (; *text; text++)
		(void)fprintf(out, "%s%c", strchr("'\\", *text) ? "\\" : "", *text);
	(void)fputc('\'', out);
}

static void write_fish_option(const struct kt_option *option, const char *name, FILE *out)
{
	enum kind kind = kind_of(option);

	(void)fprintf(out, "complete -c %s -l %s", name, option->name);
	if (option->letter)
		(void)fprintf(out, " -s %c", option->letter);
	if (kind == KIND_WORD) {
		(void)fputs(" -x -a '", out);
		write_words(option, out);
		(void)fputc('\'', out);
	} else if (kind == KIND_TEST) {
		(void)fputs(" -x -a '" FISH_TESTS "'", out);
	} else if (kind == KIND_DIR) {
		(void)fputs(" -x -a '(__fish_complete_directories)'", out);
	} else if (kind == KIND_FILE && !option->may_lack) {
		(void)fputs(" -r -F", out);
	} else if (kind == KIND_ANY) {
		(void)fputs(" -x", out);
	}
	(void)fputs(" -d ", out);
	write_fish_text(option->help, out);
	(void)fputc('\n', out);
}

static void write_fish(const char *name, FILE *out)
{
	size_t n_options, n_commands;
	const struct kt_option *options = kt_option_table(&n_options);
	const struct kt_command_row *commands = kt_command_table(&n_commands);

	(void)fprintf(out, "complete -c %s -f -a '" FISH_TESTS "'\n", name);
	for (size_t i = 0; i < n_commands; i++) {
		(void)fprintf(out, "complete -c %s -n __fish_use_subcommand -a %s -d ", name,
			      commands[i].name);
		write_fish_text(commands[i].help, out);
		(void)fputc('\n', out);
	}
	for (size_t i = 0; i < n_options && options[i].group != KT_OPTIONS_HIDDEN; i++)
		write_fish_option(&options[i], name, out);
}

void kt_options_completion(enum kt_command command, const char *name, FILE *out)
{
	if (command == KT_COMMAND_COMPLETION_BASH)
		write_bash(name, out);
	else if (command == KT_COMMAND_COMPLETION_ZSH)
		write_zsh(name, out);
	else
		write_fish(name, out);
}
