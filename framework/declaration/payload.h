/* SPDX-License-Identifier: MIT */
#pragma once
/* Whether payloads are declared as they should be. */

#include <stdio.h>

#include <ktest/payload.h>

/* Writes what is wrong with the declarations to @out; returns how many faults there are. */
unsigned int kt_payloads_validate(const struct kt_payload_node *nodes, FILE *out);
