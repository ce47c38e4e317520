/* SPDX-License-Identifier: MIT */
#pragma once
/* QEMU's command line. */

#include <stdbool.h>

#include "vmm/machine.h"

/* Descriptors that the child inherits. */
struct kt_qemu_fds {
	int qmp;
	int console;
	int port;
	int gdb; /* -1: no gdbstub */
	int ram;
	bool ram_is_shared; /* else a copy-on-write view */
};

/* What the command line is for. */
enum kt_qemu_purpose {
	KT_QEMU_BOOT,    /* of the configuration's kernel */
	KT_QEMU_RESTORE, /* wait for a saved state */
};

/* A NULL-terminated vector to be freed by kt_qemu_argv_free(); NULL when out of memory. */
char **kt_qemu_argv(enum kt_qemu_purpose purpose, const struct kt_machine_config *config,
		    const struct kt_qemu_fds *fds);
void kt_qemu_argv_free(char **argv);
