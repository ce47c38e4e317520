/* SPDX-License-Identifier: MIT */
/* Files that hold a guest's RAM: raw ones and ELF cores. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/view.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"

UNIT_SUITE(inspect_dump);

static const struct tiny_options KERNELS[] = {
	{ .five_levels = false },
	{ .five_levels = true, .kaslr = 0x2da00000 },
	{ .old_kallsyms = true },
	{ .old_kallsyms = true, .five_levels = true, .kaslr = 0x1200000 },
};

/* ---- Dumps ---- */

static char *new_file(const void *head, size_t head_len, const void *bytes, size_t len)
{
	char template[] = "/tmp/ktest-inspect-XXXXXX";
	KT_CLOSE int fd = mkstemp(template);

	cr_assert(ge(int, fd, 0));
	cr_assert(zero(int, kt_write_full(fd, head, head_len)));
	cr_assert(zero(int, kt_write_full(fd, bytes, len)));
	return strdup(template);
}

/* Reads a value by the file alone; writes one, if it may. */
static void check_file(const char *path, bool writable)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	struct kt_ram *ram;
	uint64_t value = 0;

	cr_assert(zero(int, kt_ram_open_file(path, writable, &ram, &err)), "%s", err.text);
	cr_assert(zero(int, kt_inspect_open(ram, NULL, &inspect, &err)), "%s", err.text);
	cr_assert(zero(int, kt_inspect_resolve(inspect, "task(1).table[1][0]", &place, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kt_inspect_load(inspect, &place, &value, &err)), "%s", err.text);
	cr_assert(eq(u64, value, 30));
	cr_assert(eq(int, kt_inspect_store(inspect, &place, 30, &err), writable ? 0 : -EROFS));
	cr_assert(eq(ptr, kt_inspect_pointer(inspect, place.kva, 4), NULL));
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
}

Test(inspect_dump, a_raw_file_is_read_and_written)
{
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;

	tiny_kernel_init(&kernel, &KERNELS[1]);
	path = new_file("", 0, kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	check_file(path, true);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

struct core {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
};

/* A core of two segments that overlap, the image's first, as in /proc/vmcore. */
static void make_core(struct core *core)
{
	*core = (struct core){ .header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
							ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
					   .e_type = ET_CORE,
					   .e_machine = EM_X86_64,
					   .e_version = EV_CURRENT,
					   .e_phoff = sizeof(Elf64_Ehdr),
					   .e_ehsize = sizeof(Elf64_Ehdr),
					   .e_phentsize = sizeof(Elf64_Phdr),
					   .e_phnum = 3 } };
	core->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
					  .p_offset = sizeof(*core) + TINY_IMAGE,
					  .p_paddr = TINY_IMAGE,
					  .p_filesz = TINY_RAM_LEN - TINY_IMAGE };
	core->segments[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
					  .p_offset = sizeof(*core),
					  .p_filesz = TINY_IMAGE + 0x80000 };
}

Test(inspect_dump, a_core_is_read)
{
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;
	struct kt_ram *ram;
	struct core core;
	char byte;

	make_core(&core);
	tiny_kernel_init(&kernel, NULL);
	kernel.bytes[TINY_RAM_LEN - 1] = 'z';
	path = new_file(&core, sizeof(core), kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	cr_assert(zero(int, kt_ram_open_file(path, false, &ram, &err)), "%s", err.text);
	cr_assert(eq(sz, ram->n_ranges, 2));
	cr_assert(eq(u64, ram->ranges[1].gpa, TINY_IMAGE + 0x80000));
	cr_assert(kt_ram_has(ram, 0, TINY_RAM_LEN));
	cr_assert(not(kt_ram_has(ram, 1, TINY_RAM_LEN)));
	cr_assert(zero(int, kt_ram_read(ram, TINY_RAM_LEN - 1, &byte, 1, &err)), "%s", err.text);
	cr_assert(eq(chr, byte, 'z'));
	ram = kt_ram_close(ram);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_dump, vmcoreinfo_of_a_note_needs_no_search)
{
	struct {
		struct core core;
		Elf64_Nhdr note;
		char name[12];
		char text[4096];
	} file = { .note = { 11, 4096, 0 }, .name = "VMCOREINFO" };
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;

	make_core(&file.core);
	tiny_kernel_init(&kernel, NULL);
	memcpy(file.text, kernel.bytes + kernel.info, sizeof(file.text));
	memset(kernel.bytes + kernel.info, 0, 4096);
	for (size_t i = 0; i < 2; i++)
		file.core.segments[i].p_offset += sizeof(file) - sizeof(file.core);
	file.core.segments[2] = (Elf64_Phdr){ .p_type = PT_NOTE,
					      .p_offset = sizeof(file.core),
					      .p_filesz = sizeof(file) - sizeof(file.core),
					      .p_align = 4 };
	path = new_file(&file, sizeof(file), kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_dump, files_of_other_formats_are_named)
{
	static const struct {
		const char *magic;
		int code;
		const char *text;
	} FILES[] = {
		{ "KDUMP   ", -ENOTSUP, "makedumpfile" },
		{ "\177ELFxxxx", -EPROTO, "malformed" },
		{ "hello, world", -ENOTSUP, "neither an ELF core" },
	};
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram *ram;

	for (size_t i = 0; i < KT_ARRAY_LEN(FILES); i++) {
		KT_FREE char *path = new_file(FILES[i].magic, strlen(FILES[i].magic), "12345", 5);
		int r = kt_ram_open_file(path, false, &ram, &err);

		cr_assert(eq(int, r, FILES[i].code), "%s", err.text);
		cr_assert(strstr(err.text, FILES[i].text) != NULL, "%s", err.text);
		cr_assert(strstr(err.text, path) != NULL, "%s", err.text);
		(void)unlink(path);
	}
	cr_assert(eq(int, kt_ram_open_file("/nowhere", false, &ram, &err), -ENOENT));
	cr_assert(eq(int, kt_ram_open_file("/tmp", false, &ram, &err), -EINVAL));
}
