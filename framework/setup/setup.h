/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The setup of a run: what all its attempts share. That is the host and its QEMU, the kernels,
 * the payloads and schedulers, the files of the guest, and the parameters of machines that follow
 * from them.
 *
 * It is made before the first attempt and does not change afterwards, but for
 * kt_setup_initramfs(). The processes of attempts inherit it by fork().
 */

#include <ktest/test.h>

#include "framework/image/image.h"
#include "framework/kernel/kernel.h"
#include "framework/options/options.h"
#include "framework/setup/cargo.h"
#include "util/confine.h"
#include "vmm/host.h"
#include "vmm/inspect/inspect.h"
#include "vmm/template.h"

struct kt_setup {
	const struct kt_options *options; /* borrowed */
	const struct kt_overrides *overrides; /* set by the caller; borrowed; NULL: none */
	struct kt_host host;
	struct kt_confinement confinement; /* of the processes that have a machine */
	struct kt_kernel *kernels; /* every test runs on each of them; owned */
	size_t n_kernels;          /* at least 1 */
	struct kt_cargo cargo;
	struct kt_image *image;
	int initramfs_fd;   /* the image as an initramfs; -1 until kt_setup_initramfs() */
	/*
	 * Looks into the kernel of the guest when it has come to what options->step says, for the
	 * command "inspect"; returns how many of the paths could not be shown. NULL: nobody looks.
	 */
	size_t (*look)(struct kt_inspect *inspect, const struct kt_options *options);
	char *template_dir; /* NULL when machines are booted, not restored */
};

#define KT_SETUP_NULL ((struct kt_setup){ .initramfs_fd = -1, .confinement = KT_CONFINEMENT_NULL })

/* The factor for the limits of tests without --timeout-multiplier: 1 with KVM, 3 with TCG. */
double kt_setup_default_multiplier(const struct kt_host *host);

/* What a run wants beyond the program itself. */
struct kt_setup_wants {
	const struct kt_image_extra *extras; /* packed for every guest */
	size_t n_extras;
	const struct kt_test *const *tests; /* their payloads and schedulers are packed */
	size_t n_tests;
};

/*
 * Finds host, kernels, payloads and schedulers, and packs the image. @options must outlive
 * @setup, which must be KT_SETUP_NULL and is to be freed on failure too.
 *
 * Returns 0, -ENOENT if and only if the host has no QEMU (the tests are skipped then), or another
 * negative errno (the run is in error).
 */
int kt_setup_init(struct kt_setup *setup, const struct kt_options *options,
		  const struct kt_setup_wants *wants, struct kt_err *reterr);
void kt_setup_deinit(struct kt_setup *setup);

/* Makes the initramfs, which machines that boot need. Does nothing if it is made already. */
int kt_setup_initramfs(struct kt_setup *setup, struct kt_err *reterr);

/*
 * Why the test is skipped on @kernel, to be freed: it is disabled, a file that it brings is
 * missing, the kernel cannot run its scheduler, or the monitor cannot make its machine. NULL when
 * it can run.
 */
char *kt_setup_obstacle(const struct kt_setup *setup, const struct kt_kernel *kernel,
			const struct kt_test *test);

/*
 * Why the test is an ERROR before it runs, to be freed: a file that it brings is broken, or its
 * machine cannot be (kt_setup_machine_fault()). NULL when nothing is wrong.
 */
char *kt_setup_fault(const struct kt_setup *setup, const struct kt_kernel *kernel,
		     const struct kt_test *test);

/* The topology of @test in the form that vmm/ takes. */
struct kt_machine_topology kt_setup_topology(const struct kt_test *test);

/* The machine of a test. The result borrows from @setup and @kernel, and has no shared RAM. */
struct kt_machine_config kt_setup_machine(const struct kt_setup *setup,
					  const struct kt_kernel *kernel,
					  const struct kt_test *test);

/*
 * Whether the guest is what was asked for: it runs @kernel, and sees the CPUs, caches and nodes
 * that @test asks for. Returns 0 or -EINVAL; the error says what differs.
 */
int kt_setup_check_guest(const struct kt_kernel *kernel, const struct kt_test *test,
			 const struct kt_hello *hello, struct kt_err *reterr);

/* The text of everything that the saved machine of a test depends on, to be freed. */
char *kt_setup_machine_text(const struct kt_setup *setup, const struct kt_kernel *kernel,
			    const struct kt_test *test);

/* How long a guest that has no file of @packages may take to receive all of them. */
uint64_t kt_setup_send_limit_ns(const struct kt_setup *setup, struct kt_packages packages);

/*
 * How long the test may take from its start to its result: --timeout if given; else .timeout_ms
 * of the test, or 10 s more than its duration, times the timeout multiplier.
 */
uint64_t kt_setup_run_limit_ns(const struct kt_setup *setup, const struct kt_test *test);
