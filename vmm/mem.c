/* SPDX-License-Identifier: MIT */
#include "vmm/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define LOW_LEN_SPLIT (UINT64_C(2) << 30)  /* QEMU: hw/i386/pc_q35.c, pc_q35_init() */
#define LOW_LEN_MAX   UINT64_C(0xb0000000) /* likewise */
#define MAPS_MAX      (16u << 20)          /* bytes of a /proc/PID/maps */

/*
 * A struct kt_mem is a sorted list of regions. It translates a guest-physical address to a process
 * and a virtual address in it. For a restored machine, the list is read from /proc/PID/maps, where
 * the mappings of the RAM file are recognised by device and inode. Addresses
 * come from the guest and are hostile: check_range() passes before a byte is copied.
 */

struct kt_mem_layout kt_mem_layout(uint64_t ram_len)
{
	struct kt_mem_layout layout = { .low_len = ram_len };

	if (ram_len >= LOW_LEN_MAX) {
		layout.low_len = LOW_LEN_SPLIT;
		layout.high_len = ram_len - LOW_LEN_SPLIT;
	}
	return layout;
}

/* Adds a region; one of no length is left out. */
static int add_region(struct kt_mem *mem, uint64_t gpa, uint64_t len, uint64_t host,
		      uint64_t offset)
{
	if (!len)
		return 0;
	if (mem->n_regions == KT_MEM_REGIONS_MAX)
		return -E2BIG;
	mem->regions[mem->n_regions++] = (struct kt_mem_region){ gpa, len, host, offset };
	return 0;
}

/*
 * Adds @len bytes at @offset of the RAM file; a piece that spans the hole below 4 GiB is cut there.
 */
static int add_piece(struct kt_mem *mem, const struct kt_mem_layout *layout, uint64_t offset,
		     uint64_t len, uint64_t host)
{
	uint64_t low = offset < layout->low_len ? KT_MIN(len, layout->low_len - offset) : 0;
	int r = add_region(mem, offset, low, host, offset);

	if (r < 0)
		return r;
	offset += low;
	return add_region(mem, KT_MEM_HIGH + (offset - layout->low_len), len - low, host + low,
			  offset);
}

static int keep_file(struct kt_mem *mem, int ram_fd, struct kt_err *reterr)
{
	mem->ram_fd = fcntl(ram_fd, F_DUPFD_CLOEXEC, 0);
	return mem->ram_fd < 0 ? kt_err_set(reterr, -errno, "cannot keep the guest's RAM: %m") : 0;
}

int kt_mem_map_file(struct kt_mem *mem, int ram_fd, uint64_t ram_len, struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(ram_len);
	int r;

	*mem = KT_MEM_NULL;
	mem->mapping = mmap(NULL, ram_len, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (mem->mapping == MAP_FAILED) {
		mem->mapping = NULL;
		return kt_err_set(reterr, -errno, "cannot map the guest's RAM: %m");
	}
	mem->mapping_len = ram_len;
	r = keep_file(mem, ram_fd, reterr);
	if (r < 0) {
		kt_mem_deinit(mem);
		return r;
	}
	(void)add_piece(mem, &layout, 0, ram_len, (uint64_t)(uintptr_t)mem->mapping);
	return 0;
}

/* How /proc/PID/maps names a file. stat(2) is not used: on btrfs it reports another device. */
struct maps_name {
	unsigned int dev_major, dev_minor;
	uint64_t inode;
};

struct mapping {
	uint64_t start, end, offset;
	struct maps_name name;
};

/* Linux: Documentation/filesystems/proc.rst, "address perms offset dev inode pathname". */
static bool parse_mapping(const char *line, struct mapping *mapping)
{
	return sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64,
		      &mapping->start, &mapping->end, &mapping->offset, &mapping->name.dev_major,
		      &mapping->name.dev_minor, &mapping->name.inode) == 6;
}

static bool same_name(const struct maps_name *a, const struct maps_name *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->inode == b->inode;
}

static int read_maps(pid_t pid, char **ret_text, struct kt_err *reterr)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	r = kt_file_read(path, MAPS_MAX, ret_text, NULL);
	return r < 0 ? kt_err_set(reterr, r, "'%s': %m", path) : 0;
}

