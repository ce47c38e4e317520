/* SPDX-License-Identifier: MIT */
#pragma once
/* The QEMU backend: a child process per machine, every channel an inherited descriptor. */

#include "vmm/machine.h"

/* Makes a machine of this backend; as kt_machine_new(). */
int kt_qemu_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
		struct kt_machine **ret_machine, struct kt_err *reterr);

/* Why QEMU cannot make the machine; as kt_machine_lack(). */
const char *kt_qemu_lack(const struct kt_machine_config *config);

/* A QEMU program and what it can do. */
struct kt_qemu_program {
	char path[4096];    /* absolute, or as the user gave it */
	unsigned int major; /* version; 0.0 until kt_qemu_version() */
	unsigned int minor;
	bool sandbox; /* it can refuse itself system calls; false until kt_qemu_try_sandbox() */
};

#define KT_QEMU_DEFAULT "qemu-system-x86_64"

/*
 * Finds @name, a path or a name in PATH, and sets the path of @ret_program, not its version.
 * Returns 0, or -ENOENT with advice when there is no such program.
 */
int kt_qemu_find(const char *name, struct kt_qemu_program *ret_program, struct kt_err *reterr);

/* Runs the program with --version and sets its version. Returns 0 or a negative errno. */
int kt_qemu_version(struct kt_qemu_program *program, struct kt_err *reterr);

/* Sets program->sandbox by running it: a build without seccomp has no sandbox. */
void kt_qemu_try_sandbox(struct kt_qemu_program *program);

/* The argument of -sandbox: everything that it can refuse. */
#define KT_QEMU_SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

/* True from version 8.2 on, which can migrate to and from a plain file ("file:" URIs). */
bool kt_qemu_can_save(const struct kt_qemu_program *program);

/*
 * True from version 8.1 on. Before, multi-threaded TCG could execute an old translation of code
 * that the guest had just patched, and guests with several vCPUs died in __schedule() (QEMU commit
 * "accel/tcg: Always lock pages before translation"). stale.h is about a rarer race that is left.
 */
bool kt_qemu_multi_thread_is_safe(const struct kt_qemu_program *program);

/*
 * Whether the program can load the plugin that makes machines repeatable (vmm/qemu/plugin.h), found
 * out by running it. 0, -ENOEXEC or another negative errno, with the reason.
 */
int kt_qemu_try_plugin(const struct kt_qemu_program *program, struct kt_err *reterr);
