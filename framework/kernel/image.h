/* SPDX-License-Identifier: MIT */
#pragma once
/* Kernel image files, bzImage and vmlinux, and what they tell about the kernel. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum kt_kernel_format {
	KT_KERNEL_BZIMAGE, /* compressed, with a setup header */
	KT_KERNEL_VMLINUX, /* ELF */
};

/* Tells the formats apart by the first bytes. -ENOEXEC for any other file; errno of open(2). */
int kt_kernel_detect(const char *path, enum kt_kernel_format *ret_format, struct kt_err *reterr);

/*
 * Decompresses the vmlinux inside of a bzImage to the file @vmlinux, which it creates or replaces.
 * The errors are those of kt_decompress(), and -EBADMSG for a damaged image; their texts do not
 * name @bzimage, which can be a copy. A failure can leave a part of the file behind.
 */
int kt_kernel_extract(const char *bzimage, const char *vmlinux, struct kt_err *reterr);

/* What a vmlinux tells about itself. */
struct kt_kernel_facts {
	char release[65];     /* uname -r */
	char build_id[41];    /* hexadecimal; empty: none */
	bool pvh;             /* can be booted as it is (XEN_ELFNOTE_PHYS32_ENTRY) */
	bool btf;             /* CONFIG_DEBUG_INFO_BTF */
	bool virtio_console;  /* CONFIG_VIRTIO_CONSOLE=y; true when it cannot be told (no BTF) */
	bool virtio_pci;      /* CONFIG_VIRTIO_PCI=y; likewise */
	bool sched_ext;       /* CONFIG_SCHED_CLASS_EXT */
	bool sched_ext_cid;   /* it takes schedulers that are a struct sched_ext_ops_cid (7.2) */
	char **broken_kfuncs; /* sorted, NULL-terminated; NULL: none */
	size_t n_broken_kfuncs;
	unsigned int hz;     /* CONFIG_HZ; 0: it cannot be told */
	uint64_t memory_end; /* guest-physical address behind the loaded image, .bss included */
};

#define KT_KERNEL_FACTS_NULL ((struct kt_kernel_facts){ .pvh = false })

void kt_kernel_facts_deinit(struct kt_kernel_facts *facts);

/*
 * Reads the facts of @vmlinux and, if @btf_copy is not NULL, writes its BTF to that file. -ENOEXEC
 * when it is not an x86-64 kernel; -ENOMEM. The texts do not name @vmlinux, which can be a copy.
 *
 * broken_kfuncs are the scx_bpf_* functions with inconsistent BTF. A kfunc that takes the implicit
 * argument "struct bpf_prog_aux *aux" must be in BTF twice: without the argument under its own
 * name, and with it as NAME_impl. In some builds, a function is in BTF only once: under its own
 * name, with the argument. libbpf refuses to load programs that call such a function.
 */
int kt_kernel_facts_read(const char *vmlinux, const char *btf_copy,
			 struct kt_kernel_facts *ret_facts, struct kt_err *reterr);
