/* SPDX-License-Identifier: MIT */
#pragma once
/* The turns of vCPUs, which one thread executes one after the other: when each ends. */

#include "vmm/qemu/plugin/api.h"
#include "wire/turns.h"

/* Begins anew: from now on turns end as @how says. 0, -ERANGE or -ENOTSUP. */
int kt_turns_seed(const struct kt_turns *how);

/* Since kt_turns_seed(). */
struct kt_turns_made kt_turns_made(void);

/* The vCPU that has executed the latest block of instructions; NULL: not known. */
struct kt_qemu_cpu *kt_turns_last(void);

/* Ends the turn of @cpu, which executes guest code, behind the current block of instructions. */
void kt_turns_end(struct kt_qemu_cpu *cpu);

/* Counts the instructions of the block whenever it is executed. */
void kt_turns_on_translate(struct qemu_plugin_tb *tb);
