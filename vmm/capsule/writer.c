/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/capsule/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/parse.h"
#include "vmm/capsule/base.h"
#include "vmm/capsule/format.h"
#include "vmm/capsule/pages.h"

#define LEVEL 1 /* of zstd: a higher one takes longer and saves little */

/*
 * The parts are written one behind the other, and the header last, when the numbers in it are
 * known. A capsule that grows beyond its bound is compressed to the end without being written,
 * because its length is what the user has to know.
 *
 * Several runs may write into one directory. A stage belongs to the process that holds its lock;
 * without a lock, on a file system that has none, nobody removes it.
 */
struct writer {
	const struct kt_capsule_spec *spec;
	int fd;
	uint64_t len; /* of the file so far */
	struct kt_capsule_header header;
	ZSTD_CCtx *zstd;
	uint32_t numbers[KT_CAPSULE_CHUNK_PAGES];
	uint32_t n_pages; /* of the chunk that is filled */
	uint8_t contents[KT_CAPSULE_CHUNK_MAX];
	uint8_t pages[KT_CAPSULE_CHUNK_PAGES][KT_CAPSULE_PAGE_LEN];
	uint8_t *packed; /* room for a packed chunk */
	size_t packed_room;
};

static int put(struct writer *writer, const void *data, size_t len)
{
	int r = writer->len + len > writer->spec->max_bytes ? 0
							    : kt_write_full(writer->fd, data, len);

	writer->len += len;
	return r;
}

static int pack(struct writer *writer, void *to, size_t room, const void *from, size_t len,
		uint32_t *ret_packed)
{
	size_t packed = ZSTD_compressCCtx(writer->zstd, to, room, from, len, LEVEL);

	if (ZSTD_isError(packed))
		return -ENOMEM;
	*ret_packed = (uint32_t)packed;
	return 0;
}

/* The page numbers lie before the pages, and there are fewer in the last chunk. */
static int flush_chunk(struct writer *writer)
{
	size_t n = writer->n_pages, numbers_len = n * sizeof(writer->numbers[0]);
	struct kt_capsule_chunk chunk = { .n_pages = writer->n_pages };
	uint64_t seed;
	int r;

	if (!n)
		return 0;
	memcpy(writer->contents, writer->numbers, numbers_len);
	memcpy(writer->contents + numbers_len, writer->pages, n * KT_CAPSULE_PAGE_LEN);
	r = pack(writer, writer->packed, writer->packed_room, writer->contents,
		 numbers_len + n * KT_CAPSULE_PAGE_LEN, &chunk.packed);
	if (r < 0)
		return r;
	memcpy(&seed, &chunk, sizeof(seed));
	chunk.hash = XXH3_64bits_withSeed(writer->packed, chunk.packed, seed);
	writer->header.n_chunks++;
	writer->header.n_pages += writer->n_pages;
	writer->n_pages = 0;
	return put(writer, &chunk, sizeof(chunk)) ?: put(writer, writer->packed, chunk.packed);
}

static int on_page(void *data, uint64_t offset, const uint8_t *page)
{
	struct writer *writer = data;

	writer->numbers[writer->n_pages] = (uint32_t)(offset / KT_CAPSULE_PAGE_LEN);
	memcpy(writer->pages[writer->n_pages++], page, KT_CAPSULE_PAGE_LEN);
	return writer->n_pages == KT_CAPSULE_CHUNK_PAGES ? flush_chunk(writer) : 0;
}

static int put_info(struct writer *writer)
{
	KT_FREE char *text = kt_capsule_info_encode(writer->spec->info);
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	if (len > KT_CAPSULE_INFO_MAX)
		return -EMSGSIZE;
	writer->header.info_len = (uint32_t)len;
	writer->header.info_hash = XXH3_64bits(text, len);
	return put(writer, text, len);
}

