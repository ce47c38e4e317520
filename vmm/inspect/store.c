/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/io.h"

/*
 * A file is a header and seven arrays, each at a multiple of eight bytes. Its length must be what
 * the header's counts make of it, and the hash of everything behind the header must be the
 * header's. Whoever reads an array's numbers checks them nevertheless where they are used.
 */

#define MAGIC    "ktinspct"
#define VERSION  2u
#define HINTS    "places" /* name of the file with hints */
#define SUFFIX   ".kernel"
#define FILE_MAX (UINT64_C(1) << 30)

struct header {
	char magic[8];
	uint32_t version;
	uint32_t n_symbols;
	uint32_t n_symbol_slots;
	uint32_t n_types;
	uint32_t n_type_slots;
	uint32_t reserved;
	uint64_t text_len;
	uint64_t btf_len;
	char build_id[48];
	uint64_t fingerprint;
	uint64_t hash;
};

_Static_assert(sizeof(struct header) % 8 == 0, "the arrays behind it are aligned");

enum part {
	ADDRESSES,
	NAMES,
	SYMBOL_SLOTS,
	TEXT,
	TYPES,
	TYPE_SLOTS,
	BTF,
	PARTS,
};

static void part_lens(const struct header *header, uint64_t lens[PARTS])
{
	lens[ADDRESSES] = (uint64_t)header->n_symbols * sizeof(uint64_t);
	lens[NAMES] = (uint64_t)header->n_symbols * sizeof(uint32_t);
	lens[SYMBOL_SLOTS] = (uint64_t)header->n_symbol_slots * sizeof(uint32_t);
	lens[TEXT] = header->text_len;
	lens[TYPES] = (uint64_t)header->n_types * sizeof(struct kt_type_entry);
	lens[TYPE_SLOTS] = (uint64_t)header->n_type_slots * sizeof(uint32_t);
	lens[BTF] = header->btf_len;
}

static uint64_t padded(uint64_t len)
{
	return (len + 7) & ~UINT64_C(7);
}

/* Where the parts begin, and the length of all. Returns false when that is too much. */
static bool lay_out(const struct header *header, uint64_t offsets[PARTS], uint64_t lens[PARTS],
		    uint64_t *ret_len)
{
	uint64_t at = sizeof(*header);

	part_lens(header, lens);
	for (unsigned int i = 0; i < PARTS; i++) {
		if (lens[i] > FILE_MAX)
			return false;
		offsets[i] = at;
		at += padded(lens[i]);
	}
	*ret_len = at;
	return at <= FILE_MAX;
}

static char *path_of(const char *dir, const char *build_id)
{
	return kt_format("%s/%s" SUFFIX, dir, build_id);
}

static bool power_of_two(uint32_t n)
{
	return !(n & (n - 1));
}

static bool is_sound(const struct header *header, size_t len, const char *build_id)
{
	uint64_t offsets[PARTS], lens[PARTS], expected;

	return len >= sizeof(*header) && !memcmp(header->magic, MAGIC, sizeof(header->magic)) &&
	       header->version == VERSION &&
	       !strncmp(header->build_id, build_id, sizeof(header->build_id)) &&
	       lay_out(header, offsets, lens, &expected) && expected == len &&
	       power_of_two(header->n_symbol_slots) && power_of_two(header->n_type_slots) &&
	       header->text_len && !((const char *)header)[offsets[TEXT] + header->text_len - 1] &&
	       header->hash == XXH3_64bits(header + 1, len - sizeof(*header));
}

static void point_into(const struct header *header, struct kt_store *store,
		       struct kt_symbols *symbols, struct kt_types *types)
{
	const char *base = store->map;
	uint64_t offsets[PARTS], lens[PARTS], len;

	(void)lay_out(header, offsets, lens, &len);
	*symbols = (struct kt_symbols){
		.n = header->n_symbols,
		.addresses = (const void *)(base + offsets[ADDRESSES]),
		.names = (const void *)(base + offsets[NAMES]),
		.text = base + offsets[TEXT],
		.text_len = header->text_len,
		.index = { (const void *)(base + offsets[SYMBOL_SLOTS]), header->n_symbol_slots },
	};
	types->n = header->n_types;
	types->entries = (const void *)(base + offsets[TYPES]);
	types->index = (struct kt_index){ (const void *)(base + offsets[TYPE_SLOTS]),
					  header->n_type_slots };
	store->btf = base + offsets[BTF];
	store->btf_len = header->btf_len;
	store->fingerprint = header->fingerprint;
}

int kt_store_load(const char *dir, const char *build_id, struct kt_store *ret_store,
		  struct kt_symbols *ret_symbols, struct kt_types *ret_types)
{
	KT_CLEANUP(kt_store_close) struct kt_store store = KT_STORE_NULL;
	KT_FREE char *path = path_of(dir, build_id);
	KT_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct header) ||
	    (uint64_t)st.st_size > FILE_MAX)
		return -ENOENT;
	/* Published files are never changed: they cannot become shorter under the map. */
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -ENOENT;
	store.map = map;
	store.len = (size_t)st.st_size;
	if (!is_sound(map, store.len, build_id))
		return -ENOENT;
	(void)futimens(fd, NULL);
	point_into(map, &store, ret_symbols, ret_types);
	*ret_store = store;
	store = KT_STORE_NULL;
	return 0;
}

