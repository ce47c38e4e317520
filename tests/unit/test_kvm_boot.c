/* SPDX-License-Identifier: MIT */
/* What a KVM guest finds in its RAM when it begins, by both boot protocols. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/kvm/boot.h"
#include "vmm/kvm/map.h"

UNIT_SUITE(kvm_boot);

#define RAM_MIB 32u
#define RAM_LEN ((size_t)RAM_MIB << 20)
#define KERNEL  UINT64_C(0x1000000)

struct fixture {
	uint8_t *host;
	struct kt_kvm_ram ram;
	struct kt_kvm_boot boot;
	struct kt_kvm_entry entry;
	struct kt_err err;
	char path[32];
	int kernel_fd;
};

static void begin(struct fixture *f, const void *kernel, size_t len)
{
	*f = (struct fixture){ .boot = { .cmdline = "one two", .rsdp = KT_KVM_ACPI_GPA } };
	f->host = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert(zero(int, kt_kvm_ram_init(&f->ram, f->host, RAM_MIB, 1)));
	f->kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	f->boot.initramfs_fd = memfd_create("initramfs", MFD_CLOEXEC);
	cr_assert(eq(sz, (size_t)write(f->kernel_fd, kernel, len), len));
	cr_assert(eq(sz, (size_t)write(f->boot.initramfs_fd, "archive", 7), 7));
	(void)snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->kernel_fd);
	f->boot.kernel = f->path;
}

static int load(struct fixture *f)
{
	return kt_kvm_boot_load(&f->boot, &f->ram, &f->entry, &f->err);
}

static void end(struct fixture *f)
{
	(void)munmap(f->host, RAM_LEN);
	(void)close(f->kernel_fd);
	(void)close(f->boot.initramfs_fd);
}

struct vmlinux {
	Elf64_Ehdr head;
	Elf64_Phdr load, note;
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry;
	} pvh;
};

static struct vmlinux make_vmlinux(void)
{
	struct vmlinux kernel = {
		.head = { .e_ident = ELFMAG "\2\1\1",
			  .e_type = ET_EXEC,
			  .e_machine = EM_X86_64,
			  .e_version = 1,
			  .e_phoff = offsetof(struct vmlinux, load),
			  .e_ehsize = sizeof(kernel.head),
			  .e_phentsize = sizeof(kernel.load),
			  .e_phnum = 2 },
		.load = { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct vmlinux, pvh),
			  .p_paddr = KERNEL,
			  .p_filesz = sizeof(kernel.pvh),
			  .p_memsz = 4096 },
		.note = { .p_type = PT_NOTE,
			  .p_offset = offsetof(struct vmlinux, pvh),
			  .p_filesz = sizeof(kernel.pvh),
			  .p_memsz = sizeof(kernel.pvh) },
		.pvh = { { 4, 4, 18 }, "Xen", (uint32_t)KERNEL + 0x40 },
	};

	return kernel;
}

static uint64_t word(const struct fixture *f, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, f->host + gpa, sizeof(value));
	return value;
}

/* Offsets of struct hvm_start_info: magic 0, modules 16, cmdline 24, rsdp 32, memory map 40, 48. */
Test(kvm_boot, a_vmlinux_is_entered_by_pvh)
{
	struct vmlinux kernel = make_vmlinux();
	struct fixture f;
	uint64_t info, module, map;

	begin(&f, &kernel, sizeof(kernel));
	cr_assert(zero(int, load(&f)), "%s", f.err.text);
	cr_assert(zero(int, f.entry.is_64bit));
	cr_assert(eq(u64, f.entry.rip, KERNEL + 0x40));
	cr_assert(zero(int, memcmp(f.host + KERNEL, &kernel.pvh, sizeof(kernel.pvh))));
	info = f.entry.rbx;
	cr_assert(eq(u64, word(&f, info), UINT64_C(1) << 32 | 0x336ec578));
	cr_assert(eq(str, (char *)f.host + word(&f, info + 24), "one two"));
	cr_assert(eq(u64, word(&f, info + 32), KT_KVM_ACPI_GPA));
	module = word(&f, info + 16);
	cr_assert(eq(u64, word(&f, module + 8), 7));
	cr_assert(zero(int, memcmp(f.host + word(&f, module), "archive", 7)));
	map = word(&f, info + 40);
	cr_assert(eq(u64, word(&f, info + 48), 4));
	cr_assert(eq(u64, word(&f, map + 24), KT_KVM_ACPI_GPA)); /* the second entry, */
	cr_assert(eq(u64, word(&f, map + 24 + 16), 2));          /* which is reserved */
	cr_assert(eq(u64, word(&f, map + 48) + word(&f, map + 56), RAM_LEN));
	end(&f);
}

