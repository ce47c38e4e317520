/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Loads any sched_ext scheduler that is a BPF object file, without a skeleton: what it has is found
 * by its BTF. "ktests load OBJECT" is this, and so is what the guest starts for
 * KT_SCHEDULER(.object = ...).
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* Ends of kt_loader_run(), as exit status. */
enum kt_loader_status {
	KT_LOADER_ENDED = 0, /* by SIGTERM or SIGINT, or because it was unregistered by somebody */
	KT_LOADER_REFUSED = 1,  /* not loaded, or not attached; standard error says why */
	KT_LOADER_DISABLED = 3, /* by the kernel, for an error of the scheduler */
};

struct kt_loader {
	const char *object;               /* the file */
	const char *const *variables;     /* NAME=VALUE, up to a NULL; may be NULL */
	unsigned int watchdog_ms;         /* ops.timeout_ms; 0: as the object has it */
	unsigned int watchdog_default_ms; /* likewise of an object that says nothing */
	unsigned int dump_kib; /* room for the dump of an error; 0: as the object has it */
	bool hurry;            /* be nice -20 until it is attached: others may be busy */
	bool verify;           /* only has it verified, and prints what that took */
};

/*
 * Sets the variables, loads, attaches, and waits until a signal comes or the kernel has disabled
 * the scheduler. Speaks on standard error as the kernel's own schedulers do: libbpf's complaints
 * with the verifier's log, at the end "DEBUG DUMP" with what the kernel has dumped, and "EXIT:
 * REASON (MESSAGE)".
 */
enum kt_loader_status kt_loader_run(const struct kt_loader *loader);

/*
 * What can be known of an object without a kernel: that it is a scheduler, and has the variables.
 */
int kt_loader_check(const struct kt_loader *loader, struct kt_err *reterr);
