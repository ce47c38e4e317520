/* SPDX-License-Identifier: MIT */
#pragma once
/* What all attempts of a run have in common: the host's means, the kernel, the guest's files. */

#include <ktest/test.h>

#include "framework/image/image.h"
#include "framework/kernel/kernel.h"
#include "framework/options/options.h"
#include "framework/setup/cargo.h"
#include "vmm/host.h"
#include "vmm/template.h"

struct kt_setup {
	const struct kt_options *options;
	struct kt_host host;
	struct kt_kernel *kernels; /* on each of which every test is run; at least one */
	size_t n_kernels;
	struct kt_cargo cargo;
	struct kt_image *image;
	int initramfs_fd;   /* the image as an initramfs; -1 until kt_setup_initramfs() */
	char *template_dir; /* NULL when machines are booted, not restored */
	double timeout_multiplier;
};

#define KT_SETUP_NULL ((struct kt_setup){ .initramfs_fd = -1 })

/* The factor for the limits of tests without --timeout-multiplier: 1 with KVM, 3 with TCG. */
double kt_setup_default_multiplier(const struct kt_host *host);

/* What a run wants beyond the program itself. */
struct kt_setup_wants {
	const struct kt_image_extra *extras; /* to be packed for every guest */
	size_t n_extras;
	const struct kt_test *const *tests; /* whose payloads are packed */
	size_t n_tests;
};

/*
 * Finds everything. -ENOENT when the host has no QEMU, which is no
 * fault of a test.
 */
int kt_setup_init(struct kt_setup *setup, const struct kt_options *options,
		  const struct kt_setup_wants *wants, struct kt_err *reterr);
void kt_setup_deinit(struct kt_setup *setup);

/* Makes the initramfs, for machines that boot. Harmless when it is there. */
int kt_setup_initramfs(struct kt_setup *setup, struct kt_err *reterr);

/* Why the test is skipped before anything is started, to be freed; NULL when it can run. */
char *kt_setup_obstacle(const struct kt_setup *setup, const struct kt_kernel *kernel,
			const struct kt_test *test);

/* The machine of a test; it borrows from @setup and @kernel. */
struct kt_machine_topology kt_setup_topology(const struct kt_test *test);
struct kt_machine_config kt_setup_machine(const struct kt_setup *setup,
					  const struct kt_kernel *kernel,
					  const struct kt_test *test);

/* Whether the guest sees the CPUs, caches and nodes that the test asks for; the error says which not. */
int kt_setup_check_topology(const struct kt_test *test, const struct kt_hello *hello,
			    struct kt_err *reterr);

/* The text of everything that the saved machine of a test depends on, to be freed. */
char *kt_setup_machine_text(const struct kt_setup *setup, const struct kt_kernel *kernel,
			    const struct kt_test *test);

/* How long files may take to be sent to a guest that has none of @packages. */
uint64_t kt_setup_send_limit_ns(const struct kt_setup *setup, uint64_t packages);

/* How long the test may take from its start to its result. */
uint64_t kt_setup_run_limit_ns(const struct kt_setup *setup, const struct kt_test *test);
