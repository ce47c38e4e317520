/* SPDX-License-Identifier: MIT */
/*
 * The manual page in the language of man(7), from the tables of commands and options. A hyphen is
 * written as \\-, so that it can be searched for and copied.
 */
#include <stdio.h>
#include <string.h>

#include <ktest.h>

#include "framework/options/options.h"
#include "framework/options/table.h"
#include "framework/options/words.h"
#include "util/cleanup.h"

static const struct {
	int status;
	const char *meaning;
} statuses[] = {
	{ 0, "all selected tests have passed; some may be skipped" },
	{ 2, "the command line is wrong" },
	{ 4, "no test is selected" },
	{ 77, "all selected tests are skipped" },
	{ 99, "the harness failed: no kernel, a machine that did not start, no report of a guest" },
	{ 100, "a test failed, or a metric got worse" },
	{ 105, "the host could not be set up" },
	{ 110, "a report could not be written" },
};

/* Text that is not a request: it begins with neither '.' nor an apostrophe. */
static void write_text(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			(void)fputs("\\-", out);
		else if (*text == '\\')
			(void)fputs("\\e", out);
		else
			(void)fputc(*text, out);
	}
}

static void write_option(const struct kt_option *option, FILE *out)
{
	char argument[128], variable[64];

	kt_option_argument(option, argument, sizeof(argument));
	kt_option_variable(option, variable, sizeof(variable));
	(void)fputs(".TP\n", out);
	if (option->letter)
		(void)fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
	(void)fputs("\\fB\\-\\-", out);
	write_text(option->name, out);
	(void)fputs("\\fR", out);
	if (*argument) {
		(void)fputs(option->may_lack            ? "[=\\fI"
			    : strchr(option->name, '_') ? "=\\fI"
							: " \\fI",
			    out);
		write_text(argument, out);
		(void)fputs(option->may_lack ? "\\fR]" : "\\fR", out);
	}
	(void)fputc('\n', out);
	write_text(option->help, out);
	(void)fputs(".\n", out);
	if (option->is_variable)
		(void)fprintf(out, "The default is in \\fB%s\\fR.\n", variable);
}

static void write_commands(FILE *out)
{
	size_t n;
	const struct kt_command_row *commands = kt_command_table(&n);

	(void)fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(out, ".TP\n\\fB%s\\fR ", commands[i].name);
		write_text(commands[i].usage, out);
		(void)fputc('\n', out);
		write_text(commands[i].help, out);
		(void)fputs(".\n", out);
	}
}

static void write_options(FILE *out)
{
	size_t n;
	const struct kt_option *options = kt_option_table(&n);
	enum kt_option_group group = KT_N_OPTION_GROUPS;

	(void)fputs(".SH OPTIONS\n", out);
	for (size_t i = 0; i < n && options[i].group != KT_OPTIONS_HIDDEN; i++) {
		if (options[i].group != group) {
			(void)fputs(".SS ", out);
			write_text(kt_option_group_title(options[i].group), out);
			(void)fputc('\n', out);
		}
		group = options[i].group;
		write_option(&options[i], out);
	}
}

void kt_options_manual(const char *name, FILE *out)
{
	(void)fputs(".TH \"", out);
	write_text(name, out);
	(void)fputs("\" 1 \"\" \"ktest " KT_VERSION "\"\n.SH NAME\n", out);
	write_text(name, out);
	(void)fputs(" \\- tests of Linux's scheduling, each in a virtual machine of its own\n"
		    ".SH SYNOPSIS\n.B ",
		    out);
	write_text(name, out);
	(void)fputs("\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR] [\\fIWORDS\\fR]\n", out);
	write_commands(out);
	write_options(out);
	(void)fputs(".SH EXIT STATUS\n", out);
	for (size_t i = 0; i < KT_ARRAY_LEN(statuses); i++) {
		(void)fprintf(out, ".TP\n%d\n", statuses[i].status);
		write_text(statuses[i].meaning, out);
		(void)fputs(".\n", out);
	}
	(void)fputs(".TP\n128+N\nended by signal N, after all machines.\n", out);
}
