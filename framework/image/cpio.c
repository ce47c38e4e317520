/* SPDX-License-Identifier: MIT */
#include "framework/image/cpio.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	const char *name; /* relative to the root of the archive */
	uint32_t mode;
	const void *data;
	uint64_t len;
	uint32_t dev_major, dev_minor;
};

static int put(struct kt_cpio *cpio, const void *data, size_t len)
{
	if (len && fwrite(data, 1, len, cpio->out) != len)
		return errno ? -errno : -EIO;
	cpio->written += len;
	return 0;
}

/* Pads with zeros: names and contents end at multiples of four bytes. */
static int pad(struct kt_cpio *cpio)
{
	static const char zeros[4];

	return put(cpio, zeros, -cpio->written & 3);
}

static int put_entry(struct kt_cpio *cpio, const struct entry *entry)
{
	size_t name_len = strlen(entry->name) + 1;
	char header[111];

	if (entry->len > UINT32_MAX)
		return -EFBIG;
	/*
	 * The fields, each of 8 hexadecimal digits: inode, mode, uid, gid, links, mtime, size,
	 * device (major, minor), rdev (major, minor), length of the name, checksum. Owner and time
	 * are 0, so that the same contents give the same archive.
	 */
	(void)snprintf(header, sizeof(header),
		       "070701%08" PRIx32 "%08" PRIx32 "%08x%08x%08x%08x%08" PRIx32
		       "%08x%08x%08" PRIx32 "%08" PRIx32 "%08" PRIx32 "%08x",
		       cpio->inode++, entry->mode, 0, 0, S_ISDIR(entry->mode) ? 2 : 1, 0,
		       (uint32_t)entry->len, 0, 0, entry->dev_major, entry->dev_minor,
		       (uint32_t)name_len, 0);
	return put(cpio, header, 110) ?:
	       put(cpio, entry->name, name_len) ?:
	       pad(cpio) ?:
	       put(cpio, entry->data, entry->len) ?:
	       pad(cpio);
}

/* Names in the archive are relative to the root. */
static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	return path;
}

int kt_cpio_dir(struct kt_cpio *cpio, const char *path, unsigned int mode)
{
	return put_entry(cpio, &(struct entry){ .name = relative(path), .mode = S_IFDIR | mode });
}

int kt_cpio_file(struct kt_cpio *cpio, const char *path, unsigned int mode, const void *data,
		 uint64_t len)
{
	return put_entry(cpio, &(struct entry){
				       .name = relative(path),
				       .mode = S_IFREG | mode,
				       .data = data,
				       .len = len,
			       });
}

int kt_cpio_char_device(struct kt_cpio *cpio, const char *path, unsigned int mode,
			unsigned int major, unsigned int minor)
{
	return put_entry(cpio, &(struct entry){
				       .name = relative(path),
				       .mode = S_IFCHR | mode,
				       .dev_major = major,
				       .dev_minor = minor,
			       });
}

int kt_cpio_end(struct kt_cpio *cpio)
{
	return put_entry(cpio, &(struct entry){ .name = "TRAILER!!!" });
}
