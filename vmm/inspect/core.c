/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/core.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmm/inspect/space.h"
#include "vmm/inspect/vmcoreinfo.h"

/*
 * The file: ELF header, program headers, a note for each CPU and one for the kernel, and from the
 * next page on the segments, one behind the other. Readers find the kernel by VMCOREINFO, and
 * memory by p_paddr; p_vaddr is where the kernel's direct map has it.
 */

#define PAGE_LEN 4096u
#define PART_LEN (256u * PAGE_LEN) /* that is copied at once */

static const char INFO_NAME[] = "VMCOREINFO";

/* The name and the contents of a note are padded to 4 bytes each. */
struct __attribute__((packed)) cpu_note {
	Elf64_Nhdr header;
	char name[8];
	struct elf_prstatus status;
};

_Static_assert(offsetof(struct cpu_note, status) == sizeof(Elf64_Nhdr) + 8 &&
		       sizeof(struct elf_prstatus) % 4 == 0,
	       "padding");

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

/* As the kernel's crash_setup_regs() fills it in for each CPU; the thread is the CPU's number. */
static struct cpu_note cpu_note(unsigned int cpu, const struct kt_registers *at)
{
	const struct user_regs_struct regs = {
		.r15 = at->r15,
		.r14 = at->r14,
		.r13 = at->r13,
		.r12 = at->r12,
		.rbp = at->rbp,
		.rbx = at->rbx,
		.r11 = at->r11,
		.r10 = at->r10,
		.r9 = at->r9,
		.r8 = at->r8,
		.rax = at->rax,
		.rcx = at->rcx,
		.rdx = at->rdx,
		.rsi = at->rsi,
		.rdi = at->rdi,
		.orig_rax = UINT64_MAX,
		.rip = at->rip,
		.cs = at->cs,
		.eflags = at->rflags,
		.rsp = at->rsp,
		.ss = at->ss,
		.fs_base = at->fs_base,
		.gs_base = at->gs_base,
		.ds = at->ds,
		.es = at->es,
		.fs = at->fs,
		.gs = at->gs,
	};
	struct cpu_note note = {
		.header = { .n_namesz = 5, .n_descsz = sizeof(note.status), .n_type = NT_PRSTATUS },
		.name = "CORE",
		.status = { .pr_pid = (pid_t)cpu + 1 },
	};

	_Static_assert(sizeof(regs) == sizeof(note.status.pr_reg), "one layout");
	memcpy(note.status.pr_reg, &regs, sizeof(regs));
	return note;
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
		uint64_t to =
			KT_MIN((data.gpa + data.len + PAGE_LEN - 1) & -(uint64_t)PAGE_LEN, end);

