/* SPDX-License-Identifier: MIT */
#pragma once
/* Idle vCPUs: lets the clock go to the next timer without QEMU's main loop. */

#include "vmm/qemu/plugin/api.h"

/* Takes the decision from the main loop. After kt_api_find(), before vCPUs run. */
void kt_idle_init(void);

/* Sees a vCPU halt, if the instruction is HLT. */
void kt_idle_on_translate(struct qemu_plugin_insn *insn);

/*
 * To be called in each block of instructions, and before a vCPU waits for the host in the middle of
 * one: not all are idle, and the main loop may have the big lock.
 */
void kt_idle_on_block(void);
