/* SPDX-License-Identifier: MIT */
#pragma once
/* The log of the BPF verifier, for people. */

/*
 * The text with loops told once: where the same instructions follow three times or more, one pass through them
 * is left, and a line says how many there were. States of registers, which differ from pass to pass, do not
 * count. To be freed; NULL when out of memory.
 */
char *kt_verifier_log_collapse(const char *log);
