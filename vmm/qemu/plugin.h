/* SPDX-License-Identifier: MIT */
#pragma once
/* The plugin that makes machines with virtual time repeatable; vmm/qemu/plugin/ is its source. */

#include <stdint.h>

#include "util/err.h"
#include "vmm/qemu/qemu.h"

/*
 * Makes a file in memory that holds the plugin. *@ret_fd is to be closed by the caller. 0 or a
 * negative errno.
 */
int kt_plugin_open(int *ret_fd);

/* Identifies the plugin by its bytes: another one may use other functions of QEMU. */
uint64_t kt_plugin_hash(void);