Test(kvm_boot, a_vmlinux_that_does_not_fit_is_refused)
{
	struct vmlinux kernel = make_vmlinux();
	struct fixture f;

	kernel.load.p_memsz = RAM_LEN;
	begin(&f, &kernel, sizeof(kernel));
	cr_assert(eq(int, load(&f), -ENOSPC));
	cr_assert(strstr(f.err.text, "segment 0") != NULL, "%s", f.err.text);
	end(&f);
	kernel = make_vmlinux();
	kernel.load.p_paddr = UINT64_MAX - 100;
	begin(&f, &kernel, sizeof(kernel));
	cr_assert(eq(int, load(&f), -ENOSPC));
	end(&f);
	kernel = make_vmlinux();
	kernel.note.p_type = PT_NULL;
	begin(&f, &kernel, sizeof(kernel));
	cr_assert(eq(int, load(&f), -ENOEXEC));
	cr_assert(strstr(f.err.text, "CONFIG_PVH") != NULL, "%s", f.err.text);
	end(&f);
}

/* A setup of one sector behind the boot sector, and the protected-mode kernel. */
struct bzimage {
	uint8_t setup[1024];
	char kernel[16];
};

static struct bzimage make_bzimage(void)
{
	struct bzimage image = { .kernel = "decompresses" };
	struct setup_header header = {
		.setup_sects = 1,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.pref_address = KERNEL,
		.init_size = 0x10000,
	};

	memcpy(image.setup + 0x1f1, &header, sizeof(header));
	return image;
}

Test(kvm_boot, a_bzimage_is_entered_by_the_64_bit_protocol)
{
	struct bzimage image = make_bzimage();
	const struct boot_params *params;
	struct fixture f;

	begin(&f, &image, sizeof(image));
	cr_assert(zero(int, load(&f)), "%s", f.err.text);
	cr_assert(eq(int, f.entry.is_64bit, 1));
	cr_assert(eq(u64, f.entry.rip, KERNEL + 0x200));
	cr_assert(eq(str, (char *)f.host + KERNEL, "decompresses"));
	params = (const void *)(f.host + f.entry.rsi);
	cr_assert(eq(u32, params->hdr.header, 0x53726448));
	cr_assert(eq(str, (char *)f.host + params->hdr.cmd_line_ptr, "one two"));
	cr_assert(eq(u32, params->hdr.ramdisk_size, 7));
	cr_assert(zero(int, memcmp(f.host + params->hdr.ramdisk_image, "archive", 7)));
	cr_assert(eq(u64, params->acpi_rsdp_addr, KT_KVM_ACPI_GPA));
	cr_assert(eq(u8, params->e820_entries, 4));
	end(&f);
}

Test(kvm_boot, another_file_is_no_kernel)
{
	struct bzimage image = make_bzimage();
	struct fixture f;

	image.setup[0x202] = 0;
	begin(&f, &image, sizeof(image));
	cr_assert(eq(int, load(&f), -ENOEXEC));
	end(&f);
	begin(&f, "x", 1);
	cr_assert(eq(int, load(&f), -ENOEXEC));
	cr_assert(strstr(f.err.text, f.path) != NULL, "%s", f.err.text);
	end(&f);
}
