/* SPDX-License-Identifier: MIT */
#include "vmm/mem.h"

#include <errno.h>
#include <inttypes.h>
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
static int add_region(struct kt_mem *mem, uint64_t gpa, uint64_t len, uint64_t host)
{
	if (!len)
		return 0;
	if (mem->n_regions == KT_MEM_REGIONS_MAX)
		return -E2BIG;
	mem->regions[mem->n_regions++] = (struct kt_mem_region){ gpa, len, host };
	return 0;
}

/*
 * Adds @len bytes at @offset of the RAM file; a piece that spans the hole below 4 GiB is cut there.
 */
static int add_piece(struct kt_mem *mem, const struct kt_mem_layout *layout, uint64_t offset,
		     uint64_t len, uint64_t host)
{
	uint64_t low = offset < layout->low_len ? KT_MIN(len, layout->low_len - offset) : 0;
	int r = add_region(mem, offset, low, host);

	if (r < 0)
		return r;
	offset += low;
	return add_region(mem, KT_MEM_HIGH + (offset - layout->low_len), len - low, host + low);
}

int kt_mem_map_file(struct kt_mem *mem, int ram_fd, uint64_t ram_len, struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(ram_len);

	*mem = KT_MEM_NULL;
	mem->mapping = mmap(NULL, ram_len, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (mem->mapping == MAP_FAILED) {
		mem->mapping = NULL;
		return kt_err_set(reterr, -errno, "cannot map the guest's RAM: %m");
	}
	mem->mapping_len = ram_len;
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

int kt_mem_find_in_process(struct kt_mem *mem, pid_t pid, int ram_fd, uint64_t ram_len,
			   struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(ram_len);
	KT_FREE char *text = NULL;
	struct maps_name name = { 0, 0, 0 };
	uint64_t found = 0;
	int r;

	*mem = KT_MEM_NULL;
	mem->pid = pid;
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

void kt_mem_deinit(struct kt_mem *mem)
{
	if (mem->mapping)
		(void)munmap(mem->mapping, mem->mapping_len);
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

/* Copies within one region. */
static int copy_piece(const struct kt_mem *mem, uint64_t host, void *local, size_t len,
		      enum direction direction)
{
	struct iovec here = { .iov_base = local, .iov_len = len };
	struct iovec there = { .iov_base = (void *)(uintptr_t)host, .iov_len = len };
	ssize_t n;

	if (!mem->pid) {
		if (direction == READ)
			memcpy(local, there.iov_base, len);
		else
			memcpy(there.iov_base, local, len);
		return 0;
	}
	n = direction == READ ? process_vm_readv(mem->pid, &here, 1, &there, 1, 0)
			      : process_vm_writev(mem->pid, &here, 1, &there, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* A range may span regions, as QEMU maps each NUMA node's part of the RAM on its own. */
static int copy(const struct kt_mem *mem, uint64_t gpa, void *local, size_t len,
		enum direction direction, struct kt_err *reterr)
{
	uint8_t *at = local;
	int r = check_range(mem, gpa, len, reterr);

	while (r == 0 && len) {
		const struct kt_mem_region *region = find_region(mem, gpa);
		size_t n = (size_t)KT_MIN((uint64_t)len, region->gpa + region->len - gpa);

		r = copy_piece(mem, region->host + (gpa - region->gpa), at, n, direction);
		if (r < 0)
			return kt_err_set(reterr, r, "guest-physical address 0x%" PRIx64 ": %m",
					  gpa);
		gpa += n;
		at += n;
		len -= n;
	}
	return r;
}

int kt_mem_read(const struct kt_mem *mem, uint64_t gpa, void *to, size_t len, struct kt_err *reterr)
{
	return copy(mem, gpa, to, len, READ, reterr);
}

int kt_mem_write(const struct kt_mem *mem, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr)
{
	return copy(mem, gpa, (void *)from, len, WRITE, reterr);
}
