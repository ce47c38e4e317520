/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Loads a sched_ext scheduler from a BPF object file. It needs no skeleton: the contents of the
 * object are found by its BTF. "ktests load OBJECT" uses this, and so does the guest for
 * KT_SCHEDULER(.object = ...).
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* How kt_loader_run() has ended. The values are exit statuses of the process. */
enum kt_loader_status {
	KT_LOADER_ENDED = 0,    /* by SIGTERM, SIGINT or sysrq-S, or by itself without an error */
	KT_LOADER_REFUSED = 1,  /* not loaded or not attached; standard error says why */
	KT_LOADER_DISABLED = 3, /* by the kernel, after an error of the scheduler */
};

/* What to load. All is borrowed. */
struct kt_loader {
	const char *object;               /* path of the file */
	const char *const *variables;     /* NAME=VALUE, up to a NULL; may be NULL */
	unsigned int watchdog_ms;         /* ops.timeout_ms; 0: what the object sets */
	unsigned int watchdog_default_ms; /* if the object sets none; 0: the kernel's default */
	unsigned int dump_kib;            /* room for the dump; 0: what the object sets */
	bool hurry;  /* nice -20 until the scheduler is attached: workers may keep all CPUs busy */
	bool verify; /* only load it, and print what the verifier needed */
};

/*
 * Sets the variables, loads and attaches the scheduler, and waits until SIGTERM or SIGINT comes or
 * the kernel disables the scheduler. There is no deadline.
 *
 * Prints to standard error in the format of the kernel's own schedulers: warnings of libbpf with
 * the verifier's log; at the end "DEBUG DUMP" with the kernel's dump, and "EXIT: REASON (MESSAGE)".
 * With @verify the statistics go to standard output, and nothing is attached.
 */
enum kt_loader_status kt_loader_run(const struct kt_loader *loader);

/*
 * Checks an object without a kernel: that it is one scheduler and has all the variables, and that
 * their values fit. 0 or a negative errno. Prints nothing.
 */
int kt_loader_check(const struct kt_loader *loader, struct kt_err *reterr);
