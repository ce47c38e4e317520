/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The RAM of a guest that never ran: a kernel's image with symbols (kallsyms), types (BTF) and
 * VMCOREINFO, page tables, a task and two CPUs, made byte by byte. For tests of vmm/inspect/ that
 * need no machine, and for its fuzz targets.
 */

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/inspect/inspect.h"
#include "vmm/inspect/ram.h"
#include "vmm/mem.h"

#define TINY_RAM_LEN  (4u << 20)
#define TINY_IMAGE    0x100000u                    /* physical address of _text */
#define TINY_TEXT     UINT64_C(0xffffffff81000000) /* as linked */
#define TINY_CPUS     2u
#define TINY_SYMBOLS  64u
#define TINY_RELEASE  "9.9.9-tiny"
#define TINY_BUILD_ID "00112233445566778899aabbccddeeff00112233"

struct tiny_options {
	bool five_levels;
	bool old_kallsyms; /* with relative_base, as up to Linux 6.19 */
	uint64_t kaslr;
	bool booting; /* VMCOREINFO is not there yet */
	bool no_btf;
	struct btf *(*btf)(void);      /* other types; NULL: those of tiny_btf() */
	const char *const *variables; /* names of more variables of 64 bytes; the last is NULL */
};

struct tiny_symbol {
	char name[200];
	uint64_t kva; /* where it is in the guest */
};

struct tiny_kernel {
	struct tiny_options options;
	uint8_t *bytes; /* TINY_RAM_LEN of them */
	struct kt_mem mem;
	struct kt_ram *ram;
	uint64_t page_offset;
	uint64_t image_end, heap_end; /* physical: what is in use up to here */
	uint64_t info;                /* physical address of VMCOREINFO */
	uint64_t root;                /* physical address of the top page table */
	size_t n_symbols;
	struct tiny_symbol symbols[TINY_SYMBOLS];
	/* What the tests look at; virtual addresses. */
	uint64_t task;  /* struct task_struct with pid 1 */
	uint64_t sched; /* struct scx_sched that scx_root points to */
	uint64_t rqs[TINY_CPUS];
};

/* Makes it; a failure ends the process. */
void tiny_kernel_init(struct tiny_kernel *kernel, const struct tiny_options *options);
void tiny_kernel_deinit(struct tiny_kernel *kernel);

/* Writes VMCOREINFO, as a kernel does when it has booted far enough. */
void tiny_kernel_finish_boot(struct tiny_kernel *kernel);

/* Takes @len bytes of RAM outside of the image; returns their address in the direct map. */
uint64_t tiny_alloc(struct tiny_kernel *kernel, size_t len);

/* The bytes at a virtual address of the image or of the direct map. */
void *tiny_at(const struct tiny_kernel *kernel, uint64_t kva);

/* The address of a symbol; 0 when there is none. */
uint64_t tiny_symbol(const struct tiny_kernel *kernel, const char *name);

/* Stores a number of @len bytes. */
void tiny_set(struct tiny_kernel *kernel, uint64_t kva, uint64_t value, size_t len);

/* The types of the kernel. */
struct btf *tiny_btf(void);

/* Maps the page of level 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB) at @kva to @gpa. */
void tiny_map(struct tiny_kernel *kernel, uint64_t kva, uint64_t gpa, unsigned int level);

/* Where a member lies in a struct of the types below, in bytes. */
#define TINY_TASK_LEN      256u
#define TINY_TASK_PID      0u
#define TINY_TASK_COMM     8u
#define TINY_TASK_BITS     24u /* sched_flag_a:1 at bit 0, sched_level:5 at bit 1 (signed) */
#define TINY_TASK_STATE    32u /* enum tiny_state */
#define TINY_TASK_PARENT   40u
#define TINY_TASK_USAGE    64u  /* atomic_t */
#define TINY_TASK_LINKS    72u  /* pid_links[2] */
#define TINY_TASK_MASK     104u /* struct cpumask */
#define TINY_TASK_NAME     112u /* char * */
#define TINY_TASK_TABLE    120u /* int [2][3] */
#define TINY_TASK_TASKS    144u /* struct list_head */
#define TINY_TASK_SPAN     160u /* sched_span:60 from bit 6 on, in nine bytes */
#define TINY_TASK_START    176u /* start_time */
#define TINY_TASK_EXIT     184u /* exit_state */
#define TINY_TASK_FLAGS    188u
#define TINY_TASK_ON_RQ    192u
#define TINY_TASK_ON_CPU   196u
#define TINY_TASK_CLASS    200u /* sched_class, a pointer */
#define TINY_TASK_SCX      208u /* dsq_vtime, then a union of sticky_cpu and word */
#define TINY_TASK_DSQ      224u /* scx.dsq, a pointer */
#define TINY_TASK_RUNNABLE 232u /* scx.runnable_node */
#define TINY_SCHED_KIND    0u   /* atomic_t exit_kind */
#define TINY_SCHED_NAME    8u   /* ops.name */
#define TINY_SCHED_PCPU    72u  /* pointer to per-CPU struct scx_sched_pcpu */
#define TINY_SCHED_EXIT    80u  /* enum scx_exit_kind kind */
#define TINY_RQ_NR_RUNNING 0u
#define TINY_RQ_SCX_NR     8u /* scx.nr_running */
#define TINY_RQ_CURR       16u