void kt_store_close(struct kt_store *store)
{
	if (store->map)
		(void)munmap(store->map, store->len);
	*store = KT_STORE_NULL;
}

struct file {
	char name[64];
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *left = &((const struct file *)a)->used;
	const struct timespec *right = &((const struct file *)b)->used;

	if (left->tv_sec != right->tv_sec)
		return left->tv_sec > right->tv_sec ? -1 : 1;
	return (left->tv_nsec < right->tv_nsec) - (left->tv_nsec > right->tv_nsec);
}

/* Removes the files that were not used for the longest time. */
static void prune(const char *dir)
{
	struct file files[KT_STORE_FILES_MAX * 8];
	size_t n = 0;
	DIR *stream = opendir(dir);

	for (struct dirent *entry;
	     stream && n < KT_ARRAY_LEN(files) && (entry = readdir(stream));) {
		size_t len = strlen(entry->d_name);
		struct stat st;

		if (len >= sizeof(files[n].name) || len < sizeof(SUFFIX) ||
		    strcmp(entry->d_name + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0 ||
		    fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(files[n].name, entry->d_name, len + 1);
		files[n++].used = st.st_mtim;
	}
	qsort(files, n, sizeof(files[0]), by_use);
	for (size_t i = KT_STORE_FILES_MAX; i < n; i++)
		(void)unlinkat(dirfd(stream), files[i].name, 0);
	if (stream)
		(void)closedir(stream);
}

static void fill(char *file, const struct header *header, const void *const parts[PARTS])
{
	uint64_t offsets[PARTS], lens[PARTS], len;
	struct header *copy = (struct header *)file;

	(void)lay_out(header, offsets, lens, &len);
	*copy = *header;
	for (unsigned int i = 0; i < PARTS; i++) {
		if (lens[i])
			memcpy(file + offsets[i], parts[i], lens[i]);
	}
	copy->hash = XXH3_64bits(copy + 1, len - sizeof(*copy));
}

int kt_store_save(const char *dir, const char *build_id, const struct kt_symbols *symbols,
		  const struct kt_types *types, const void *btf, size_t btf_len,
		  uint64_t fingerprint, struct kt_err *reterr)
{
	struct header header = {
		.magic = MAGIC,
		.version = VERSION,
		.n_symbols = (uint32_t)symbols->n,
		.n_symbol_slots = (uint32_t)symbols->index.n_slots,
		.n_types = (uint32_t)types->n,
		.n_type_slots = (uint32_t)types->index.n_slots,
		.text_len = symbols->text_len,
		.btf_len = btf_len,
		.fingerprint = fingerprint,
	};
	const void *const parts[PARTS] = {
		[ADDRESSES] = symbols->addresses,
		[NAMES] = symbols->names,
		[SYMBOL_SLOTS] = symbols->index.slots,
		[TEXT] = symbols->text,
		[TYPES] = types->entries,
		[TYPE_SLOTS] = types->index.slots,
		[BTF] = btf,
	};
	uint64_t offsets[PARTS], lens[PARTS], len;
	KT_FREE char *file = NULL, *path = path_of(dir, build_id);
	int r;

	(void)snprintf(header.build_id, sizeof(header.build_id), "%s", build_id);
	if (!lay_out(&header, offsets, lens, &len))
		return kt_err_set(reterr, -EFBIG, "the kernel's symbols are too many to be kept");
	file = calloc(1, len);
	if (!file || !path)
		return kt_err_oom(reterr);
	fill(file, &header, parts);
	r = kt_mkdir_all(dir, reterr) ?: kt_file_publish(path, file, len, reterr);
	if (r == 0)
		prune(dir);
	return r;
}

void kt_store_hints(const char *dir, uint64_t ret_hints[KT_STORE_HINTS])
{
	KT_FREE char *path = kt_format("%s/" HINTS, dir), *data = NULL;
	size_t len = 0;

	memset(ret_hints, 0, KT_STORE_HINTS * sizeof(ret_hints[0]));
	if (path && kt_file_read(path, KT_STORE_HINTS * sizeof(ret_hints[0]), &data, &len) == 0)
		memcpy(ret_hints, data, len & ~(sizeof(ret_hints[0]) - 1));
}

void kt_store_add_hint(const char *dir, uint64_t gpa)
{
	KT_FREE char *path = kt_format("%s/" HINTS, dir);
	uint64_t old[KT_STORE_HINTS], hints[KT_STORE_HINTS] = { gpa };
	size_t n = 1;

	kt_store_hints(dir, old);
	for (size_t i = 0; i < KT_STORE_HINTS && n < KT_STORE_HINTS; i++) {
		if (old[i] == gpa)
			return;
		if (old[i])
			hints[n++] = old[i];
	}
	if (path && kt_mkdir_all(dir, NULL) == 0)
		(void)kt_file_publish(path, hints, sizeof(hints), NULL);
}
