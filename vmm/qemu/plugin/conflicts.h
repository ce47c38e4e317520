/* SPDX-License-Identifier: MIT */
#pragma once
/* Conflicts: accesses to words that several vCPUs access and at least one writes. */

#include "vmm/qemu/plugin/api.h"

/* Whether seeds may ask for conflicts. */
void kt_conflicts_watch(void);
bool kt_conflicts_are_watched(void);

/* Begins anew: from now on turns end at conflicts that follow from @seed, or not (@on false). */
void kt_conflicts_seed(uint64_t seed, bool on);

/* A block begins. What an access of the block before has asked for is done: its turn has ended. */
void kt_conflicts_on_block(void);

/* Watches the accesses of the block, if a seed has asked for conflicts. */
void kt_conflicts_on_translate(struct qemu_plugin_tb *tb);
