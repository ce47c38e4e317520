/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where the vCPUs are while the guest waits in a host call that asks (KT_HOSTCALL_ASK): the plugin
 * writes it before the host gets the question, because the gdbstub tells registers of a machine
 * that is stopped only, and to stop it there would make another run of it.
 */

#include <stdint.h>

#include "vmm/qemu/registers.h"

/* Memory that the plugin and the host share. */
struct kt_whereabouts {
	uint32_t stands; /* the machine waits in such a call; the rest is valid */
	uint32_t n_vcpus;
	uint8_t registers[][KT_GDB_REGISTERS_LEN]; /* as the gdbstub tells them */
};

static inline uint64_t kt_whereabouts_len(unsigned int n_vcpus)
{
	return sizeof(struct kt_whereabouts) + (uint64_t)n_vcpus * KT_GDB_REGISTERS_LEN;
}