/* Maps a page of the file in this process and looks up how its own maps name the file. */
static int find_name(int fd, struct maps_name *ret_name, struct kt_err *reterr)
{
	void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	uint64_t at = (uint64_t)(uintptr_t)page;
	KT_FREE char *text = NULL;
	int r;

	if (page == MAP_FAILED)
		return kt_err_set(reterr, -errno, "cannot map the guest's RAM: %m");
	r = read_maps(getpid(), &text, reterr);
	(void)munmap(page, 1);
	for (char *save, *line = r < 0 ? NULL : strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mapping mapping;

		if (!parse_mapping(line, &mapping) || at < mapping.start || at >= mapping.end)
			continue;
		*ret_name = mapping.name;
		return 0;
	}
	return r < 0 ? r
		     : kt_err_set(reterr, -ENXIO, "the mapping of the guest's RAM was not found");
}

static int by_gpa(const void *a, const void *b)
{
	const struct kt_mem_region *left = a, *right = b;

	return left->gpa < right->gpa ? -1 : left->gpa > right->gpa;
}

static int find_regions(struct kt_mem *mem, pid_t pid, int ram_fd, uint64_t ram_len,
			struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(ram_len);
	KT_FREE char *text = NULL;
	struct maps_name name = { 0, 0, 0 };
	uint64_t found = 0;
	int r;

	r = find_name(ram_fd, &name, reterr) ?: read_maps(pid, &text, reterr);
	if (r < 0)
		return r;
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mapping at;
		uint64_t len;

		if (!parse_mapping(line, &at) || !same_name(&at.name, &name) ||
		    at.offset >= ram_len)
			continue;
		len = KT_MIN(at.end - at.start, ram_len - at.offset);
		if (add_piece(mem, &layout, at.offset, len, at.start) < 0)
			return kt_err_set(reterr, -E2BIG, "the guest's RAM is in too many pieces");
		found += len;
	}
	qsort(mem->regions, mem->n_regions, sizeof(mem->regions[0]), by_gpa);
	/*
	 * With fewer bytes the mappings are not what was expected, and no address can be trusted.
	 */
	if (found != ram_len)
		return kt_err_set(reterr, -ENXIO,
				  "process %d maps %" PRIu64 " of %" PRIu64
				  " bytes of the guest's RAM",
				  (int)pid, found, ram_len);
	return 0;
}

int kt_mem_find_in_process(struct kt_mem *mem, pid_t pid, int ram_fd, uint64_t ram_len,
			   struct kt_err *reterr)
{
	int r;

	*mem = KT_MEM_NULL;
	mem->pid = pid;
	r = find_regions(mem, pid, ram_fd, ram_len, reterr) ?: keep_file(mem, ram_fd, reterr);
	if (r < 0)
		*mem = KT_MEM_NULL;
	return r;
}

int kt_mem_of_map(struct kt_mem *mem, pid_t pid, const void *host, int ram_fd, uint64_t ram_len,
		  struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(ram_len);
	int r;

	*mem = KT_MEM_NULL;
	mem->pid = pid;
	r = keep_file(mem, ram_fd, reterr);
	if (r == 0)
		(void)add_piece(mem, &layout, 0, ram_len, (uint64_t)(uintptr_t)host);
	return r;
}

void kt_mem_deinit(struct kt_mem *mem)
{
	if (mem->mapping)
		(void)munmap(mem->mapping, mem->mapping_len);
	if (mem->n_regions)
		(void)close(mem->ram_fd);
	*mem = KT_MEM_NULL;
}

/* Returns the region that holds @gpa, or NULL. */
static const struct kt_mem_region *find_region(const struct kt_mem *mem, uint64_t gpa)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		if (gpa >= mem->regions[i].gpa && gpa - mem->regions[i].gpa < mem->regions[i].len)
			return &mem->regions[i];
	}
	return NULL;
}

/*
 * All bytes are checked before the first is copied: an access succeeds as a whole or does nothing.
 */
static int check_range(const struct kt_mem *mem, uint64_t gpa, size_t len, struct kt_err *reterr)
{
	while (len) {
		const struct kt_mem_region *region = find_region(mem, gpa);
		uint64_t n;

		if (!region)
			return kt_err_set(reterr, -EFAULT,
					  "guest-physical address 0x%" PRIx64 " is not RAM", gpa);
		n = KT_MIN((uint64_t)len, region->gpa + region->len - gpa);
		gpa += n;
		len -= n;
	}
	return 0;
}

enum direction {
	READ,
	WRITE,
};

