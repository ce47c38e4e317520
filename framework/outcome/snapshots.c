/* SPDX-License-Identifier: MIT */
#include "framework/outcome/snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmm/snapshot/snapshot.h"

/*
 * The file is a sequence of records, a header and a text. Records are appended; a later one
 * replaces an earlier one with the same name, and one without a text removes it. When more than
 * half of the file is dead, the live records are moved together, in a mapping of it. A session that
 * is killed while it does that leaves whole records, and perhaps a part of one.
 */

#define MAGIC    0x4e53544bu /* "KTSN" */
#define DEAD_MAX (8u << 20)  /* bytes that are always tolerated */

struct header {
	uint32_t magic;
	uint32_t len; /* of the text; 0: the name is removed */
	char name[48];
};

_Static_assert(sizeof(((struct header *)0)->name) > KT_SNAPSHOT_NAME_MAX, "every name fits");

int kt_snapshots_init(struct kt_snapshots *snapshots, struct kt_err *reterr)
{
	*snapshots = KT_SNAPSHOTS_NULL;
	snapshots->fd = memfd_create("ktest-snapshots", MFD_CLOEXEC);
	return snapshots->fd < 0 ? kt_err_set(reterr, -errno, "a file for snapshots: %m") : 0;
}

void kt_snapshots_deinit(struct kt_snapshots *snapshots)
{
	if (snapshots->fd >= 0)
		(void)close(snapshots->fd);
	*snapshots = KT_SNAPSHOTS_NULL;
}

const struct kt_snapshot_entry *kt_snapshots_find(const struct kt_snapshots *snapshots,
						  const char *name)
{
	for (size_t i = 0; i < snapshots->n; i++) {
		if (!strcmp(snapshots->at[i].name, name))
			return &snapshots->at[i];
	}
	return NULL;
}

static void forget(struct kt_snapshots *snapshots, size_t i)
{
	snapshots->dead += sizeof(struct header) + snapshots->at[i].len;
	memmove(&snapshots->at[i], &snapshots->at[i + 1],
		(--snapshots->n - i) * sizeof(snapshots->at[0]));
}

/* Whether there was one. */
static bool forget_name(struct kt_snapshots *snapshots, const char *name)
{
	const struct kt_snapshot_entry *entry = kt_snapshots_find(snapshots, name);

	if (entry)
		forget(snapshots, (size_t)(entry - snapshots->at));
	return entry != NULL;
}

static void remember(struct kt_snapshots *snapshots, const char *name, uint64_t offset,
		     uint32_t len)
{
	struct kt_snapshot_entry *entry = &snapshots->at[snapshots->n++];

	*entry = (struct kt_snapshot_entry){ .offset = offset, .len = len };
	(void)snprintf(entry->name, sizeof(entry->name), "%.*s", (int)KT_SNAPSHOT_NAME_MAX, name);
}

static int write_at(int fd, uint64_t offset, const void *data, size_t len)
{
	ssize_t n = pwrite(fd, data, len, (off_t)offset);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

/* Writes a record; where its text begins is in *@ret_offset. */
static int append(struct kt_snapshots *snapshots, const char *name, const char *text, uint32_t len,
		  uint64_t *ret_offset)
{
	struct header header = { .magic = MAGIC, .len = len };
	int r;

	(void)snprintf(header.name, sizeof(header.name), "%s", name);
	r = write_at(snapshots->fd, snapshots->len, &header, sizeof(header));
	*ret_offset = snapshots->len + sizeof(header);
	if (r == 0)
		r = write_at(snapshots->fd, *ret_offset, text, len);
	if (r == 0)
		snapshots->len = *ret_offset + len;
	return r;
}

/* Moves the records to the beginning of the file, which is mapped at @map. Returns their end. */
static uint64_t move_together(struct kt_snapshots *snapshots, char *map)
{
	uint64_t end = 0;

	for (size_t i = 0; i < snapshots->n; i++) {
		struct kt_snapshot_entry *entry = &snapshots->at[i];
		size_t len = sizeof(struct header) + entry->len;

		memmove(map + end, map + entry->offset - sizeof(struct header), len);
		entry->offset = end + sizeof(struct header);
		end += len;
	}
	return end;
}

/*
 * Moves the records together; the entries are in the order of their offsets. Nothing can fail once
 * the first record has moved: after a failure, all is as it was.
 */
static int compact(struct kt_snapshots *snapshots)
{
	size_t len = (size_t)snapshots->len;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, snapshots->fd, 0);
	uint64_t end;

	if (map == MAP_FAILED)
		return -errno;
	end = move_together(snapshots, map);
	/* Whoever scans the file stops there, even if it cannot be cut. */
	memset(map + end, 0, KT_MIN(sizeof(struct header), len - (size_t)end));
	(void)munmap(map, len);
	snapshots->len = end;
	snapshots->dead = 0;
	(void)ftruncate(snapshots->fd, (off_t)end);
	return 0;
}

