/* SPDX-License-Identifier: MIT */
#pragma once
/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 appendix B.4). */

#include <stddef.h>
#include <stdint.h>

/* Continues @crc (0 to begin) over @len bytes. */
uint32_t kt_crc32c(uint32_t crc, const void *data, size_t len);