#define BATCH_MAX 64u /* of IOV_MAX; more save little, and take stack */

/* Copies that are collected for one system call: the bytes here, and those of the guest. */

struct batch {
	const struct kt_mem *mem;
	enum direction direction;
	size_t n;
	size_t len;   /* bytes of all */
	uint64_t gpa; /* of the first */
	struct iovec here[BATCH_MAX], there[BATCH_MAX];
};

/* An aligned word is one access, which the guest sees as a whole. */
#define COPY_WORD(type, direction, guest, local)                                                   \
	do {                                                                                       \
		type word;                                                                         \
		if ((direction) == READ) {                                                         \
			word = __atomic_load_n((type *)(guest), __ATOMIC_ACQUIRE);                 \
			memcpy(local, &word, sizeof(word));                                        \
		} else {                                                                           \
			memcpy(&word, local, sizeof(word));                                        \
			__atomic_store_n((type *)(guest), word, __ATOMIC_RELEASE);                 \
		}                                                                                  \
	} while (0)

static void copy_here(enum direction direction, void *guest, void *local, size_t len)
{
	bool aligned = (uintptr_t)guest % len == 0;

	if (len == 8 && aligned)
		COPY_WORD(uint64_t, direction, guest, local);
	else if (len == 4 && aligned)
		COPY_WORD(uint32_t, direction, guest, local);
	else if (len == 2 && aligned)
		COPY_WORD(uint16_t, direction, guest, local);
	else if (direction == READ)
		memcpy(local, guest, len);
	else
		memcpy(guest, local, len);
}

static int copy_shared(const struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		copy_here(batch->direction, batch->there[i].iov_base, batch->here[i].iov_base,
			  batch->here[i].iov_len);
	return 0;
}

