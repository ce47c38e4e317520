/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What fuzz targets share. A target is one file, fuzz_NAME.c, with LLVMFuzzerTestOneInput(): it
 * hands any bytes to one decoder, and checks what the decoder promises of its result. The same file
 * is linked with libFuzzer, or with main.c, which runs the files of a corpus.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Always returns 0; a fault ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process when a decoder breaks a promise, as a sanitizer does when it finds a fault. */
#define KT_FUZZ_ASSERT(condition)                                                                  \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,           \
				      #condition);                                                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A copy of the input with a NUL behind it; to be freed. */
char *kt_fuzz_text(const uint8_t *data, size_t size);

/* The path of a file in memory that holds the input, until the next call. */
const char *kt_fuzz_file(const uint8_t *data, size_t size);

/* A private directory below TMPDIR, which is removed when the process exits. */
const char *kt_fuzz_dir(void);

/* Writes a file of that directory; returns its path, until the next call. */
const char *kt_fuzz_dir_put(const char *name, const void *data, size_t size);

/*
 * The far end of a socket, which plays the input: it is divided into messages at each byte 0xff,
 * and kt_fuzz_peer_say() sends the next one, nothing when there is none left.
 */
struct kt_fuzz_peer {
	int fd;
	const uint8_t *data;
	size_t left; /* bytes of @data */
};

/* Returns the near end, which the caller owns. */
int kt_fuzz_peer_open(struct kt_fuzz_peer *peer, const uint8_t *data, size_t size);
void kt_fuzz_peer_close(struct kt_fuzz_peer *peer);

/* The next message, without the 0xff; its length is stored in *@ret_len. */
const uint8_t *kt_fuzz_peer_next(struct kt_fuzz_peer *peer, size_t *ret_len);
void kt_fuzz_peer_say(struct kt_fuzz_peer *peer);
