/* SPDX-License-Identifier: MIT */
#pragma once
/* The QEMU backend: a child process per machine, every channel an inherited descriptor. */

#include "vmm/machine.h"

/* @events and @data as in struct kt_machine; the machine lives until kt_machine_destroy(). */
int kt_qemu_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
		struct kt_machine **ret_machine, struct kt_err *reterr);

/* A QEMU program and what it can do. */
struct kt_qemu_program {
	char path[4096];
	unsigned int major, minor;
};

#define KT_QEMU_DEFAULT "qemu-system-x86_64"

/*
 * Finds @name (a path, or a name looked up in PATH). -ENOENT with advice when there is none. The
 * version is not filled in.
 */
int kt_qemu_find(const char *name, struct kt_qemu_program *ret_program, struct kt_err *reterr);

/* Runs it with --version. */
int kt_qemu_version(struct kt_qemu_program *program, struct kt_err *reterr);

/* Saving to and restoring from plain files ("file:" migration) came with 8.2. */
bool kt_qemu_can_save(const struct kt_qemu_program *program);

/*
 * Before 8.1, multi-threaded TCG could run a translation of code that the guest had just patched:
 * guests with several vCPUs died in __schedule (QEMU commit "accel/tcg: Always lock pages before
 * translation", in 8.1).
 */
bool kt_qemu_multi_thread_is_safe(const struct kt_qemu_program *program);
