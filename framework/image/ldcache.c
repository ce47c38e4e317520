/* SPDX-License-Identifier: MIT */
#include "framework/image/ldcache.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * The file is a header, an array of entries, and strings to which the entries refer by their offset
 * from the header. It is used as it was read; every offset is checked against its length.
 */

#define MAGIC        "glibc-ld.so.cache1.1"
#define MAGIC_LEN    20
#define OLD_MAGIC    "ld.so-1.7.0"
#define FLAGS_X86_64 0x0303 /* FLAG_X8664_LIB64 | FLAG_ELF_LIBC6 */

struct cache_header {
	char magic[MAGIC_LEN];
	uint32_t n_libs;
	uint32_t strings_len;
	uint8_t flags;
	uint8_t padding[3];
	uint32_t extension_offset;
	uint32_t unused[3];
};

struct cache_entry {
	int32_t flags;
	uint32_t key;   /* the soname; like @value an offset from the header to a string */
	uint32_t value; /* the path */
	uint32_t os_version;
	uint64_t hwcap; /* not 0: a variant for particular processors */
};

_Static_assert(sizeof(struct cache_header) == 48, "file format");
_Static_assert(sizeof(struct cache_entry) == 24, "file format");

/* NULL when the string does not end within the file. */
static const char *string_at(const char *base, size_t len, uint32_t offset)
{
	if (offset >= len || !memchr(base + offset, '\0', len - offset))
		return NULL;
	return base + offset;
}

/*
 * Finds the header. A file in the compatible layout begins with a table in the old format; the new
 * header follows somewhere behind it.
 */
static const char *find_header(const char *data, size_t len)
{
	if (len >= sizeof(struct cache_header) && !memcmp(data, MAGIC, MAGIC_LEN))
		return data;
	if (len >= sizeof(OLD_MAGIC) && !memcmp(data, OLD_MAGIC, sizeof(OLD_MAGIC) - 1))
		return memmem(data, len, MAGIC, MAGIC_LEN);
	return NULL;
}

const char *kt_ldcache_find(const void *data, size_t len, const char *soname)
{
	const char *base = find_header(data, len);
	struct cache_header header;

	if (!base)
		return NULL;
	len -= (size_t)(base - (const char *)data);
	if (len < sizeof(header))
		return NULL;
	memcpy(&header, base, sizeof(header));
	if (header.n_libs > (len - sizeof(header)) / sizeof(struct cache_entry))
		return NULL;
	for (uint32_t i = 0; i < header.n_libs; i++) {
		struct cache_entry entry;
		const char *key;

		memcpy(&entry, base + sizeof(header) + i * sizeof(entry), sizeof(entry));
		if (entry.flags != FLAGS_X86_64 || entry.hwcap)
			continue;
		key = string_at(base, len, entry.key);
		if (key && !strcmp(key, soname))
			return string_at(base, len, entry.value);
	}
	return NULL;
}
