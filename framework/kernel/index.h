/* SPDX-License-Identifier: MIT */
#pragma once
/* The kernels of a Debian archive, as apt-cache lists them. */

#include <stddef.h>

/* The suffix of the packages' names that tells kernels for virtual machines. */
#define KT_KERNEL_FLAVOUR "-cloud-amd64"
#define KT_KERNEL_PACKAGE "linux-image-"

/* Releases ("7.0.13+deb13-cloud-amd64"), newest first. */
struct kt_releases {
	char **at;
	size_t n;
};

#define KT_RELEASES_NULL ((struct kt_releases){ .n = 0 })

void kt_releases_deinit(struct kt_releases *releases);

/*
 * Reads what "apt-cache pkgnames" prints: a package's name on each line. Lines that do not begin
 * with the name of a kernel's package, such as a warning of apt's, are passed over. -ENOMEM.
 */
int kt_kernel_index_parse(const char *text, struct kt_releases *ret_releases);
