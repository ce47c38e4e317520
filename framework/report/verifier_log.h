/* SPDX-License-Identifier: MIT */
#pragma once
/* The log of the BPF verifier, shortened for people. */

/*
 * Returns a copy of @log in which loops are written once, to be freed; NULL when out of memory.
 *
 * The verifier logs every pass through a loop. Where the same instructions follow one another at
 * least three times, one pass stays and a line tells the number of passes. Register states, which
 * differ from pass to pass, are not compared.
 */
char *kt_verifier_log_collapse(const char *log);
