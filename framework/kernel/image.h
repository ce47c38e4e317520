/* SPDX-License-Identifier: MIT */
#pragma once
/* Kernel images: bzImage and vmlinux files, and what is inside. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum kt_kernel_format {
	KT_KERNEL_BZIMAGE,
	KT_KERNEL_VMLINUX,
};

/* Tells the formats apart by their first bytes; -ENOEXEC for anything else. */
int kt_kernel_detect(const char *path, enum kt_kernel_format *ret_format, struct kt_err *reterr);

/*
 * Decompresses the vmlinux inside a bzImage (zstd or gzip) to the new file @vmlinux.
 * -ENOTSUP for another compression, naming it.
 */
int kt_kernel_extract(const char *bzimage, const char *vmlinux, struct kt_err *reterr);

/* What a vmlinux says about itself. */
struct kt_kernel_facts {
	char release[65];
	char build_id[41];
	bool pvh;             /* has an entry for direct boot (XEN_ELFNOTE_PHYS32_ENTRY) */
	bool btf;             /* CONFIG_DEBUG_INFO_BTF */
	bool virtio_console;  /* CONFIG_VIRTIO_CONSOLE=y; true when it cannot be told (no BTF) */
	bool virtio_pci;      /* CONFIG_VIRTIO_PCI=y; likewise */
	bool sched_ext;       /* CONFIG_SCHED_CLASS_EXT */
	char **broken_kfuncs; /* NULL-terminated; see kt_kernel_facts_read() */
	size_t n_broken_kfuncs;
};

#define KT_KERNEL_FACTS_NULL ((struct kt_kernel_facts){ .pvh = false })

void kt_kernel_facts_deinit(struct kt_kernel_facts *facts);

/*
 * Reads them with libelf and libbpf. @btf_copy, if not NULL, is where the contents of .BTF go.
 *
 * A kfunc with the implicit argument "struct bpf_prog_aux *aux" should stand in BTF twice: without
 * it under its name, and with it as NAME_impl. Builds exist where some were left unconverted;
 * libbpf refuses programs that call those. broken_kfuncs names the scx_bpf_* ones.
 */
int kt_kernel_facts_read(const char *vmlinux, const char *btf_copy,
			 struct kt_kernel_facts *ret_facts, struct kt_err *reterr);