static int copy_private(const struct batch *batch)
{
	pid_t pid = batch->mem->pid;
	ssize_t n =
		batch->direction == READ
			? process_vm_readv(pid, batch->here, batch->n, batch->there, batch->n, 0)
			: process_vm_writev(pid, batch->here, batch->n, batch->there, batch->n, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == batch->len ? 0 : -EIO;
}

/* Makes the copies that are collected. */
static int flush(struct batch *batch, struct kt_err *reterr)
{
	int r = 0;

	if (batch->n)
		r = batch->mem->pid ? copy_private(batch) : copy_shared(batch);
	batch->n = 0;
	batch->len = 0;
	return r < 0 ? kt_err_set(reterr, r, "guest-physical address 0x%" PRIx64 ": %m", batch->gpa)
		     : 0;
}

/* A range may span regions, as QEMU maps each NUMA node's part of the RAM on its own. */
static int collect(struct batch *batch, const struct kt_mem_piece *piece, struct kt_err *reterr)
{
	uint8_t *at = piece->data;
	uint64_t gpa = piece->gpa;
	size_t len = piece->len;
	int r = 0;

	while (r == 0 && len) {
		const struct kt_mem_region *region = find_region(batch->mem, gpa);
		size_t n = (size_t)KT_MIN((uint64_t)len, region->gpa + region->len - gpa);
		uint64_t host = region->host + (gpa - region->gpa);

		if (!batch->n)
			batch->gpa = gpa;
		batch->here[batch->n] = (struct iovec){ at, n };
		batch->there[batch->n++] = (struct iovec){ (void *)(uintptr_t)host, n };
		batch->len += n;
		gpa += n;
		at += n;
		len -= n;
		if (batch->n == BATCH_MAX)
			r = flush(batch, reterr);
	}
	return r;
}

static int copy(const struct kt_mem *mem, const struct kt_mem_piece *pieces, size_t n,
		enum direction direction, struct kt_err *reterr)
{
	struct batch batch;
	int r = 0;

	batch.mem = mem;
	batch.direction = direction;
	batch.n = 0;
	batch.len = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_range(mem, pieces[i].gpa, pieces[i].len, reterr);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = collect(&batch, &pieces[i], reterr);
	return r < 0 ? r : flush(&batch, reterr);
}

int kt_mem_readv(const struct kt_mem *mem, const struct kt_mem_piece *pieces, size_t n,
		 struct kt_err *reterr)
{
	return copy(mem, pieces, n, READ, reterr);
}

int kt_mem_writev(const struct kt_mem *mem, const struct kt_mem_piece *pieces, size_t n,
		  struct kt_err *reterr)
{
	return copy(mem, pieces, n, WRITE, reterr);
}

int kt_mem_read(const struct kt_mem *mem, uint64_t gpa, void *to, size_t len, struct kt_err *reterr)
{
	return copy(mem, &(struct kt_mem_piece){ gpa, to, len }, 1, READ, reterr);
}

int kt_mem_write(const struct kt_mem *mem, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr)
{
	return copy(mem, &(struct kt_mem_piece){ gpa, (void *)from, len }, 1, WRITE, reterr);
}

/* A range of a region, by its distance from the region's begin. */
struct extent {
	uint64_t start, end;
};

/* What the RAM file holds from @from on; a file system without holes has all of it. */
static bool data_of_file(const struct kt_mem *mem, const struct kt_mem_region *region,
			 uint64_t from, struct extent *ret_extent)
{
	off_t start = lseek(mem->ram_fd, (off_t)(region->offset + from), SEEK_DATA);
	off_t end = start < 0 ? -1 : lseek(mem->ram_fd, start, SEEK_HOLE);

	if (start < 0 && errno == ENXIO)
		return false;
	if (start < 0 || end < 0) {
		*ret_extent = (struct extent){ from, region->len };
		return true;
	}
	*ret_extent = (struct extent){ (uint64_t)start - region->offset,
				       KT_MIN((uint64_t)end - region->offset, region->len) };
	return ret_extent->start < region->len;
}

#define PAGE_LEN     4096u
#define PAGEMAP_PART 4096u /* entries that are read at once */
#define PAGEMAP_NEAR 16u   /* pages that are not there, between two that are found together */
#define PAGEMAP_USED (UINT64_C(3) << 62) /* in memory or in swap (Linux: admin-guide/mm/pagemap) */

/* The first pages that are used among @n, and those that are near behind them. */
static bool used_pages(const uint64_t *entries, size_t n, size_t *ret_first, size_t *ret_end)
{
	size_t first = 0, end;

	while (first < n && !(entries[first] & PAGEMAP_USED))
		first++;
	end = first;
	for (size_t i = first; i < n && i - end <= PAGEMAP_NEAR; i++) {
		if (entries[i] & PAGEMAP_USED)
			end = i + 1;
	}
	*ret_first = first;
	*ret_end = end;
	return first < n;
}

/* What the process of a machine has written itself, or at least read, from @from up to @to. */
static bool data_of_process(int pagemap, const struct kt_mem_region *region, uint64_t from,
			    uint64_t to, struct extent *ret_extent)
{
	uint64_t entries[PAGEMAP_PART];
	size_t first, end;

	for (uint64_t at = from & ~(uint64_t)(PAGE_LEN - 1); at < to;
	     at += (uint64_t)PAGEMAP_PART * PAGE_LEN) {
		ssize_t n = pread(pagemap, entries, sizeof(entries),
				  (off_t)((region->host + at) / PAGE_LEN * sizeof(entries[0])));

		if (n <= 0)
			return false;
		if (!used_pages(entries, (size_t)n / sizeof(entries[0]), &first, &end))
			continue;
		if (at + first * PAGE_LEN >= to)
			return false;
		ret_extent->start = KT_MAX(from, at + first * PAGE_LEN);
		ret_extent->end = KT_MIN(to, at + end * PAGE_LEN);
		return true;
	}
	return false;
}

/* Both sources together: the one whose data begins first. */
static bool data_of_region(const struct kt_mem *mem, const struct kt_mem_region *region,
			   uint64_t from, struct extent *ret_extent)
{
	bool found = data_of_file(mem, region, from, ret_extent);
	uint64_t to = found ? ret_extent->start : region->len;
	char path[64];
	KT_CLOSE int pagemap = -1;

	if (!mem->pid || to <= from)
		return found;
	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)mem->pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	return (pagemap >= 0 && data_of_process(pagemap, region, from, to, ret_extent)) || found;
}

int kt_mem_data(const struct kt_mem *mem, uint64_t gpa, uint64_t *ret_gpa, uint64_t *ret_len)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct kt_mem_region *region = &mem->regions[i];
		uint64_t from = gpa > region->gpa ? gpa - region->gpa : 0;
		struct extent extent;

		if (from >= region->len || !data_of_region(mem, region, from, &extent))
			continue;
		*ret_gpa = region->gpa + extent.start;
		*ret_len = extent.end - extent.start;
		return 0;
	}
	return -ENXIO;
}
