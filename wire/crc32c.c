/* SPDX-License-Identifier: MIT */
#include "wire/crc32c.h"

#include <pthread.h>
#include <string.h>

/*
 * Slicing by eight: portable, and under TCG faster than the SSE4.2 instruction, which QEMU emulates
 * bit by bit in a helper. table[k][b] is the CRC of byte b followed by k zero bytes, so that eight
 * lookups advance the CRC by eight bytes.
 */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++) {
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
	}
}

uint32_t kt_crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	(void)pthread_once(&table_once, table_init);
	crc = ~crc;
	for (; len >= 8; at += 8, len -= 8) {
		uint32_t low, high;

		memcpy(&low, at, 4); /* the table lookups below assume little-endian */
		memcpy(&high, at + 4, 4);
		low ^= crc;
		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
		      table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^ table[3][high & 0xff] ^
		      table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^
		      table[0][high >> 24];
	}
	for (; len; at++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
	return ~crc;
}
