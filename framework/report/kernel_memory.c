/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * What a test has read of the guest's kernel, in the report for people: a row for each tag. The
 * values come from the guest, and are made harmless.
 */

#define ROWS_MAX     40u /* further tags are left out */
#define LINE_MAX_LEN 100u

static void put_row(FILE *out, const char *tag, const json_t *row)
{
	const json_t *value = json_object_get(row, "value");
	const char *text = json_string_value(json_object_get(row, "text"));
	KT_FREE char *number = json_is_string(value) ? strdup(json_string_value(value))
						     : kt_format("%" JSON_INTEGER_FORMAT,
								 json_integer_value(value));
	KT_FREE char *line = NULL;

	/* A number's text says more than the number only where it is another one. */
	if (number && text && strcmp(text, number))
		line = kt_format("%s = %s", tag, text);
	else
		line = kt_format("%s = %s", tag, number ?: "");
	if (!line)
		return;
	line[strcspn(line, "\n")] = '\0';
	kt_text_sanitize(line);
	(void)fprintf(out, "    %.*s\n", (int)LINE_MAX_LEN, line);
}

void kt_report_put_kernel(FILE *out, const struct kt_result *result)
{
	json_t *rows = json_object_get(result->scenario, "kernel_memory"), *row;
	const char *tag;
	unsigned int n = 0;

	if (!json_object_size(rows))
		return;
	(void)fprintf(out, "  kernel's memory:\n");
	json_object_foreach(rows, tag, row)
	{
		if (n++ < ROWS_MAX)
			put_row(out, tag, row);
	}
}
