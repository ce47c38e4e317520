/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/inspect/ram.h"

/*
 * RAM in a file is a list of parts: a range of guest-physical addresses, and where its bytes lie in
 * the file. A raw file has one or two (the hole below 4 GiB), an ELF core has one for each segment.
 * Segments may overlap, as those of /proc/vmcore do for the kernel's image; the later one is cut.
 * Files are foreign: no offset is used before it was compared with the file's length.
 */

#define PAGE_LEN  4096u
#define PARTS_MAX 65536u
#define NOTES_MAX (16u << 20) /* bytes of a segment of notes */
#define INFO_MAX  (64u << 10) /* bytes of VMCOREINFO */

struct part {
	uint64_t gpa;
	uint64_t len;
	uint64_t offset; /* in the file */
};

struct ram_file {
	struct kt_ram ram;
	int fd;
	uint64_t file_len;
	size_t n_parts;
	struct part *parts; /* as ram.ranges: sorted, disjoint */
};

static struct ram_file *file_of(struct kt_ram *ram)
{
	return (struct ram_file *)ram;
}

/* Returns the part that holds @gpa, or NULL. */
static const struct part *find_part(const struct ram_file *file, uint64_t gpa)
{
	size_t low = 0, high = file->n_parts;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct part *part = &file->parts[middle];

		if (gpa < part->gpa)
			high = middle;
		else if (gpa - part->gpa >= part->len)
			low = middle + 1;
		else
			return part;
	}
	return NULL;
}

static int move(int fd, bool write, void *data, size_t len, uint64_t offset)
{
	uint8_t *at = data;

	while (len) {
		ssize_t n = write ? pwrite(fd, at, len, (off_t)offset)
				  : pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_piece(const struct ram_file *file, const struct kt_mem_piece *piece, bool write)
{
	uint8_t *at = piece->data;
	uint64_t gpa = piece->gpa;
	size_t len = piece->len;
	int r = 0;

	while (r == 0 && len) {
		const struct part *part = find_part(file, gpa);
		size_t n = (size_t)KT_MIN((uint64_t)len, part->len - (gpa - part->gpa));

		r = move(file->fd, write, at, n, part->offset + (gpa - part->gpa));
		gpa += n;
		at += n;
		len -= n;
	}
	return r;
}

static int copy(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n, bool write,
		struct kt_err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		if (!kt_ram_has(ram, pieces[i].gpa, pieces[i].len))
			return kt_err_set(reterr, -EFAULT,
					  "guest-physical address 0x%" PRIx64
					  " is not in this file",
					  pieces[i].gpa);
	}
	for (size_t i = 0; i < n; i++) {
		int r = copy_piece(file_of(ram), &pieces[i], write);

		if (r < 0)
			return kt_err_set(reterr, r, "guest-physical address 0x%" PRIx64 ": %m",
					  pieces[i].gpa);
	}
	return 0;
}

static int file_read(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		     struct kt_err *reterr)
{
	return copy(ram, pieces, n, false, reterr);
}

static int file_write(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		      struct kt_err *reterr)
{
	return copy(ram, pieces, n, true, reterr);
}

/* What @part holds from @from on that is no hole of the file. */
static bool data_of_part(const struct ram_file *file, const struct part *part, uint64_t from,
			 struct kt_ram_range *ret_range)
{
	uint64_t end = part->offset + part->len;
	off_t start = lseek(file->fd, (off_t)(part->offset + from), SEEK_DATA);
	off_t hole = start < 0 ? -1 : lseek(file->fd, start, SEEK_HOLE);

	if (start < 0 && errno == ENXIO)
		return false;
	if (start < 0 || hole < 0) {
		start = (off_t)(part->offset + from);
		hole = (off_t)end;
	}
	if ((uint64_t)start >= end)
		return false;
	ret_range->gpa = part->gpa + ((uint64_t)start - part->offset);
	ret_range->len = KT_MIN((uint64_t)hole, end) - (uint64_t)start;
	return true;
}

static int file_data(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range)
{
	const struct ram_file *file = file_of(ram);

	for (size_t i = 0; i < file->n_parts; i++) {
		const struct part *part = &file->parts[i];
		uint64_t from = gpa > part->gpa ? gpa - part->gpa : 0;

		if (from < part->len && data_of_part(file, part, from, ret_range))
			return 0;
	}
	return -ENXIO;
}

static void file_close(struct kt_ram *ram)
{
	struct ram_file *file = file_of(ram);

	file->fd = kt_close(file->fd);
	free(file->parts);
	free(file);
}

static const struct kt_ram_ops file_ops = {
	.name = "file",
	.read = file_read,
	.data = file_data,
	.close = file_close,
};

static const struct kt_ram_ops writable_ops = {
	.name = "file",
	.read = file_read,
	.write = file_write,
	.data = file_data,
	.close = file_close,
};

static int by_gpa(const void *a, const void *b)
{
	const struct part *left = a, *right = b;

	return left->gpa < right->gpa ? -1 : left->gpa > right->gpa;
}

/* Sorts the parts, cuts what two of them have in common, and publishes them as ranges. */
static int settle_parts(struct ram_file *file, struct kt_err *reterr)
{
	size_t n = 0;
	uint64_t end = 0;

	qsort(file->parts, file->n_parts, sizeof(file->parts[0]), by_gpa);
	for (size_t i = 0; i < file->n_parts; i++) {
		struct part part = file->parts[i];
		uint64_t cut = end > part.gpa ? end - part.gpa : 0;

		if (cut >= part.len)
			continue;
		part.gpa += cut;
		part.offset += cut;
		part.len -= cut;
		end = part.gpa + part.len;
		file->parts[n++] = part;
	}
	file->n_parts = n;
	file->ram.ranges = calloc(n ?: 1, sizeof(*file->ram.ranges));
	if (!file->ram.ranges)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < n; i++)
		file->ram.ranges[i] =
			(struct kt_ram_range){ file->parts[i].gpa, file->parts[i].len };
	file->ram.n_ranges = n;
	return 0;
}

