/* SPDX-License-Identifier: MIT */
#pragma once
/* BPF maps of the running kernel: found by name, their values read and written by BTF. */

#include <stddef.h>
#include <stdint.h>

#include <ktest/scheduler.h>

#include "util/err.h"

/*
 * Opens the newest map of that name, or the oldest. -ENOENT when there is none, with the names that there are;
 * what goes wrong on the way through the kernel's maps is an error of its own. *@ret_fd is to be closed.
 */
int kt_bpf_map_open(const char *name, bool newest, int *ret_fd, struct kt_err *reterr);

int kt_bpf_map_read_number(int fd, const struct kt_bpf_ref *ref, uint64_t *ret_value,
			   struct kt_err *reterr);
int kt_bpf_map_write_number(int fd, const struct kt_bpf_ref *ref, uint64_t value,
			    struct kt_err *reterr);

/* A field of @len bytes. */
int kt_bpf_map_read_bytes(int fd, const struct kt_bpf_ref *ref, void *data, size_t len,
			  struct kt_err *reterr);
int kt_bpf_map_write_bytes(int fd, const struct kt_bpf_ref *ref, const void *data, size_t len,
			   struct kt_err *reterr);
