/* SPDX-License-Identifier: MIT */
#pragma once
/* The stream that a report is written to while the run goes on. */

#include <stdio.h>

#include "util/err.h"

/*
 * Opens @path, and what was in it is gone; "-" is standard output. The caller closes the stream.
 * Returns 0 or a negative errno; the error names the path. A FIFO that nothing reads is -ENXIO.
 */
int kt_report_stream_open(const char *path, FILE **ret_stream, struct kt_err *reterr);
