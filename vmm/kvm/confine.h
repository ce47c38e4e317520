/* SPDX-License-Identifier: MIT */
#pragma once
/* What the thread of a vCPU may ask of the host's kernel, once guest code can run in it. */

#include "util/err.h"

/*
 * Confines the calling thread for good: it gains no privileges any more, and a system call that a
 * vCPU does not need kills the process with SIGSYS. Opening a file fails with EPERM instead. Other
 * threads stay as they are. Returns 0, or a negative errno where the host has no seccomp.
 */
int kt_kvm_confine(struct kt_err *reterr);
