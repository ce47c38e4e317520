/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of the binary's KT_PAYLOAD() declarations, on the host before any test runs. */

#include <stdio.h>

#include <ktest/payload.h>

/*
 * Writes a line to @out for each fault of the declarations in @nodes. Returns the number of faults.
 */
unsigned int kt_payloads_validate(const struct kt_payload_node *nodes, FILE *out);