/* Makes room for another name. */
static int make_room(struct kt_snapshots *snapshots, bool evict, struct kt_err *reterr)
{
	uint64_t offset;
	int r;

	if (snapshots->n < KT_SNAPSHOTS_MAX)
		return 0;
	if (!evict)
		return kt_err_set(reterr, -ENOSPC,
				  "there are %u snapshots already; a name can be used again",
				  KT_SNAPSHOTS_MAX);
	r = append(snapshots, snapshots->at[0].name, "", 0, &offset);
	if (r < 0)
		return kt_err_set(reterr, r, "snapshots: %m");
	snapshots->dead += sizeof(struct header);
	forget(snapshots, 0);
	return 0;
}

int kt_snapshots_put(struct kt_snapshots *snapshots, const char *name, const char *text, size_t len,
		     bool evict, bool *ret_replaced, struct kt_err *reterr)
{
	bool is_there = kt_snapshots_find(snapshots, name) != NULL;
	uint64_t offset;
	int r = kt_snapshot_check_name(name, reterr);

	if (r == 0 && (!len || len > KT_SNAPSHOT_LEN_MAX))
		r = kt_err_set(reterr, -EMSGSIZE, "the snapshot '%s' has %zu bytes", name, len);
	if (r == 0 && !is_there)
		r = make_room(snapshots, evict, reterr);
	if (r < 0)
		return r;
	r = append(snapshots, name, text, (uint32_t)len, &offset);
	if (r == 0) {
		*ret_replaced = forget_name(snapshots, name);
		remember(snapshots, name, offset, (uint32_t)len);
		/* The text is kept, also if the others need more room than they should for now. */
		if (snapshots->dead > DEAD_MAX && snapshots->dead > snapshots->len / 2)
			(void)compact(snapshots);
	}
	return r < 0 ? kt_err_set(reterr, r, "snapshots: %m") : 0;
}

char *kt_snapshots_text(const struct kt_snapshots *snapshots, const struct kt_snapshot_entry *entry)
{
	char *text = malloc((size_t)entry->len + 1);

	if (text &&
	    pread(snapshots->fd, text, entry->len, (off_t)entry->offset) != (ssize_t)entry->len) {
		free(text);
		return NULL;
	}
	if (text)
		text[entry->len] = 0;
	return text;
}

/* The record at @offset, if it is whole. */
static bool read_header(const struct kt_snapshots *snapshots, uint64_t offset,
			struct header *ret_header)
{
	struct header *header = ret_header;

	if (pread(snapshots->fd, header, sizeof(*header), (off_t)offset) != sizeof(*header))
		return false;
	header->name[sizeof(header->name) - 1] = 0;
	return header->magic == MAGIC && header->len <= KT_SNAPSHOT_LEN_MAX &&
	       header->len <= snapshots->len - offset - sizeof(*header) &&
	       kt_snapshot_check_name(header->name, NULL) == 0;
}

void kt_snapshots_scan(struct kt_snapshots *snapshots)
{
	struct header header;
	struct stat st;
	uint64_t at = 0;

	snapshots->n = 0;
	snapshots->dead = snapshots->len = 0;
	if (snapshots->fd < 0 || fstat(snapshots->fd, &st) < 0)
		return;
	snapshots->len = (uint64_t)st.st_size;
	while (snapshots->len - at >= sizeof(header) && read_header(snapshots, at, &header)) {
		(void)forget_name(snapshots, header.name);
		at += sizeof(header);
		if (header.len && snapshots->n < KT_SNAPSHOTS_MAX)
			remember(snapshots, header.name, at, header.len);
		at += header.len;
	}
}
