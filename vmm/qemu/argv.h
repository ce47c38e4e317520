/* SPDX-License-Identifier: MIT */
#pragma once
/* QEMU's command line. */

#include "vmm/machine.h"

/* Descriptors that the child inherits. */
struct kt_qemu_fds {
	int qmp;
	int console;
	int port;
	int ram;
};

/* A NULL-terminated vector to be freed by kt_qemu_argv_free(); NULL when out of memory. */
char **kt_qemu_argv(const struct kt_machine_config *config, const struct kt_qemu_fds *fds);
void kt_qemu_argv_free(char **argv);
