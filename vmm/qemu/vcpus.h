/* SPDX-License-Identifier: MIT */
#pragma once
/* The threads of QEMU that execute vCPUs, as the host sees them. */

#include <sys/types.h>

#include "vmm/rendezvous.h"

/*
 * Tells @rendezvous which vCPUs of the QEMU with this process ID have left guest code: those whose
 * thread waits, as QEMU lets each thread do that is parked. One whose thread cannot be found has
 * not arrived.
 */
void kt_vcpus_tell_parked(pid_t pid, struct kt_rendezvous *rendezvous);
