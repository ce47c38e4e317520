/* SPDX-License-Identifier: MIT */
#include "framework/kernel/decompress.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#ifdef KT_HAVE_LZMA
#include <lzma.h>
#endif
#ifdef KT_HAVE_BZ2
#include <bzlib.h>
#endif
#ifdef KT_HAVE_LZ4
#include <lz4.h>
#endif
#ifdef KT_HAVE_LZO
#include <lzo/lzo1x.h>
#endif

#include "util/cleanup.h"
#include "util/io.h"

/*
 * A payload is one compressed stream. Behind every stream but gzip's the build appends the size of
 * the uncompressed image in four bytes (scripts/Makefile.lib: size_append), so a decoder stops at
 * the end of its stream, not of the payload.
 *
 * The data is the user's and can be anything: lengths in it are checked before they are used, and
 * the output ends at OUTPUT_MAX.
 */
#define OUTPUT_MAX     (UINT64_C(2) << 30)
#define CHUNK_LEN      65536u
#define TRAILER_LEN    4u
#define LZOP_MAGIC_LEN 9u
#define WINDOW_LOG_MAX 31 /* kernels use zstd --ultra, beyond the decoder's default limit */

struct input {
	const unsigned char *data;
	size_t len;
};

struct output {
	int fd;
	uint64_t total; /* bytes written so far */
};

static int write_out(struct output *out, const void *data, size_t len)
{
	out->total += len;
	return out->total > OUTPUT_MAX ? -EFBIG : kt_write_full(out->fd, data, len);
}

/* ZSTD_findFrameCompressedSize() gives the length without the appended size. */
static int read_zstd(const struct input *in, struct output *out)
{
	size_t frame = ZSTD_findFrameCompressedSize(in->data, in->len);
	ZSTD_inBuffer from = { in->data, frame, 0 };
	KT_FREE char *chunk = malloc(ZSTD_DStreamOutSize());
	ZSTD_DStream *stream;
	size_t left = 1;
	int r = 0;

	if (ZSTD_isError(frame))
		return -EBADMSG;
	stream = ZSTD_createDStream();
	if (!stream || !chunk) {
		(void)ZSTD_freeDStream(stream);
		return -ENOMEM;
	}
	(void)ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	while (r == 0 && left) {
		ZSTD_outBuffer piece = { chunk, ZSTD_DStreamOutSize(), 0 };

		left = ZSTD_decompressStream(stream, &piece, &from);
		/* The decoder makes no output and wants more input: the stream is truncated. */
		if (ZSTD_isError(left) || (!piece.pos && from.pos == from.size && left))
			r = -EBADMSG;
		else
			r = write_out(out, chunk, piece.pos);
	}
	(void)ZSTD_freeDStream(stream);
	return r;
}

/* 16 + MAX_WBITS: with a gzip header. */
static int read_gzip(const struct input *in, struct output *out)
{
	z_stream stream = {
		.next_in = (unsigned char *)in->data,
		.avail_in = (uInt)in->len,
	};
	unsigned char chunk[CHUNK_LEN];
	int status = Z_OK, r = 0;

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	while (r == 0 && status == Z_OK) {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		status = inflate(&stream, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END)
			r = -EBADMSG;
		else
			r = write_out(out, chunk, sizeof(chunk) - stream.avail_out);
	}
	(void)inflateEnd(&stream);
	return r;
}

#ifdef KT_HAVE_LZMA
static int run_lzma(lzma_stream *stream, const struct input *in, struct output *out)
{
	unsigned char chunk[CHUNK_LEN];
	lzma_ret status = LZMA_OK;
	int r = 0;

	stream->next_in = in->data;
	stream->avail_in = in->len;
	while (r == 0 && status == LZMA_OK) {
		stream->next_out = chunk;
		stream->avail_out = sizeof(chunk);
		status = lzma_code(stream, LZMA_RUN);
		if (status != LZMA_OK && status != LZMA_STREAM_END)
			r = status == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
		else
			r = write_out(out, chunk, sizeof(chunk) - stream->avail_out);
	}
	lzma_end(stream);
	return r;
}

