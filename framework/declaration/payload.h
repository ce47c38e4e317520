/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of KT_PAYLOAD() declarations. */

#include <stdio.h>

#include <ktest/payload.h>

/* Writes one line for each fault of each declaration to @out. Returns the number of faults. */
unsigned int kt_payloads_validate(const struct kt_payload_node *nodes, FILE *out);
