/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The compressions that the kernel's build has for a bzImage (Kconfig: KERNEL_GZIP to KERNEL_ZSTD).
 */

#include <stddef.h>

#include "util/err.h"

/*
 * Decompresses the payload of a bzImage to the file @out. -ENOTSUP when the method is unknown, or
 * its library was missing when ktest was built; the error names it. -EBADMSG for damaged data;
 * -EFBIG beyond 2 GiB; errors of write(2). A failure can leave a part of the output behind.
 */
int kt_decompress(const unsigned char *data, size_t len, int out, struct kt_err *reterr);
