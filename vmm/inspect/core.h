/* SPDX-License-Identifier: MIT */
#pragma once
/* A guest's RAM as an ELF core, as Linux's /proc/vmcore has it: for crash(8), drgn and others. */

#include "vmm/inspect/inspect.h"
#include "vmm/registers.h"

/*
 * Writes the core of @ram, whose kernel is @inspect, to the empty file @fd: notes with the
 * registers of @n_vcpus vCPUs and with the kernel's VMCOREINFO, and a segment for each range of the
 * RAM. Pages of zeroes are holes of the file. Returns 0 or a negative errno.
 */
int kt_core_write(struct kt_ram *ram, struct kt_inspect *inspect, const struct kt_registers *vcpus,
		  unsigned int n_vcpus, int fd, struct kt_err *reterr);
