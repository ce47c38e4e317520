/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A capsule: a machine at one moment of its life, in one file. It has the state of the devices and
 * those pages of the RAM that differ from the template that the machine was restored from, or all
 * of them.
 *
 * The file may come from anywhere: everything in it is checked before it is used. Functions that
 * return int return 0 or a negative errno, with an error that names the file.
 */

#include "vmm/capsule/info.h"
#include "vmm/registers.h"

struct kt_capsule;

/*
 * Opens a capsule and checks its header and info. -EBADMSG if it is damaged or no capsule, -ENOTSUP
 * if it is of another version of the format.
 */
int kt_capsule_open(const char *path, struct kt_capsule **ret_capsule, struct kt_err *reterr);

/* Returns NULL, to be stored back. NULL is allowed. */
struct kt_capsule *kt_capsule_close(struct kt_capsule *capsule);

/* What the capsule says of itself; good until it is closed. */
const struct kt_capsule_info *kt_capsule_info(const struct kt_capsule *capsule);

uint64_t kt_capsule_file_len(const struct kt_capsule *capsule); /* bytes */
uint64_t kt_capsule_n_pages(const struct kt_capsule *capsule);

/*
 * Writes the RAM of the machine to the empty file @ram_fd. @base_fd is the RAM of the template that
 * the info names; -1 if it names none. -EBADMSG if a page is damaged.
 */
int kt_capsule_read_ram(struct kt_capsule *capsule, int base_fd, int ram_fd, struct kt_err *reterr);

/*
 * Writes the state of the devices to the empty file @state_fd, -1: nowhere. *@ret_vcpus, to be
 * freed, are the registers of the info's vCPUs; NULL: they are not wanted.
 */
int kt_capsule_read_state(struct kt_capsule *capsule, int state_fd, struct kt_registers **ret_vcpus,
			  struct kt_err *reterr);
