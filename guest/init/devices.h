/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The devices of a test's machine beyond those that every machine has: the disk (.disk_mib) and the
 * network cards (.net).
 */

#include "util/err.h"

/*
 * What the host adds to the initramfs of such a machine: kernel modules, which are loaded in the
 * order of their names, and KT_DEVICES_DISK.
 */
#define KT_DEVICES_DIR "/devices"

/*
 * The size in MiB of the disk that the guest is to make itself, as a decimal number. Without the
 * file the disk is one of the machine's.
 */
#define KT_DEVICES_DISK KT_DEVICES_DIR "/disk_mib"

/*
 * Loads the modules, makes KT_DISK_PATH, and brings the cards up. Does nothing in a machine that
 * has neither. Runs once, after the mounts, before a template is saved.
 */
int kt_devices_setup(struct kt_err *reterr);
