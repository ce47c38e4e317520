/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/core.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmm/inspect/vmcoreinfo.h"

/*
 * The file: ELF header, program headers, notes, and from the next page on the segments, one behind
 * the other. Readers find the kernel by VMCOREINFO, and memory by p_paddr; p_vaddr is where the
 * kernel's direct map has it.
 */

#define PAGE_LEN 4096u
#define PART_LEN (256u * PAGE_LEN) /* that is copied at once */

static const char INFO_NAME[] = "VMCOREINFO";

/* The name and the text are padded to 4 bytes each. */
struct note {
	Elf64_Nhdr header;
	char name[12];
	char text[KT_VMCOREINFO_MAX];
};

_Static_assert(sizeof(((struct note *)0)->name) == ((sizeof(INFO_NAME) + 3) & ~3u), "padding");

struct finder {
	struct kt_ram *ram;
	const struct kt_inspect_facts *facts;
	struct note *note;
};

/* The text begins the page, or follows the header of a note there. */
static int take_text(struct finder *finder, uint64_t gpa, struct kt_err *reterr)
{
	static const char FIRST[] = "OSRELEASE=";
	char page[KT_VMCOREINFO_MAX + 1];
	const char *text = page;
	size_t len;
	int r = kt_ram_read(finder->ram, gpa, page, KT_VMCOREINFO_MAX, reterr);

	if (r < 0)
		return r;
	page[KT_VMCOREINFO_MAX] = 0;
	if (memcmp(page, FIRST, sizeof(FIRST) - 1) != 0)
		text += sizeof(finder->note->header) + sizeof(finder->note->name);
	len = strlen(text);
	memcpy(finder->note->text, text, len);
	finder->note->header.n_descsz = (Elf64_Word)len;
	return 1;
}

/* RAM can hold texts of other kernels: the one of @inspect is known by what was found there. */
static int on_info(void *data, uint64_t gpa, const struct kt_vmcoreinfo *info,
		   struct kt_err *reterr)
{
	struct finder *finder = data;

	if (strcmp(info->build_id, finder->facts->build_id) ||
	    info->kernel_offset != finder->facts->kaslr ||
	    info->phys_base != finder->facts->phys_base)
		return kt_err_set(reterr, -ENOENT, "this VMCOREINFO is of another kernel");
	return take_text(finder, gpa, reterr);
}

static int make_note(struct kt_ram *ram, struct kt_inspect *inspect, struct note *note,
		     struct kt_err *reterr)
{
	struct finder finder = { ram, kt_inspect_facts(inspect), note };

	note->header.n_namesz = sizeof(INFO_NAME);
	memcpy(note->name, INFO_NAME, sizeof(INFO_NAME));
	return kt_vmcoreinfo_find(ram, NULL, 0, on_info, &finder, reterr);
}

static size_t note_len(const struct note *note)
{
	return offsetof(struct note, text) + ((note->header.n_descsz + 3u) & ~3u);
}

static int put(int fd, const void *data, size_t len, uint64_t at, struct kt_err *reterr)
{
	const char *bytes = data;

	while (len) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kt_err_set(reterr, n < 0 ? -errno : -EIO, "writing the core: %m");
		bytes += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_LEN - 1);
}

/* Runs of pages that are not zero; the holes between them stay. */
static int put_pages(int fd, const char *bytes, size_t len, uint64_t at, struct kt_err *reterr)
{
	int r = 0;

	for (size_t from = 0, to; r == 0 && from < len; from = to) {
		bool zero = is_zero(bytes + from);

		for (to = from + PAGE_LEN; to < len && is_zero(bytes + to) == zero; to += PAGE_LEN)
			;
		if (!zero)
			r = put(fd, bytes + from, to - from, at + from, reterr);
	}
	return r;
}

/* Only what may be other than zero is read; it is widened to whole pages. */
static int put_range(struct kt_ram *ram, const struct kt_ram_range *range, int fd, uint64_t offset,
		     char *part, struct kt_err *reterr)
{
	uint64_t at = range->gpa, end = range->gpa + range->len;
	struct kt_ram_range data;
	int r = 0;

	while (r == 0 && at < end && kt_ram_data(ram, at, &data) == 0 && data.gpa < end) {
		uint64_t to = KT_MIN((data.gpa + data.len + PAGE_LEN - 1) & -(uint64_t)PAGE_LEN,
				     end);

		at = KT_MAX(at, data.gpa & -(uint64_t)PAGE_LEN);
		for (; r == 0 && at < to; at += KT_MIN(to - at, (uint64_t)PART_LEN)) {
			size_t len = (size_t)KT_MIN(to - at, (uint64_t)PART_LEN);

			r = kt_ram_read(ram, at, part, len, reterr) ?:
			    put_pages(fd, part, len, offset + (at - range->gpa), reterr);
		}
	}
	return r;
}

static Elf64_Ehdr file_header(size_t n_segments)
{
	Elf64_Ehdr header = {
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)n_segments,
	};

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	return header;
}

/* Where the bytes of the first range begin; the others follow. */
static uint64_t first_offset(const struct kt_ram *ram, const struct note *note)
{
	uint64_t len = sizeof(Elf64_Ehdr) + (1 + ram->n_ranges) * sizeof(Elf64_Phdr) +
		       note_len(note);

	return (len + PAGE_LEN - 1) & -(uint64_t)PAGE_LEN;
}

static int put_headers(const struct kt_ram *ram, struct kt_inspect *inspect,
		       const struct note *note, int fd, struct kt_err *reterr)
{
	Elf64_Ehdr header = file_header(1 + ram->n_ranges);
	KT_FREE Elf64_Phdr *segments = calloc(1 + ram->n_ranges, sizeof(*segments));
	size_t len = (1 + ram->n_ranges) * sizeof(*segments);
	uint64_t offset = first_offset(ram, note);

	if (!segments)
		return kt_err_oom(reterr);
	segments[0] = (Elf64_Phdr){ .p_type = PT_NOTE,
				    .p_offset = sizeof(header) + len,
				    .p_filesz = note_len(note),
				    .p_memsz = note_len(note) };
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct kt_ram_range *range = &ram->ranges[i];

		segments[1 + i] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W | PF_X,
			.p_offset = offset,
			.p_vaddr = kt_inspect_facts(inspect)->page_offset + range->gpa,
			.p_paddr = range->gpa,
			.p_filesz = range->len,
			.p_memsz = range->len,
		};
		offset += range->len;
	}
	if (ftruncate(fd, (off_t)offset) < 0)
		return kt_err_set(reterr, -errno, "writing the core: %m");
	return put(fd, &header, sizeof(header), 0, reterr) ?:
	       put(fd, segments, len, sizeof(header), reterr) ?:
	       put(fd, note, note_len(note), sizeof(header) + len, reterr);
}

int kt_core_write(struct kt_ram *ram, struct kt_inspect *inspect, int fd, struct kt_err *reterr)
{
	KT_FREE struct note *note = calloc(1, sizeof(*note));
	KT_FREE char *part = malloc(PART_LEN);
	uint64_t offset;
	int r;

	if (!note || !part)
		return kt_err_oom(reterr);
	r = make_note(ram, inspect, note, reterr) ?: put_headers(ram, inspect, note, fd, reterr);
	offset = first_offset(ram, note);
	for (size_t i = 0; r == 0 && i < ram->n_ranges; i++) {
		r = put_range(ram, &ram->ranges[i], fd, offset, part, reterr);
		offset += ram->ranges[i].len;
	}
	return r;
}
