/* SPDX-License-Identifier: MIT */
/* The text of --help, from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "framework/options/options.h"
#include "framework/options/table.h"
#include "framework/options/words.h"
#include "util/cleanup.h"
#include "util/io.h"

#define COLUMN 27 /* where help begins */
#define WIDTH  80

static const char exit_status[] =
	"\n"
	"Exit status: 0 passed, 2 usage, 4 no test selected, 5 a rerun has more to do, 77 all\n"
	"skipped, 99 harness error, 100 a test failed or a metric got worse, 105 host setup,\n"
	"110 report not written, 128+N ended by signal N.\n";

/* Writes @text in lines of WIDTH from COLUMN on; the first begins at @column. */
static void write_wrapped(const char *text, int column, FILE *out)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > COLUMN && column + 1 + (int)len > WIDTH) {
			(void)fputc('\n', out);
			column = 0;
		}
		if (column < COLUMN)
			(void)fprintf(out, "%*s", COLUMN - column, "");
		else if (column > COLUMN)
			(void)fputc(' ', out);
		column = KT_MAX(column + (column > COLUMN), COLUMN);
		column += fprintf(out, "%.*s", (int)len, text);
		text += len + (text[len] == ' ');
	}
	(void)fputc('\n', out);
}

static void write_option(const struct kt_option *option, FILE *out)
{
	char argument[128], variable[64];
	KT_FREE char *help = NULL;
	int column;

	kt_option_argument(option, argument, sizeof(argument));
	kt_option_variable(option, variable, sizeof(variable));
	help = kt_format("%s%s%s%s", option->help, option->is_variable ? " (" : "",
			 option->is_variable ? variable : "", option->is_variable ? ")" : "");
	column = option->letter ? fprintf(out, "  -%c, ", option->letter) : fprintf(out, "      ");
	column += fprintf(out, "--%s", option->name);
	if (*argument)
		column += fprintf(out,
				  option->may_lack            ? "[=%s]"
				  : strchr(option->name, '_') ? "=%s"
							      : " %s",
				  argument);
	if (column >= COLUMN) {
		(void)fputc('\n', out);
		column = 0;
	}
	write_wrapped(help ?: option->help, column, out);
}

void kt_options_help(const char *program, FILE *out)
{
	size_t n_options, n_commands;
	const struct kt_option *options = kt_option_table(&n_options);
	const struct kt_command_row *commands = kt_command_table(&n_commands);
	enum kt_option_group group = KT_N_OPTION_GROUPS;

	(void)fprintf(out,
		      "usage: %s [COMMAND] [OPTIONS] [WORDS]\n"
		      "\n"
		      "Runs the tests of this binary, each in a virtual machine of its own.\n"
		      "\n"
		      "Commands:\n",
		      program);
	for (size_t i = 0; i < n_commands; i++) {
		(void)fprintf(out, "  %s%s%s\n", commands[i].name, *commands[i].usage ? " " : "",
			      commands[i].usage);
		write_wrapped(commands[i].help, 0, out);
	}
	for (size_t i = 0; i < n_options && options[i].group != KT_OPTIONS_HIDDEN; i++) {
		if (options[i].group != group)
			(void)fprintf(out, "\n%s:\n", kt_option_group_title(options[i].group));
		group = options[i].group;
		write_option(&options[i], out);
	}
	(void)fputs(exit_status, out);
}
