/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * BTF without what describes functions. In a kernel's BTF that is two thirds of all types, nothing
 * in this room needs it, and libbpf takes its time to check it whenever BTF is loaded.
 */

#include <bpf/btf.h>
#include <stddef.h>

#include "util/err.h"

/*
 * Writes the types of @btf, which was checked (kt_btf_new()), anew: functions, their tags and the
 * parameters of prototypes are left out, so that ids differ. *@ret_data is to be freed. -ENOMEM.
 */
int kt_btf_trim(const struct btf *btf, void **ret_data, size_t *ret_len, struct kt_err *reterr);