/* A segment's bytes in the file, without what a truncated file lacks. */
static void add_segment(struct ram_file *file, const GElf_Phdr *header)
{
	uint64_t room = header->p_offset < file->file_len ? file->file_len - header->p_offset : 0;
	uint64_t len = KT_MIN(header->p_filesz, room);

	if (len && len <= UINT64_MAX - header->p_paddr)
		file->parts[file->n_parts++] =
			(struct part){ header->p_paddr, len, header->p_offset };
}

/* Linux writes VMCOREINFO of the crashed kernel into a note of this name. */
static void take_note(struct ram_file *file, const char *name, size_t name_len, const char *text,
		      size_t len)
{
	static const char NAME[] = "VMCOREINFO";

	if (name_len != sizeof(NAME) || memcmp(name, NAME, sizeof(NAME)) != 0 || len > INFO_MAX ||
	    file->ram.vmcoreinfo)
		return;
	file->ram.vmcoreinfo = strndup(text, len);
}

static void read_notes(struct ram_file *file, Elf *elf, const GElf_Phdr *header)
{
	Elf_Data *data = header->p_filesz > NOTES_MAX
				 ? NULL
				 : elf_getdata_rawchunk(elf, (int64_t)header->p_offset,
							header->p_filesz, ELF_T_NHDR);
	size_t at = 0, next, name, text;
	GElf_Nhdr note;

	while (data && (next = gelf_getnote(data, at, &note, &name, &text)) > 0) {
		const char *bytes = data->d_buf;

		take_note(file, bytes + name, note.n_namesz, bytes + text, note.n_descsz);
		at = next;
	}
}

