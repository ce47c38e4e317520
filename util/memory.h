/* SPDX-License-Identifier: MIT */
#pragma once
/* How much memory there is for this process. */

#include <stdint.h>

/* The number behind @key ("MemAvailable:") in /proc/meminfo, in MiB; 0 when it is not there. */
uint64_t kt_meminfo_mib(const char *key);

/*
 * The memory that this process may use, in MiB: that of the host, or what its cgroup (v1 or v2) or
 * one above it allows if that is less. 0 when it is not known.
 */
uint64_t kt_memory_mib(void);

/*
 * The least number in the files called @file of @cgroup ("/a/b") and of those above it, up to the
 * directory @root. UINT64_MAX when none has a number.
 */
uint64_t kt_cgroup_least(const char *root, const char *cgroup, const char *file);
