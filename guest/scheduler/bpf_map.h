/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * BPF maps of the running kernel: opened by name; fields of their values are found by BTF, then
 * read and written.
 *
 * @fd is a map from kt_bpf_map_open(), @ref says which key, field and CPU
 * (macros/ktest/scheduler.h). Errors of an access name the map: -ENOTSUP for a map that is neither
 * an array nor a hash, -ERANGE for an index or a CPU that does not exist, -EINVAL for a field that
 * does not fit the access, -ENOENT for a missing key or field, and those of bpf(2).
 */

#include <stddef.h>
#include <stdint.h>

#include <ktest/scheduler.h>

#include "util/err.h"

/*
 * Opens the map called @name: if several exist, the newest or the oldest of them. The caller closes
 * *@ret_fd. -ENOENT when there is none; the error text lists the maps that exist. Other errors are
 * those of bpf(2).
 */
int kt_bpf_map_open(const char *name, bool newest, int *ret_fd, struct kt_err *reterr);

/* Reads a field of at most 64 bits. A signed one is sign-extended to 64 bits. */
int kt_bpf_map_read_number(int fd, const struct kt_bpf_ref *ref, uint64_t *ret_value,
			   struct kt_err *reterr);

/*
 * Writes a field of at most 64 bits. A hash without the key gets it. -ERANGE when the number does
 * not fit, -EPERM when the map is read-only, as .rodata is.
 */
int kt_bpf_map_write_number(int fd, const struct kt_bpf_ref *ref, uint64_t value,
			    struct kt_err *reterr);

/* As above, for a field of exactly @len bytes; -EINVAL when it has another size. */
int kt_bpf_map_read_bytes(int fd, const struct kt_bpf_ref *ref, void *data, size_t len,
			  struct kt_err *reterr);
int kt_bpf_map_write_bytes(int fd, const struct kt_bpf_ref *ref, const void *data, size_t len,
			   struct kt_err *reterr);
