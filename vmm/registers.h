/* SPDX-License-Identifier: MIT */
#pragma once
/* The registers of one vCPU of a machine that stands still (kt_machine_registers()). */

#include <stdbool.h>
#include <stdint.h>

/* In 32-bit code the upper halves, and r8 to r15, are 0. */
struct kt_registers {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip;
	uint32_t rflags;
	uint32_t cs, ss, ds, es, fs, gs; /* selectors */
	uint64_t fs_base, gs_base;
	uint64_t kernel_gs_base; /* what SWAPGS exchanges gs_base with */
	uint64_t cr0, cr2, cr3, cr4, efer;
};

#define KT_CR0_PE 1u /* protected mode */

/* The privilege level: 0 is the kernel's, 3 that of user space. */
static inline unsigned int kt_registers_cpl(const struct kt_registers *registers)
{
	return registers->cr0 & KT_CR0_PE ? registers->cs & 3 : 0;
}

static inline bool kt_registers_are_user(const struct kt_registers *registers)
{
	return kt_registers_cpl(registers) == 3;
}

/*
 * Where Linux has the variables of this CPU, which is __per_cpu_offset[cpu] since 6.15: the kernel
 * keeps it in gs_base while its own code runs, and in kernel_gs_base otherwise. Between an entry
 * and its SWAPGS it still is in the latter; only this one is then an address of the kernel.
 */
static inline uint64_t kt_registers_per_cpu(const struct kt_registers *registers)
{
	return registers->gs_base >> 63 ? registers->gs_base : registers->kernel_gs_base;
}

/* The physical address of the page tables, without the context number and flags of CR3. */
static inline uint64_t kt_registers_page_table(const struct kt_registers *registers)
{
	return registers->cr3 & 0x000ffffffffff000u;
}
