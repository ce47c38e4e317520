/* SPDX-License-Identifier: MIT */
#pragma once
/* BPF objects with a larger data section than they were built with. */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Reads the BPF object @path and makes its section @section @len bytes long: its contents, then
 * zeroes. To be called before libbpf opens the object, instead of bpf_map__set_value_size()
 * afterwards: that adds a type to the object's BTF, which moves its strings, and libbpf 1.4 keeps
 * using the old ones as the names of struct_ops types and of __kconfig variables.
 *
 * Returns 0 with the object in *@ret_bytes, to be freed; -EINVAL when the file is no BPF object
 * that has the section, or the section is larger already; -ENOMEM; or the errno of reading.
 */
int kt_object_enlarge(const char *path, const char *section, uint32_t len, char **ret_bytes,
		      size_t *ret_len, struct kt_err *reterr);