static int read_core(struct ram_file *file, Elf *elf, struct kt_err *reterr)
{
	size_t n = 0, loads = 0;
	bool physical = false;

	if (elf_getphdrnum(elf, &n) || n > PARTS_MAX)
		return kt_err_set(reterr, -EPROTO, "the ELF header is malformed");
	file->parts = calloc(n ?: 1, sizeof(*file->parts));
	if (!file->parts)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header))
			return kt_err_set(reterr, -EPROTO, "a segment's header is malformed");
		if (header.p_type == PT_NOTE)
			read_notes(file, elf, &header);
		if (header.p_type != PT_LOAD)
			continue;
		loads++;
		physical = physical || header.p_paddr;
		add_segment(file, &header);
	}
	if (!file->n_parts || (loads > 1 && !physical))
		return kt_err_set(reterr, -ENOTSUP,
				  "the ELF file has no memory by physical address");
	return 0;
}

static int read_raw(struct ram_file *file, struct kt_err *reterr)
{
	struct kt_mem_layout layout = kt_mem_layout(file->file_len);

	if (!file->file_len || file->file_len % PAGE_LEN)
		return kt_err_set(reterr, -ENOTSUP,
				  "neither an ELF core nor whole pages of a guest's RAM");
	file->parts = calloc(2, sizeof(*file->parts));
	if (!file->parts)
		return kt_err_oom(reterr);
	file->parts[file->n_parts++] = (struct part){ 0, layout.low_len, 0 };
	if (layout.high_len)
		file->parts[file->n_parts++] =
			(struct part){ KT_MEM_HIGH, layout.high_len, layout.low_len };
	return 0;
}

/* Formats that people have, that are neither of ours, and how to make one that is. */
static const struct {
	const char *magic;
	const char *name;
} FORMATS[] = {
	{ "KDUMP   ", "a compressed dump of makedumpfile" },
	{ "DISKDUMP", "a compressed dump of diskdump" },
	{ "makedumpfile", "a flattened dump of makedumpfile" },
	{ "EMiL", "a dump of LiME" },
};

static int read_parts(struct ram_file *file, struct kt_err *reterr)
{
	char magic[16] = "";
	Elf *elf;
	int r;

	(void)pread(file->fd, magic, sizeof(magic), 0);
	for (size_t i = 0; i < KT_ARRAY_LEN(FORMATS); i++) {
		if (!strncmp(magic, FORMATS[i].magic, strlen(FORMATS[i].magic)))
			return kt_err_set(reterr, -ENOTSUP, "this is %s; an ELF core is needed",
					  FORMATS[i].name);
	}
	if (memcmp(magic, ELFMAG, SELFMAG) != 0)
		return read_raw(file, reterr);
	if (elf_version(EV_CURRENT) == EV_NONE)
		return kt_err_set(reterr, -ENOTSUP, "libelf is too old");
	elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!elf)
		return kt_err_set(reterr, -EPROTO, "the ELF header is malformed");
	r = read_core(file, elf, reterr);
	(void)elf_end(elf);
	return r;
}

static int open_parts(struct ram_file *file, const char *path, bool writable, struct kt_err *reterr)
{
	struct stat st;

	file->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		return kt_err_set(reterr, -errno, "%m");
	if (!S_ISREG(st.st_mode))
		return kt_err_set(reterr, -EINVAL, "not a file");
	file->file_len = (uint64_t)st.st_size;
	return read_parts(file, reterr) ?: settle_parts(file, reterr);
}

int kt_ram_open_file(const char *path, bool writable, struct kt_ram **ret_ram,
		     struct kt_err *reterr)
{
	struct ram_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return kt_err_oom(reterr);
	file->fd = -1;
	file->ram.ops = writable ? &writable_ops : &file_ops;
	r = open_parts(file, path, writable, reterr);
	if (r < 0) {
		(void)kt_ram_close(&file->ram);
		return kt_err_prefix(reterr, r, "'%s'", path);
	}
	*ret_ram = &file->ram;
	return 0;
}
