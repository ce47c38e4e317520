/* SPDX-License-Identifier: MIT */
#pragma once
/* QEMU's command line for a machine. */

#include <stdbool.h>

#include "vmm/machine.h"

/* Descriptors that the child inherits under these numbers. */
struct kt_qemu_fds {
	int qmp;            /* socket of the monitor */
	int console;        /* first serial port: a socket, with host calls a regular file */
	int port;           /* socket of the bulk port */
	int gdb;            /* socket of the gdbstub; -1: none */
	bool conflicts;     /* the plugin watches accesses to memory */
	int plugin;         /* file of the plugin; -1: no host calls */
	int stand;          /* eventfd that tells the plugin to let the machine stand */
	int alarm;          /* pipe by which the plugin says that the guest's limit is reached */
	int where;          /* file of struct kt_whereabouts, by which it tells registers */
	int disk;           /* the file with the sectors of the disk; -1: none */
	int ram;            /* the RAM file */
	bool ram_is_shared; /* the guest writes to the file; else copy-on-write */
};

/* What the command line is for. */
enum kt_qemu_purpose {
	KT_QEMU_BOOT,    /* boot the kernel of the configuration */
	KT_QEMU_RESTORE, /* wait until QMP names a saved state */
	KT_QEMU_REOPEN,  /* likewise, of the devices alone, and do not let the machine run */
};

/* Whether all vCPUs are executed by one thread of QEMU. TCG only. */
bool kt_qemu_is_single_thread(const struct kt_machine_config *config);

/*
 * Makes a NULL-terminated vector, to be freed by kt_qemu_argv_free(). Returns NULL when out of
 * memory.
 */
char **kt_qemu_argv(enum kt_qemu_purpose purpose, const struct kt_machine_config *config,
		    const struct kt_qemu_fds *fds);

/* Frees a vector and its strings. NULL is allowed. */
void kt_qemu_argv_free(char **argv);