static int read_xz(const struct input *in, struct output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&stream, UINT64_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&stream, in, out);
}

static int read_lzma(const struct input *in, struct output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&stream, UINT64_MAX) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&stream, in, out);
}
#endif

#ifdef KT_HAVE_BZ2
static int read_bzip2(const struct input *in, struct output *out)
{
	bz_stream stream = {
		.next_in = (char *)in->data,
		.avail_in = (unsigned int)in->len,
	};
	char chunk[CHUNK_LEN];
	int status = BZ_OK, r = 0;

	if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK)
		return -ENOMEM;
	while (r == 0 && status == BZ_OK) {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		status = BZ2_bzDecompress(&stream);
		/* The library reports no error for a truncated stream, but stops making output. */
		if ((status != BZ_OK && status != BZ_STREAM_END) ||
		    (status == BZ_OK && stream.avail_out == sizeof(chunk) && !stream.avail_in))
			r = -EBADMSG;
		else
			r = write_out(out, chunk, sizeof(chunk) - stream.avail_out);
	}
	(void)BZ2_bzDecompressEnd(&stream);
	return r;
}
#endif

#if defined(KT_HAVE_LZ4) || defined(KT_HAVE_LZO)
/* Takes @len bytes from the front; NULL when there are fewer. */
static const unsigned char *take(struct input *in, size_t len)
{
	const unsigned char *at = in->data;

	if (in->len < len)
		return NULL;
	in->data += len;
	in->len -= len;
	return at;
}
#endif

#ifdef KT_HAVE_LZ4
#define LZ4_MAGIC     0x184c2102u
#define LZ4_BLOCK_MAX (8u << 20)

/*
 * The legacy format of lz4: a magic number, then blocks with their compressed length, each of which
 * gives LZ4_BLOCK_MAX bytes but the last. It has no end mark: the appended size follows.
 */
static int read_lz4(const struct input *payload, struct output *out)
{
	struct input in = { payload->data, payload->len - TRAILER_LEN };
	KT_FREE char *block = malloc(LZ4_BLOCK_MAX);
	int r = 0;

	if (!block)
		return -ENOMEM;
	while (r == 0 && in.len) {
		const unsigned char *head = take(&in, 4), *data;
		uint32_t len;
		int n;

		if (!head)
			return -EBADMSG;
		memcpy(&len, head, 4);
		len = le32toh(len);
		if (len == LZ4_MAGIC)
			continue;
		data = len && len <= INT_MAX ? take(&in, len) : NULL;
		n = data ? LZ4_decompress_safe((const char *)data, block, (int)len,
					       (int)LZ4_BLOCK_MAX)
			 : -1;
		r = n < 0 ? -EBADMSG : write_out(out, block, (size_t)n);
	}
	return r;
}
#endif

#ifdef KT_HAVE_LZO
/* The file format of lzop, as lib/decompress_unlzo.c of the kernel reads it. */
#define LZOP_HAS_FILTER 0x00000800u
#define LZOP_NEW        0x0940u /* headers of this version have a level and mtime_high */
#define LZO_BLOCK_MAX   (256u << 10)

static bool take_be32(struct input *in, uint32_t *ret_value)
{
	const unsigned char *at = take(in, 4);

	if (at) {
		memcpy(ret_value, at, 4);
		*ret_value = be32toh(*ret_value);
	}
	return at;
}

/*
 * Magic, version, library, extractor, method, [level], flags, [filter], mode, mtime, name,
 * checksum.
 */
static int skip_lzop_header(struct input *in)
{
	const unsigned char *at = take(in, LZOP_MAGIC_LEN + 7);
	uint32_t flags;
	bool is_new;

	if (!at)
		return -EBADMSG;
	is_new = ((unsigned int)at[LZOP_MAGIC_LEN] << 8 | at[LZOP_MAGIC_LEN + 1]) >= LZOP_NEW;
	if ((is_new && !take(in, 1)) || !take_be32(in, &flags) ||
	    ((flags & LZOP_HAS_FILTER) && !take(in, 4)) || !take(in, is_new ? 12 : 8))
		return -EBADMSG;
	at = take(in, 1);
	return at && take(in, *at + 4u) ? 0 : -EBADMSG;
}