/* Registers and devices as one piece of memory, to be freed. */
static int load_state(const struct kt_capsule_spec *spec, uint8_t **ret_state, size_t *ret_len)
{
	size_t vcpus = spec->n_vcpus * sizeof(*spec->vcpus), devices;
	uint32_t n_vcpus = spec->n_vcpus;
	KT_FREE uint8_t *state = NULL;
	struct stat st;

	if (fstat(spec->state_fd, &st) < 0)
		return -errno;
	devices = (size_t)st.st_size;
	if (sizeof(n_vcpus) + vcpus + devices > KT_CAPSULE_STATE_MAX)
		return -EFBIG;
	state = malloc(sizeof(n_vcpus) + vcpus + devices);
	if (!state)
		return -ENOMEM;
	memcpy(state, &n_vcpus, sizeof(n_vcpus));
	memcpy(state + sizeof(n_vcpus), spec->vcpus, vcpus);
	if (pread(spec->state_fd, state + sizeof(n_vcpus) + vcpus, devices, 0) != (ssize_t)devices)
		return -EIO;
	*ret_state = kt_steal(state);
	*ret_len = sizeof(n_vcpus) + vcpus + devices;
	return 0;
}

static int put_state(struct writer *writer)
{
	KT_FREE uint8_t *state = NULL, *packed = NULL;
	size_t len = 0, room;
	int r = load_state(writer->spec, &state, &len);

	if (r < 0)
		return r;
	room = ZSTD_compressBound(len);
	packed = malloc(room);
	r = packed ? pack(writer, packed, room, state, len, &writer->header.state_packed) : -ENOMEM;
	if (r < 0)
		return r;
	writer->header.state_len = (uint32_t)len;
	writer->header.state_hash = XXH3_64bits(packed, writer->header.state_packed);
	return put(writer, packed, writer->header.state_packed);
}

static int put_header(struct writer *writer)
{
	struct kt_capsule_header *header = &writer->header;

	memcpy(header->magic, KT_CAPSULE_MAGIC, sizeof(header->magic));
	header->version = KT_CAPSULE_VERSION;
	header->file_len = writer->len;
	header->hash = XXH3_64bits(header, offsetof(struct kt_capsule_header, hash));
	return pwrite(writer->fd, header, sizeof(*header), 0) == (ssize_t)sizeof(*header) ? 0
											  : -EIO;
}

static int put_all(struct writer *writer, struct kt_err *reterr)
{
	const struct kt_capsule_spec *spec = writer->spec;
	int r = put(writer, &writer->header, sizeof(writer->header)) ?: put_info(writer)
			?: put_state(writer);

	if (r == 0)
		r = kt_pages_differ(spec->mem, spec->base_fd, on_page, writer, reterr)
			    ?: flush_chunk(writer);
	if (r < 0)
		return reterr && reterr->text[0] ? r : kt_err_set(reterr, r, "writing it: %m");
	if (writer->len > spec->max_bytes)
		return kt_err_set(reterr, -EFBIG,
				  "it would take %" PRIu64 " KiB, and the limit is %" PRIu64
				  " KiB (--capsule-max-size)",
				  (writer->len >> 10) + 1, spec->max_bytes >> 10);
	r = put_header(writer);
	return r < 0 ? kt_err_set(reterr, r, "writing its header: %m") : 0;
}

static int fill(int fd, const struct kt_capsule_spec *spec, struct kt_capsule_size *ret_size,
		struct kt_err *reterr)
{
	KT_FREE struct writer *writer = calloc(1, sizeof(*writer));
	KT_FREE uint8_t *packed = NULL;
	int r;

	if (!writer)
		return kt_err_oom(reterr);
	writer->spec = spec;
	writer->fd = fd;
	writer->packed_room = ZSTD_compressBound(KT_CAPSULE_CHUNK_MAX);
	writer->packed = packed = malloc(writer->packed_room);
	writer->zstd = ZSTD_createCCtx();
	r = packed && writer->zstd ? put_all(writer, reterr) : kt_err_oom(reterr);
	(void)ZSTD_freeCCtx(writer->zstd);
	*ret_size = (struct kt_capsule_size){ writer->len, writer->header.n_pages };
	return r;
}

/* ---- stages ---- */

