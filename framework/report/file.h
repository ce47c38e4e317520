/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The file that a report is written to. A regular file, or none, is replaced in one step at the
 * end; a symbolic link stays and its target is replaced. Anything else, such as a device, a FIFO, a
 * socket or /dev/stdout, is written through.
 */

#include <stddef.h>

#include "util/err.h"

struct kt_report_file;

/*
 * Opens @path before the run, so that a target that cannot be written is reported then. "-" is
 * standard output. Returns 0 or a negative errno; the error names the path.
 */
int kt_report_file_open(const char *path, struct kt_report_file **ret_file, struct kt_err *reterr);

/* Writes the whole report. Returns 0 or a negative errno. */
int kt_report_file_write(const struct kt_report_file *file, const char *text, size_t len,
			 struct kt_err *reterr);

/* Closes it; NULL is allowed. A report that was not written leaves no file behind. */
struct kt_report_file *kt_report_file_free(struct kt_report_file *file);