/* A block that does not become smaller is stored as it is. */
static int read_lzo_block(struct input *in, uint32_t out_len, unsigned char *block,
			  struct output *out)
{
	lzo_uint n = out_len;
	const unsigned char *data;
	uint32_t len;

	if (out_len > LZO_BLOCK_MAX || !take_be32(in, &len) || !take(in, 4) || !len ||
	    len > out_len)
		return -EBADMSG;
	data = take(in, len);
	if (!data)
		return -EBADMSG;
	if (len == out_len)
		return write_out(out, data, len);
	if (lzo1x_decompress_safe(data, len, block, &n, NULL) != LZO_E_OK || n != out_len)
		return -EBADMSG;
	return write_out(out, block, n);
}

static int read_lzo(const struct input *payload, struct output *out)
{
	struct input in = *payload;
	KT_FREE unsigned char *block = malloc(LZO_BLOCK_MAX);
	int r = block ? skip_lzop_header(&in) : -ENOMEM;

	while (r == 0) {
		uint32_t out_len;

		if (!take_be32(&in, &out_len))
			return -EBADMSG;
		if (!out_len)
			break;
		r = read_lzo_block(&in, out_len, block, out);
	}
	return r;
}
#endif

struct method {
	const char *magic;
	size_t magic_len;
	const char *name;
	const char *package;                                     /* Debian's, of the library */
	int (*read)(const struct input *in, struct output *out); /* NULL: built without */
};

/* The names are those of the kernel's Kconfig. */
static const struct method methods[] = {
	{ "\x28\xb5\x2f\xfd", 4, "zstd", "libzstd-dev", read_zstd },
	{ "\x1f\x8b", 2, "gzip", "zlib1g-dev", read_gzip },
	{ "\xfd\x37zXZ", 5, "xz", "liblzma-dev",
#ifdef KT_HAVE_LZMA
	  read_xz
#endif
	},
	{ "\x5d\x00\x00", 3, "lzma", "liblzma-dev",
#ifdef KT_HAVE_LZMA
	  read_lzma
#endif
	},
	{ "BZh", 3, "bzip2", "libbz2-dev",
#ifdef KT_HAVE_BZ2
	  read_bzip2
#endif
	},
	{ "\x02\x21\x4c\x18", 4, "lz4", "liblz4-dev",
#ifdef KT_HAVE_LZ4
	  read_lz4
#endif
	},
	{ "\x89LZO\0\r\n\x1a\n", LZOP_MAGIC_LEN, "lzo", "liblzo2-dev",
#ifdef KT_HAVE_LZO
	  read_lzo
#endif
	},
};

static const struct method *find_method(const unsigned char *data, size_t len)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(methods); i++) {
		if (len >= methods[i].magic_len &&
		    !memcmp(data, methods[i].magic, methods[i].magic_len))
			return &methods[i];
	}
	return NULL;
}

int kt_decompress(const unsigned char *data, size_t len, int out, struct kt_err *reterr)
{
	const struct method *method = find_method(data, len);
	struct output output = { .fd = out };
	struct input input = { data, len };
	int r;

	if (!method || len < TRAILER_LEN)
		return kt_err_set(
			reterr, -ENOTSUP,
			"it is compressed with an unknown method: give the vmlinux instead");
	if (!method->read)
		return kt_err_set(reterr, -ENOTSUP,
				  "it is compressed with %s, and this ktest was built without the "
				  "library: install %s and build ktest again, or give the vmlinux",
				  method->name, method->package);
	r = method->read(&input, &output);
	if (r == -EBADMSG)
		return kt_err_set(reterr, r, "its payload (%s) is damaged", method->name);
	return r < 0 ? kt_err_set(reterr, r, "cannot extract its vmlinux (%s): %m", method->name)
		     : 0;
}
