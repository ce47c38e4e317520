/* SPDX-License-Identifier: MIT */
#pragma once
/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 appendix B.4). */

#include <stddef.h>
#include <stdint.h>

/*
 * Returns the CRC of all bytes so far: those that gave @crc (0 at the beginning) and @len bytes at
 * @data. The inversions at the beginning and the end are part of it.
 */
uint32_t kt_crc32c(uint32_t crc, const void *data, size_t len);
