/* SPDX-License-Identifier: MIT */
#pragma once
/* The turns of vCPUs, which one thread executes one after the other: when each ends. */

#include "vmm/qemu/plugin/api.h"

/* Begins anew: from now on the ends of turns follow from @seed, with @mean instructions a turn. */
void kt_turns_seed(uint64_t seed, uint64_t mean);

/* How many turns were ended since kt_turns_seed(). */
uint64_t kt_turns_ended(void);

/* Counts the instructions of the block whenever it is executed. */
void kt_turns_on_translate(struct qemu_plugin_tb *tb);
