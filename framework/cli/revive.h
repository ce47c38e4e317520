/* SPDX-License-Identifier: MIT */
#pragma once
/* Lets the machine of a capsule live again, as far as gdb or a shell needs it. */

#include "framework/options/options.h"
#include "vmm/capsule/info.h"

/*
 * Restores the machine, paused, and serves gdb until a signal comes or the machine ends. @image is
 * what the capsule has; its RAM becomes that of the machine. Returns 0 or a negative errno.
 */
int kt_revive_gdb(const struct kt_capsule_info *info, const struct kt_machine_image *image,
		  const struct kt_options *options, struct kt_err *reterr);

/*
 * Lets the machine run, and gives a shell in it or runs options->exec. *@ret_status is the exit
 * status of the shell. -EOPNOTSUPP where PID 1 of the guest does not listen any more, with the
 * reason.
 */
int kt_revive_shell(const struct kt_capsule_info *info, const struct kt_machine_image *image,
		    const struct kt_options *options, int *ret_status, struct kt_err *reterr);