/* Another process may sweep the stage before it is locked; its name is gone then. */
static int open_stage(const char *path, char **ret_stage, struct kt_err *reterr)
{
	for (;;) {
		KT_FREE char *stage = kt_format("%s" KT_CACHE_STAGE_SUFFIX "XXXXXX", path);
		KT_CLOSE int fd = stage ? mkostemp(stage, O_CLOEXEC) : -1;
		struct stat st;

		if (!stage)
			return kt_err_oom(reterr);
		if (fd < 0)
			return kt_err_set(reterr, -errno, "cannot create '%s': %m", stage);
		if (fchmod(fd, 0644) < 0) {
			int r = kt_err_set(reterr, -errno, "cannot create '%s': %m", stage);

			(void)unlink(stage);
			return r;
		}
		(void)flock(fd, LOCK_EX | LOCK_NB);
		if (fstat(fd, &st) == 0 && !st.st_nlink)
			continue;
		*ret_stage = kt_steal(stage);
		return kt_steal_fd(fd);
	}
}

int kt_capsule_write(const struct kt_capsule_spec *spec, struct kt_capsule_size *ret_size,
		     struct kt_err *reterr)
{
	struct kt_err why = KT_ERR_NULL;
	KT_FREE char *stage = NULL;
	KT_CLOSE int fd = open_stage(spec->path, &stage, reterr);
	int r;

	if (fd < 0)
		return fd;
	r = fill(fd, spec, ret_size, &why);
	if (r == 0 && rename(stage, spec->path) == 0)
		return 0;
	if (r == 0)
		r = kt_err_set(&why, -errno, "naming it: %m");
	(void)unlink(stage);
	return kt_err_set(reterr, r, "'%s': %s", spec->path, why.text);
}

static bool sweep_stage(int dir_fd, const char *name, uint64_t *bytes)
{
	KT_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    flock(fd, LOCK_EX | LOCK_NB) < 0 || unlinkat(dir_fd, name, 0) < 0)
		return false;
	*bytes += (uint64_t)st.st_blocks * 512;
	return true;
}

unsigned int kt_capsule_sweep(const char *dir, uint64_t *ret_bytes)
{
	DIR *stream = opendir(dir);
	uint64_t bytes = 0;
	unsigned int n = 0;

	for (struct dirent *ent; stream && (ent = readdir(stream));) {
		if (strstr(ent->d_name, KT_CAPSULE_SUFFIX KT_CACHE_STAGE_SUFFIX))
			n += sweep_stage(dirfd(stream), ent->d_name, &bytes);
	}
	if (stream)
		(void)closedir(stream);
	if (ret_bytes)
		*ret_bytes = bytes;
	return n;
}

/* ---- the directory of all capsules ---- */

struct entry {
	char *path;
	uint64_t disk_bytes;
	uint64_t saved_ns;
};

static void add_entry(const char *dir, const char *name, struct entry **entries, size_t *n)
{
	struct entry *grown = reallocarray(*entries, *n + 1, sizeof(*grown));
	KT_FREE char *path = kt_format("%s/%s", dir, name);
	struct stat st;

	*entries = grown ?: *entries;
	if (!grown || !path || stat(path, &st) < 0)
		return;
	grown[(*n)++] = (struct entry){
		.path = kt_steal(path),
		.disk_bytes = (uint64_t)st.st_blocks * 512,
		.saved_ns = (uint64_t)st.st_mtim.tv_sec * KT_NSEC_PER_SEC +
			    (uint64_t)st.st_mtim.tv_nsec,
	};
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return left->saved_ns > right->saved_ns ? -1 : left->saved_ns < right->saved_ns;
}

void kt_capsule_prune(const char *dir, uint64_t max_bytes)
{
	struct entry *entries = NULL;
	DIR *stream = opendir(dir);
	uint64_t total = 0;
	size_t n = 0;

	for (struct dirent *ent; stream && (ent = readdir(stream));) {
		if (kt_ends_with(ent->d_name, KT_CAPSULE_SUFFIX))
			add_entry(dir, ent->d_name, &entries, &n);
	}
	if (stream)
		(void)closedir(stream);
	if (n)
		qsort(entries, n, sizeof(*entries), newest_first);
	for (size_t i = 0; i < n; i++) {
		total += entries[i].disk_bytes;
		if (i && total > max_bytes)
			(void)unlink(entries[i].path);
		free(entries[i].path);
	}
	free(entries);
	kt_capsule_drop_bases(dir, KT_CAPSULE_BASE_AGE_NS);
}
