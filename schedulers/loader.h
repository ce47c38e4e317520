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
 * Sets the variables, loads, attaches, and waits until a signal comes or the kernel has disabled
 * the scheduler. Speaks on standard error as the kernel's own schedulers do: libbpf's complaints
 * with the verifier's log, at the end "DEBUG DUMP" with what the kernel has dumped, and "EXIT:
 * REASON (MESSAGE)".
 */
enum kt_loader_status kt_loader_run(const struct kt_loader *loader);

/*
 * Checks what needs no kernel: that the object has a scheduler, and has the variables.
 */
int kt_loader_check(const struct kt_loader *loader, struct kt_err *reterr);

/*
 * Whether the object's scheduler is a struct sched_ext_ops_cid, which kernels have since 7.2. False
 * for a file that is no scheduler.
 */
bool kt_loader_is_cid(const char *object);
