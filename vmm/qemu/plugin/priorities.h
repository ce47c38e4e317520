/* SPDX-License-Identifier: MIT */
#pragma once
/* Priorities of vCPUs: the policy KT_TURNS_PCT. */

#include "vmm/qemu/plugin/api.h"
#include "wire/turns.h"

/* Begins anew, with priorities from the seed; without any if @how is of another policy. */
void kt_priorities_seed(const struct kt_turns *how);

/* Whether priorities decide who runs. */
bool kt_priorities_decide(void);

/*
 * Whether the turn of @cpu is to end. @insns: executed by all vCPUs since kt_priorities_seed().
 * *@ret_stretch: number of instructions after which to ask again.
 */
bool kt_priorities_end_turn(struct kt_qemu_cpu *cpu, uint64_t insns, int64_t *ret_stretch);

/* Finds the instructions of the block by which a vCPU says that it waits for another. */
void kt_priorities_on_translate(struct qemu_plugin_tb *tb);
