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
 * Reads the output of "apt-cache search": "PACKAGE - SUMMARY" on each line. Other lines, such as a
 * warning of apt, are skipped. -ENOMEM.
 */
int kt_kernel_index_parse(const char *text, struct kt_releases *ret_releases);
