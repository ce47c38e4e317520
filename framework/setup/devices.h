/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the guest needs for the devices that a test asks for (.disk_mib, .net): drivers that its
 * kernel has as modules.
 */

#include <ktest/test.h>

#include "framework/kernel/kernel.h"
#include "vmm/machine.h"

/*
 * Why the kernel has no driver for a device of @test, in a machine with that time; to be freed.
 * NULL when it has all, or when that cannot be told.
 */
char *kt_devices_obstacle(const struct kt_kernel *kernel, const struct kt_test *test,
			  enum kt_time time);

/*
 * Prepares a boot of @machine, whose initramfs is that of the run: if the guest needs modules,
 * *@ret_fd becomes an initramfs with them, which takes the place of the other in @machine.
 * Otherwise neither changes. The caller closes *@ret_fd behind the start of the machine.
 */
int kt_devices_add(const struct kt_kernel *kernel, struct kt_machine_config *machine, int *ret_fd,
		   struct kt_err *reterr);
