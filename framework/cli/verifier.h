/* SPDX-License-Identifier: MIT */
#pragma once
/* ktests verifier: what the BPF verifiers of kernels say of a scheduler. */

#include "framework/setup/setup.h"

/* What is to be verified, as a test that uses it: a scheduler of this binary, or an object file. */
struct kt_verified {
	struct kt_scheduler scheduler;
	struct kt_test test;
	char *path; /* of a file; owned */
};

int kt_verified_init(struct kt_verified *verified, const char *name, struct kt_err *reterr);
void kt_verified_deinit(struct kt_verified *verified);

/* Loads it on each kernel of @setup, and prints the result; an exit status. */
int kt_verifier_command(struct kt_setup *setup, const struct kt_verified *verified);