		at = KT_MAX(at, data.gpa & -(uint64_t)PAGE_LEN);
		for (; r == 0 && at < to; at += KT_MIN(to - at, (uint64_t)PART_LEN)) {
			size_t len = (size_t)KT_MIN(to - at, (uint64_t)PART_LEN);

			r = kt_ram_read(ram, at, part, len, reterr)
				    ?: put_pages(fd, part, len, offset + (at - range->gpa), reterr);
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

/* What the functions below share. */
struct core {
	struct kt_ram *ram;
	struct kt_inspect *inspect;
	const struct kt_registers *vcpus;
	unsigned int n_vcpus;
	const struct note *info;
	int fd;
};

/* The notes, the kernel's image, and the ranges. */
static size_t n_segments(const struct core *core)
{
	return 2 + core->ram->n_ranges;
}

static size_t headers_len(const struct core *core)
{
	return sizeof(Elf64_Ehdr) + n_segments(core) * sizeof(Elf64_Phdr);
}

static size_t notes_len(const struct core *core)
{
	return core->n_vcpus * sizeof(struct cpu_note) + note_len(core->info);
}

/* Where the bytes of the first range begin; the others follow. */
static uint64_t first_offset(const struct core *core)
{
	return (headers_len(core) + notes_len(core) + PAGE_LEN - 1) & -(uint64_t)PAGE_LEN;
}

static Elf64_Phdr memory(uint64_t offset, uint64_t kva, uint64_t gpa, uint64_t len)
{
	return (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = offset,
		.p_vaddr = kva,
		.p_paddr = gpa,
		.p_filesz = len,
		.p_memsz = len,
	};
}

/*
 * The kernel's image once more, by its own addresses: whoever reads the page tables finds the first
 * of them there. It has no bytes of its own. If it is not in one range, no segment is made of it.
 */
static Elf64_Phdr image(const struct core *core)
{
	uint64_t begin, end, gpa, offset = first_offset(core);

	if (!kt_inspect_has_symbol(core->inspect, "_text", &begin) ||
	    !kt_inspect_has_symbol(core->inspect, "_end", &end) || end <= begin)
		return (Elf64_Phdr){ .p_type = PT_NULL };
	gpa = begin - KT_START_KERNEL_MAP + kt_inspect_facts(core->inspect)->phys_base;
	for (size_t i = 0; i < core->ram->n_ranges; i++) {
		const struct kt_ram_range *range = &core->ram->ranges[i];

		if (gpa >= range->gpa && gpa - range->gpa < range->len &&
		    end - begin <= range->len - (gpa - range->gpa))
			return memory(offset + (gpa - range->gpa), begin, gpa, end - begin);
		offset += range->len;
	}
	return (Elf64_Phdr){ .p_type = PT_NULL };
}

/* Returns where the file ends. */
static uint64_t fill_segments(const struct core *core, Elf64_Phdr *segments)
{
	uint64_t offset = first_offset(core);

	segments[0] = (Elf64_Phdr){ .p_type = PT_NOTE,
				    .p_offset = headers_len(core),
				    .p_filesz = notes_len(core),
				    .p_memsz = notes_len(core) };
	segments[1] = image(core);
	for (size_t i = 0; i < core->ram->n_ranges; i++) {
		const struct kt_ram_range *range = &core->ram->ranges[i];

		segments[2 + i] =
			memory(offset, kt_inspect_facts(core->inspect)->page_offset + range->gpa,
			       range->gpa, range->len);
		offset += range->len;
	}
	return offset;
}

static int put_headers(const struct core *core, struct kt_err *reterr)
{
	size_t n = n_segments(core);
	Elf64_Ehdr header = file_header(n);
	KT_FREE Elf64_Phdr *segments = calloc(n, sizeof(*segments));

	if (!segments)
		return kt_err_oom(reterr);
	if (ftruncate(core->fd, (off_t)fill_segments(core, segments)) < 0)
		return kt_err_set(reterr, -errno, "writing the core: %m");
	return put(core->fd, &header, sizeof(header), 0, reterr)
		       ?: put(core->fd, segments, n * sizeof(*segments), sizeof(header), reterr);
}

static int put_notes(const struct core *core, struct kt_err *reterr)
{
	uint64_t at = headers_len(core);
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < core->n_vcpus; i++) {
		struct cpu_note note = cpu_note(i, &core->vcpus[i]);

		r = put(core->fd, &note, sizeof(note), at, reterr);
		at += sizeof(note);
	}
	return r ?: put(core->fd, core->info, note_len(core->info), at, reterr);
}

static int put_ranges(const struct core *core, struct kt_err *reterr)
{
	KT_FREE char *part = malloc(PART_LEN);
	uint64_t offset = first_offset(core);
	int r = part ? 0 : kt_err_oom(reterr);

	for (size_t i = 0; r == 0 && i < core->ram->n_ranges; i++) {
		r = put_range(core->ram, &core->ram->ranges[i], core->fd, offset, part, reterr);
		offset += core->ram->ranges[i].len;
	}
	return r;
}

int kt_core_write(struct kt_ram *ram, struct kt_inspect *inspect, const struct kt_registers *vcpus,
		  unsigned int n_vcpus, int fd, struct kt_err *reterr)
{
	KT_FREE struct note *info = calloc(1, sizeof(*info));
	struct core core = { ram, inspect, vcpus, n_vcpus, info, fd };

	if (!info)
		return kt_err_oom(reterr);
	return make_note(ram, inspect, info, reterr) ?: put_headers(&core, reterr)
		       ?: put_notes(&core, reterr)
		       ?: put_ranges(&core, reterr);
}
