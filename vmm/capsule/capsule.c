/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/capsule/capsule.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/capsule/format.h"
#include "vmm/ramfile.h"

/*
 * The reader of capsules. It never allocates what the file asks for without a bound: the length of
 * each part is compared with its limit and with what is left of the file, its hash with the bytes,
 * and what zstd makes of it has the one length that the header promised. Page numbers must ascend
 * and lie in the RAM.
 */
struct kt_capsule {
	int fd;
	char *path;
	struct kt_capsule_header header;
	struct kt_capsule_info info;
	uint64_t n_ram_pages;
};

static int damaged(const struct kt_capsule *capsule, const char *what, struct kt_err *reterr)
{
	return kt_err_set(reterr, -EBADMSG, "capsule '%s' is damaged: %s", capsule->path, what);
}

static int read_at(const struct kt_capsule *capsule, void *to, size_t len, uint64_t offset)
{
	uint8_t *at = to;

	while (len) {
		ssize_t n = pread(capsule->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static uint64_t state_offset(const struct kt_capsule *capsule)
{
	return sizeof(capsule->header) + capsule->header.info_len;
}

static uint64_t chunks_offset(const struct kt_capsule *capsule)
{
	return state_offset(capsule) + capsule->header.state_packed;
}

static int check_header(const struct kt_capsule *capsule, struct kt_err *reterr)
{
	const struct kt_capsule_header *header = &capsule->header;
	struct stat st;

	if (memcmp(header->magic, KT_CAPSULE_MAGIC, sizeof(header->magic)))
		return kt_err_set(reterr, -EBADMSG, "'%s' is not a capsule", capsule->path);
	if (header->version != KT_CAPSULE_VERSION)
		return kt_err_set(reterr, -ENOTSUP,
				  "capsule '%s' has version %u of the format, and this program "
				  "reads %u",
				  capsule->path, header->version, KT_CAPSULE_VERSION);
	if (header->hash != XXH3_64bits(header, offsetof(struct kt_capsule_header, hash)))
		return damaged(capsule, "its header has changed", reterr);
	if (fstat(capsule->fd, &st) < 0 || (uint64_t)st.st_size != header->file_len)
		return damaged(capsule, "it is not as long as it was", reterr);
	if (header->info_len > KT_CAPSULE_INFO_MAX || header->state_len > KT_CAPSULE_STATE_MAX ||
	    header->state_packed > ZSTD_compressBound(KT_CAPSULE_STATE_MAX) ||
	    chunks_offset(capsule) > header->file_len)
		return damaged(capsule, "its parts are longer than they can be", reterr);
	return 0;
}

static int load_info(struct kt_capsule *capsule, struct kt_err *reterr)
{
	size_t len = capsule->header.info_len;
	KT_FREE char *text = malloc(len + 1);
	struct kt_err why = KT_ERR_NULL;
	int r;

	if (!text)
		return kt_err_oom(reterr);
	r = read_at(capsule, text, len, sizeof(capsule->header));
	if (r < 0)
		return kt_err_set(reterr, r, "capsule '%s': %m", capsule->path);
	if (XXH3_64bits(text, len) != capsule->header.info_hash)
		return damaged(capsule, "its info has changed", reterr);
	if (kt_capsule_info_decode(text, len, &capsule->info, &why) < 0)
		return damaged(capsule, why.text, reterr);
	capsule->n_ram_pages = ((uint64_t)capsule->info.memory_mib << 20) / KT_CAPSULE_PAGE_LEN;
	return 0;
}

static int load(struct kt_capsule *capsule, struct kt_err *reterr)
{
	int r;

	capsule->fd = open(capsule->path, O_RDONLY | O_CLOEXEC);
	if (capsule->fd < 0)
		return kt_err_set(reterr, -errno, "capsule '%s': %m", capsule->path);
	r = read_at(capsule, &capsule->header, sizeof(capsule->header), 0);
	if (r == -ENODATA)
		return kt_err_set(reterr, -EBADMSG, "'%s' is not a capsule", capsule->path);
	if (r < 0)
		return kt_err_set(reterr, r, "capsule '%s': %m", capsule->path);
	return check_header(capsule, reterr) ?: load_info(capsule, reterr);
}

int kt_capsule_open(const char *path, struct kt_capsule **ret_capsule, struct kt_err *reterr)
{
	struct kt_capsule *capsule = calloc(1, sizeof(*capsule));
	int r;

	if (!capsule)
		return kt_err_oom(reterr);
	capsule->fd = -1;
	capsule->path = strdup(path);
	r = capsule->path ? load(capsule, reterr) : kt_err_oom(reterr);
	if (r < 0)
		capsule = kt_capsule_close(capsule);
	else
		*ret_capsule = capsule;
	return r;
}

struct kt_capsule *kt_capsule_close(struct kt_capsule *capsule)
{
	if (!capsule)
		return NULL;
	(void)kt_close(capsule->fd);
	kt_capsule_info_deinit(&capsule->info);
	free(capsule->path);
	free(capsule);
	return NULL;
}

const struct kt_capsule_info *kt_capsule_info(const struct kt_capsule *capsule)
{
	return &capsule->info;
}

uint64_t kt_capsule_file_len(const struct kt_capsule *capsule)
{
	return capsule->header.file_len;
}

uint64_t kt_capsule_n_pages(const struct kt_capsule *capsule)
{
	return capsule->header.n_pages;
}

/* Loads the state and unpacks it; it has header.state_len bytes. */
static int load_state(const struct kt_capsule *capsule, uint8_t **ret_state, struct kt_err *reterr)
{
	const struct kt_capsule_header *header = &capsule->header;
	KT_FREE uint8_t *packed = malloc(header->state_packed + 1);
	KT_FREE uint8_t *state = malloc(header->state_len + 1);
	int r;

	if (!packed || !state)
		return kt_err_oom(reterr);
	r = read_at(capsule, packed, header->state_packed, state_offset(capsule));
	if (r < 0)
		return kt_err_set(reterr, r, "capsule '%s': %m", capsule->path);
	if (XXH3_64bits(packed, header->state_packed) != header->state_hash)
		return damaged(capsule, "its state of devices has changed", reterr);
	if (ZSTD_decompress(state, header->state_len, packed, header->state_packed) !=
	    header->state_len)
		return damaged(capsule, "its state of devices cannot be unpacked", reterr);
	*ret_state = kt_steal(state);
	return 0;
}

static int copy_vcpus(const uint8_t *from, unsigned int n, struct kt_registers **ret_vcpus,
		      struct kt_err *reterr)
{
	struct kt_registers *vcpus = calloc(n, sizeof(*vcpus));

	if (!vcpus)
		return kt_err_oom(reterr);
	memcpy(vcpus, from, n * sizeof(*vcpus));
	*ret_vcpus = vcpus;
	return 0;
}

int kt_capsule_read_state(struct kt_capsule *capsule, int state_fd, struct kt_registers **ret_vcpus,
			  struct kt_err *reterr)
{
	unsigned int wanted = kt_machine_n_vcpus(&capsule->info.topology);
	size_t len = capsule->header.state_len, begin;
	KT_FREE uint8_t *state = NULL;
	uint32_t n = 0;
	int r = load_state(capsule, &state, reterr);

	if (r < 0)
		return r;
	if (len >= sizeof(n))
		memcpy(&n, state, sizeof(n));
	begin = sizeof(n) + wanted * sizeof(struct kt_registers);
	if (n != wanted || begin > len)
		return damaged(capsule, "it lacks registers", reterr);
	if (state_fd >= 0) {
		r = kt_write_full(state_fd, state + begin, len - begin);
		if (r < 0)
			return kt_err_set(reterr, r, "writing the state of devices: %m");
	}
	return ret_vcpus ? copy_vcpus(state + sizeof(n), n, ret_vcpus, reterr) : 0;
}

/* ---- pages ---- */

struct unpacker {
	struct kt_capsule *capsule;
	int ram_fd;
	uint64_t at;      /* offset of the next chunk */
	uint64_t next;    /* the lowest page number that may come */
	uint64_t n_pages; /* so far */
	size_t room;
	uint8_t *packed;
	uint8_t contents[KT_CAPSULE_CHUNK_MAX];
};

/* Loads the chunk at @at and unpacks it. */
static int load_chunk(struct unpacker *unpacker, uint32_t *ret_n_pages, struct kt_err *reterr)
{
	struct kt_capsule *capsule = unpacker->capsule;
	uint64_t left = capsule->header.file_len - unpacker->at, seed;
	struct kt_capsule_chunk chunk;
	size_t len;
	int r;

	if (left < sizeof(chunk))
		return damaged(capsule, "it lacks pages", reterr);
	r = read_at(capsule, &chunk, sizeof(chunk), unpacker->at);
	if (r < 0)
		return kt_err_set(reterr, r, "capsule '%s': %m", capsule->path);
	if (!chunk.n_pages || chunk.n_pages > KT_CAPSULE_CHUNK_PAGES ||
	    chunk.packed > unpacker->room || chunk.packed > left - sizeof(chunk))
		return damaged(capsule, "a part of its pages is longer than it can be", reterr);
	r = read_at(capsule, unpacker->packed, chunk.packed, unpacker->at + sizeof(chunk));
	if (r < 0)
		return kt_err_set(reterr, r, "capsule '%s': %m", capsule->path);
	memcpy(&seed, &chunk, sizeof(seed));
	if (XXH3_64bits_withSeed(unpacker->packed, chunk.packed, seed) != chunk.hash)
		return damaged(capsule, "its pages have changed", reterr);
	len = chunk.n_pages * (sizeof(uint32_t) + (size_t)KT_CAPSULE_PAGE_LEN);
	if (ZSTD_decompress(unpacker->contents, len, unpacker->packed, chunk.packed) != len)
		return damaged(capsule, "its pages cannot be unpacked", reterr);
	unpacker->at += sizeof(chunk) + chunk.packed;
	*ret_n_pages = chunk.n_pages;
	return 0;
}

static int write_page(const struct unpacker *unpacker, uint64_t number, const uint8_t *page)
{
	ssize_t n = pwrite(unpacker->ram_fd, page, KT_CAPSULE_PAGE_LEN,
			   (off_t)(number * KT_CAPSULE_PAGE_LEN));

	return n < 0 ? -errno : n == KT_CAPSULE_PAGE_LEN ? 0 : -EIO;
}

static int write_pages(struct unpacker *unpacker, uint32_t n_pages, struct kt_err *reterr)
{
	const uint8_t *pages = unpacker->contents + n_pages * sizeof(uint32_t);

	for (uint32_t i = 0; i < n_pages; i++) {
		uint32_t number;
		int r;

		memcpy(&number, unpacker->contents + i * sizeof(number), sizeof(number));
		if (number < unpacker->next || number >= unpacker->capsule->n_ram_pages)
			return damaged(unpacker->capsule, "a page is where none can be", reterr);
		r = write_page(unpacker, number, pages + (size_t)i * KT_CAPSULE_PAGE_LEN);
		if (r < 0)
			return kt_err_set(reterr, r, "writing the RAM of a capsule: %m");
		unpacker->next = (uint64_t)number + 1;
	}
	unpacker->n_pages += n_pages;
	return 0;
}

static int unpack(struct unpacker *unpacker, struct kt_err *reterr)
{
	const struct kt_capsule_header *header = &unpacker->capsule->header;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < header->n_chunks; i++) {
		uint32_t n_pages = 0;

		r = load_chunk(unpacker, &n_pages, reterr)
			    ?: write_pages(unpacker, n_pages, reterr);
	}
	if (r == 0 && (unpacker->at != header->file_len || unpacker->n_pages != header->n_pages))
		r = damaged(unpacker->capsule, "it has more pages than it says", reterr);
	return r;
}

/* The RAM before any page of the capsule is written to it. */
static int prepare_ram(const struct kt_capsule *capsule, int base_fd, int ram_fd,
		       struct kt_err *reterr)
{
	off_t len = (off_t)(capsule->n_ram_pages * KT_CAPSULE_PAGE_LEN);
	struct stat base;
	int r = 0;

	if (base_fd >= 0 && (fstat(base_fd, &base) < 0 || base.st_size != len))
		return damaged(capsule, "its RAM is not as large as the template's", reterr);
	if (base_fd >= 0)
		r = kt_ramfile_copy(base_fd, ram_fd);
	else if (ftruncate(ram_fd, len) < 0)
		r = -errno;
	return r < 0 ? kt_err_set(reterr, r, "making the RAM of a capsule: %m") : 0;
}

int kt_capsule_read_ram(struct kt_capsule *capsule, int base_fd, int ram_fd, struct kt_err *reterr)
{
	KT_FREE struct unpacker *unpacker = calloc(1, sizeof(*unpacker));
	KT_FREE uint8_t *packed = NULL;
	int r;

	if (!unpacker)
		return kt_err_oom(reterr);
	if (!capsule->info.template_machine != (base_fd < 0))
		return kt_err_set(reterr, -EINVAL, "capsule '%s' %s a template", capsule->path,
				  base_fd < 0 ? "needs" : "does not need");
	unpacker->capsule = capsule;
	unpacker->ram_fd = ram_fd;
	unpacker->at = chunks_offset(capsule);
	unpacker->room = ZSTD_compressBound(KT_CAPSULE_CHUNK_MAX);
	unpacker->packed = packed = malloc(unpacker->room);
	if (!packed)
		return kt_err_oom(reterr);
	r = prepare_ram(capsule, base_fd, ram_fd, reterr);
	return r ?: unpack(unpacker, reterr);
}
