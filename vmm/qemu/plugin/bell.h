/* SPDX-License-Identifier: MIT */
#pragma once
/* Host calls: finds the bell in the guest's code and serves the requests (wire/hostcall.h). */

#include "vmm/qemu/plugin/api.h"

/* Descriptors that the host has passed to QEMU. */
struct kt_bell_fds {
	int port;  /* stream socket of the bulk port */
	int stand; /* eventfd; readable while the host wants the machine to stand */
	int alarm; /* pipe: gets a byte when the limit of KT_HOSTCALL_LIMIT is reached */
	int where; /* file of struct kt_whereabouts; -1: the host does not look */
};

/* Serves requests through @fds, which stay open as long as QEMU runs. */
void kt_bell_init(const struct kt_bell_fds *fds);

/* Serves requests made by the instruction, if it is the bell. */
void kt_bell_on_translate(struct qemu_plugin_insn *insn);
