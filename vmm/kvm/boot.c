/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/msr.h"
#include "vmm/mem.h"

/*
 * A vmlinux is entered by PVH (Linux: arch/x86/platform/pvh/head.S, include/xen/interface/hvm/
 * start_info.h): in 32-bit protected mode, with the address of struct hvm_start_info in ebx. A
 * bzImage, which decompresses itself and so can choose its address, is entered by the 64-bit boot
 * protocol (Documentation/arch/x86/boot.rst): in long mode with identity page tables, with the
 * address of struct boot_params in rsi.
 *
 * Both kinds find their data below 640 KiB. The initramfs lies at the end of the low RAM, the
 * kernel where its file says.
 */

#define GDT_GPA        UINT64_C(0x500)
#define START_INFO_GPA UINT64_C(0x6000)
#define MODULE_GPA     UINT64_C(0x6040)
#define MEMMAP_GPA     UINT64_C(0x7000)
#define PML4_GPA       UINT64_C(0x9000) /* then one PDPT and four page directories */
#define PARAMS_GPA     UINT64_C(0x10000)
#define CMDLINE_GPA    UINT64_C(0x20000)
#define CMDLINE_MAX    UINT64_C(0x10000)
#define LOW_END        UINT64_C(0x9fc00) /* the EBDA of a PC begins */
#define KERNEL_LEAST   UINT64_C(0x100000)

#define PAGE_LEN UINT64_C(4096)

#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define ENTRY_64_OFFSET     0x200u /* of the 64-bit entry from the protected-mode kernel on */
#define E820_RAM            1u
#define E820_RESERVED       2u
#define SETUP_HEADER_OFFSET 0x1f1u
#define BOOT_PARAMS_RSDP    0x70u /* acpi_rsdp_addr, which older headers do not name */
#define LOADER_UNKNOWN      0xff

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t n_memmap, reserved;
};

struct module {
	uint64_t address, len, cmdline, reserved;
};

struct memmap_entry {
	uint64_t address, len;
	uint32_t type, reserved;
};

#define START_INFO_MAGIC 0x336ec578u

/* ---- The memory map ---- */

#define MEMMAP_MAX (KT_KVM_SLOTS_MAX + 4)

static unsigned int make_memmap(const struct kt_kvm_ram *ram, struct memmap_entry *map)
{
	unsigned int n = 0;

	map[n++] = (struct memmap_entry){ 0, LOW_END, E820_RAM, 0 };
	map[n++] =
		(struct memmap_entry){ KT_KVM_FIRMWARE_GPA, KT_KVM_FIRMWARE_LEN, E820_RESERVED, 0 };
	for (size_t i = 0; i < ram->n; i++) {
		uint64_t from = KT_MAX(ram->slots[i].gpa, KERNEL_LEAST);
		uint64_t to = ram->slots[i].gpa + ram->slots[i].len;

		if (from < to)
			map[n++] = (struct memmap_entry){ from, to - from, E820_RAM, 0 };
	}
	map[n++] = (struct memmap_entry){ KT_KVM_MCFG_GPA, KT_KVM_MCFG_LEN, E820_RESERVED, 0 };
	return n;
}

/* ---- Files ---- */

static int read_into(const struct kt_kvm_ram *ram, int fd, uint64_t offset, uint64_t gpa,
		     uint64_t len, struct kt_err *reterr)
{
	uint8_t *to = kt_kvm_ram_at(ram, gpa, len);

	if (!to)
		return kt_err_set(reterr, -ENOSPC,
				  "%" PRIu64 " bytes at %#" PRIx64 " are not in the guest's RAM",
				  len, gpa);
	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kt_err_set(reterr, n < 0 ? -errno : -EIO, "cannot be read: %s",
					  n < 0 ? strerror(errno) : "it is too short");
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* The end of the RAM that begins at 0. */
static uint64_t low_ram_end(const struct kt_kvm_ram *ram)
{
	uint64_t end = 0;

	for (size_t i = 0; i < ram->n && ram->slots[i].gpa == end; i++)
		end += ram->slots[i].len;
	return end;
}

/* As one slot has it whole: with several nodes, the last one of the low RAM. */
static int load_initramfs(const struct kt_kvm_ram *ram, int fd, uint64_t kernel_end,
			  struct module *ret, struct kt_err *reterr)
{
	struct stat st;
	uint64_t len, at;

	if (fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "initramfs: %m");
	len = (uint64_t)st.st_size;
	at = low_ram_end(ram);
	if (len > at || ((at - len) & ~(PAGE_LEN - 1)) < kernel_end)
		return kt_err_set(reterr, -ENOSPC,
				  "the kernel and an initramfs of %" PRIu64
				  " bytes need more memory than the guest has",
				  len);
	at = (at - len) & ~(PAGE_LEN - 1);
	*ret = (struct module){ .address = at, .len = len };
	for (uint64_t done = 0; done < len;) { /* it may span slots */
		uint64_t part = KT_MIN(len - done, PAGE_LEN);
		int r = read_into(ram, fd, done, at + done, part, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "initramfs");
		done += part;
	}
	return 0;
}

static int put_cmdline(const struct kt_kvm_ram *ram, const char *cmdline, struct kt_err *reterr)
{
	size_t len = strlen(cmdline) + 1;
	char *to = kt_kvm_ram_at(ram, CMDLINE_GPA, CMDLINE_MAX);

	if (len > CMDLINE_MAX || !to)
		return kt_err_set(reterr, -E2BIG, "a command line of %zu bytes: at most %" PRIu64,
				  len - 1, CMDLINE_MAX - 1);
	memcpy(to, cmdline, len);
	return 0;
}

/* ---- PVH ---- */

static bool find_entry(Elf *elf, const GElf_Phdr *phdr, uint64_t *ret_entry)
{
	Elf_Data *data =
		elf_getdata_rawchunk(elf, (int64_t)phdr->p_offset, phdr->p_filesz, ELF_T_NHDR);
	size_t name_at, desc_at, next;
	GElf_Nhdr note;

	for (size_t at = 0; data && (next = gelf_getnote(data, at, &note, &name_at, &desc_at));
	     at = next) {
		const uint8_t *bytes = data->d_buf;

		if (note.n_type != XEN_ELFNOTE_PHYS32_ENTRY || note.n_namesz != 4 ||
		    memcmp(bytes + name_at, "Xen", 4) != 0 || note.n_descsz < 4)
			continue;
		*ret_entry = 0;
		memcpy(ret_entry, bytes + desc_at, KT_MIN(note.n_descsz, 8u));
		return true;
	}
	return false;
}

static int load_segments(Elf *elf, int fd, const struct kt_kvm_ram *ram, uint64_t *ret_entry,
			 uint64_t *ret_end, struct kt_err *reterr)
{
	bool found = false;
	size_t n;
	int r = 0;

	if (elf_getphdrnum(elf, &n) < 0)
		return kt_err_set(reterr, -ENOEXEC, "no program headers: %s", elf_errmsg(-1));
	for (size_t i = 0; r == 0 && i < n; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr))
			return kt_err_set(reterr, -ENOEXEC, "program header %zu: %s", i,
					  elf_errmsg(-1));
		if (phdr.p_type == PT_NOTE)
			found |= find_entry(elf, &phdr, ret_entry);
		if (phdr.p_type != PT_LOAD || !phdr.p_memsz)
			continue;
		if (phdr.p_filesz > phdr.p_memsz || phdr.p_paddr < KERNEL_LEAST ||
		    !kt_kvm_ram_at(ram, phdr.p_paddr, phdr.p_memsz))
			return kt_err_set(reterr, -ENOSPC,
					  "segment %zu, %#" PRIx64 " bytes at %#" PRIx64
					  ", is not in one piece of the guest's RAM",
					  i, (uint64_t)phdr.p_memsz, (uint64_t)phdr.p_paddr);
		r = read_into(ram, fd, phdr.p_offset, phdr.p_paddr, phdr.p_filesz, reterr);
		*ret_end = KT_MAX(*ret_end, phdr.p_paddr + phdr.p_memsz);
	}
	if (r == 0 && !found)
		r = kt_err_set(reterr, -ENOEXEC, "it has no PVH entry (CONFIG_PVH)");
	return r;
}

static int load_pvh(const struct kt_kvm_boot *boot, int fd, const struct kt_kvm_ram *ram,
		    struct kt_kvm_entry *entry, struct kt_err *reterr)
{
	struct memmap_entry *map = kt_kvm_ram_at(ram, MEMMAP_GPA, MEMMAP_MAX * sizeof(*map));
	struct module *module = kt_kvm_ram_at(ram, MODULE_GPA, sizeof(*module));
	struct start_info *info = kt_kvm_ram_at(ram, START_INFO_GPA, sizeof(*info));
	uint64_t end = 0;
	Elf *elf;
	int r;

	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return kt_err_set(reterr, -ENOEXEC, "it is no ELF file: %s", elf_errmsg(-1));
	r = load_segments(elf, fd, ram, &entry->rip, &end, reterr);
	(void)elf_end(elf);
	if (r == 0)
		r = load_initramfs(ram, boot->initramfs_fd, end, module, reterr);
	if (r < 0)
		return r;
	*info = (struct start_info){
		.magic = START_INFO_MAGIC,
		.version = 1,
		.n_modules = 1,
		.modules = MODULE_GPA,
		.cmdline = CMDLINE_GPA,
		.rsdp = boot->rsdp,
		.memmap = MEMMAP_GPA,
		.n_memmap = make_memmap(ram, map),
	};
	entry->rbx = START_INFO_GPA;
	return 0;
}

/* ---- The 64-bit boot protocol ---- */

static int read_header(int fd, struct setup_header *ret, struct kt_err *reterr)
{
	if (pread(fd, ret, sizeof(*ret), SETUP_HEADER_OFFSET) != (ssize_t)sizeof(*ret))
		return kt_err_set(reterr, -ENOEXEC, "it is too short for a bzImage");
	if (ret->header != 0x53726448 || ret->version < 0x020c || !(ret->loadflags & LOADED_HIGH) ||
	    !(ret->xloadflags & XLF_KERNEL_64))
		return kt_err_set(reterr, -ENOEXEC,
				  "it is neither a vmlinux nor a bzImage of a 64-bit kernel");
	return 0;
}

static void put_e820(struct boot_params *params, const struct kt_kvm_ram *ram)
{
	struct memmap_entry map[MEMMAP_MAX];
	unsigned int n = KT_MIN(make_memmap(ram, map), (unsigned int)E820_MAX_ENTRIES_ZEROPAGE);

	for (unsigned int i = 0; i < n; i++)
		params->e820_table[i] = (struct boot_e820_entry){
			.addr = map[i].address,
			.size = map[i].len,
			.type = map[i].type,
		};
	params->e820_entries = (uint8_t)n;
}

static int load_bzimage(const struct kt_kvm_boot *boot, int fd, const struct kt_kvm_ram *ram,
			struct kt_kvm_entry *entry, struct kt_err *reterr)
{
	struct boot_params *params = kt_kvm_ram_at(ram, PARAMS_GPA, sizeof(*params));
	struct setup_header header;
	struct module initramfs;
	uint64_t at, setup_len;
	struct stat st;
	int r = read_header(fd, &header, reterr);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "%m");
	setup_len = ((header.setup_sects ?: 4u) + 1u) * UINT64_C(512);
	at = header.pref_address;
	if (setup_len >= (uint64_t)st.st_size || at < KERNEL_LEAST)
		return kt_err_set(reterr, -ENOEXEC, "its setup header is damaged");
	/* The kernel decompresses itself to this address, or another; it needs init_size. */
	if (!kt_kvm_ram_at(ram, at, header.init_size))
		return kt_err_set(reterr, -ENOSPC,
				  "it needs %u bytes at %#" PRIx64 ", which the guest has not",
				  header.init_size, at);
	r = read_into(ram, fd, setup_len, at, (uint64_t)st.st_size - setup_len, reterr)
		    ?: load_initramfs(ram, boot->initramfs_fd, at + header.init_size, &initramfs,
				      reterr);
	if (r < 0)
		return r;
	memset(params, 0, sizeof(*params));
	params->hdr = header;
	params->hdr.type_of_loader = LOADER_UNKNOWN;
	params->hdr.cmd_line_ptr = CMDLINE_GPA;
	params->hdr.ramdisk_image = (uint32_t)initramfs.address;
	params->hdr.ramdisk_size = (uint32_t)initramfs.len;
	memcpy((uint8_t *)params + BOOT_PARAMS_RSDP, &boot->rsdp, sizeof(boot->rsdp));
	put_e820(params, ram);
	*entry = (struct kt_kvm_entry){
		.is_64bit = true,
		.rip = at + ENTRY_64_OFFSET,
		.rsi = PARAMS_GPA,
	};
	return 0;
}

int kt_kvm_boot_load(const struct kt_kvm_boot *boot, const struct kt_kvm_ram *ram,
		     struct kt_kvm_entry *ret_entry, struct kt_err *reterr)
{
	KT_CLOSE int fd = open(boot->kernel, O_RDONLY | O_CLOEXEC);
	char magic[SELFMAG];
	int r;

	if (fd < 0)
		return kt_err_set(reterr, -errno, "kernel '%s': %m", boot->kernel);
	if (!kt_kvm_ram_at(ram, 0, KERNEL_LEAST))
		return kt_err_set(reterr, -ENOSPC, "the guest has less than 1 MiB of RAM");
	r = put_cmdline(ram, boot->cmdline, reterr);
	if (r < 0)
		return r;
	*ret_entry = (struct kt_kvm_entry){ 0 };
	if (pread(fd, magic, sizeof(magic), 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG))
		r = load_pvh(boot, fd, ram, ret_entry, reterr);
	else
		r = load_bzimage(boot, fd, ram, ret_entry, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "kernel '%s'", boot->kernel) : 0;
}

/* ---- Registers ---- */

#define CR0_PE   0x1u
#define CR0_ET   0x10u
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define PAGE_RW  0x3u  /* present, writable */
#define PAGE_2M  0x83u /* and large */

static struct kvm_segment segment(unsigned int number, uint8_t type, bool is_64bit)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = (uint16_t)(number << 3),
		.type = type,
		.present = 1,
		.db = !is_64bit,
		.s = 1,
		.l = is_64bit,
		.g = 1,
	};
}

/* What the selectors name, should the kernel load one before it has a table of its own. */
static void put_gdt(const struct kt_kvm_ram *ram, bool is_64bit)
{
	const uint64_t gdt[] = {
		0,
		0, /* the protocol wants the code at 0x10 and data at 0x18 */
		is_64bit ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff),
		UINT64_C(0x00cf93000000ffff),
		UINT64_C(0x00008b0000000067), /* the task state segment that PVH asks for */
	};

	memcpy(kt_kvm_ram_at(ram, GDT_GPA, sizeof(gdt)), gdt, sizeof(gdt));
}

/* Maps the first 4 GiB to themselves, by pages of 2 MiB. */
static void put_page_tables(const struct kt_kvm_ram *ram)
{
	uint64_t *tables = kt_kvm_ram_at(ram, PML4_GPA, 6 * PAGE_LEN);
	uint64_t *pdpt = tables + 512, *directories = tables + 1024;

	memset(tables, 0, 6 * PAGE_LEN);
	tables[0] = (PML4_GPA + PAGE_LEN) | PAGE_RW;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (PML4_GPA + (2 + i) * PAGE_LEN) | PAGE_RW;
	for (uint64_t i = 0; i < 2048; i++)
		directories[i] = i << 21 | PAGE_2M;
}

static void set_segments(struct kvm_sregs *sregs, bool is_64bit)
{
	sregs->cs = segment(2, 11, is_64bit);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment(3, 3, false);
	sregs->tr =
		(struct kvm_segment){ .limit = 0x67, .selector = 4 << 3, .type = 11, .present = 1 };
	sregs->gdt = (struct kvm_dtable){ .base = GDT_GPA, .limit = 5 * 8 - 1 };
	sregs->cr0 = CR0_PE | CR0_ET;
	if (!is_64bit)
		return;
	sregs->cr0 |= CR0_PG;
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

static int set_registers(int vcpu_fd, const struct kt_kvm_entry *entry,
			 const struct kt_kvm_ram *ram, struct kt_err *reterr)
{
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	put_gdt(ram, entry->is_64bit);
	if (entry->is_64bit)
		put_page_tables(ram);
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return kt_err_set(reterr, -errno, "KVM_GET_SREGS: %m");
	set_segments(&sregs, entry->is_64bit);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_SREGS: %m");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_REGS: %m");
	return 0;
}

/* ---- Local APICs ---- */

#define LAPIC_LVT0      0x350u
#define LAPIC_LVT1      0x360u
#define LVT_EXTINT      0x700u
#define LVT_NMI         0x400u
#define MISC_STRINGS    0x1u   /* fast string instructions */
#define MTRR_WRITE_BACK 0x806u /* on: memory is cached, unless a page says otherwise */

/* As firmware leaves it: LINT0 is the PIC's interrupt, LINT1 the NMI. */
static int set_lapic(int vcpu_fd, struct kt_err *reterr)
{
	const uint32_t extint = LVT_EXTINT, nmi = LVT_NMI;
	struct kvm_lapic_state lapic;

	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &lapic) < 0)
		return kt_err_set(reterr, -errno, "KVM_GET_LAPIC: %m");
	memcpy(lapic.regs + LAPIC_LVT0, &extint, sizeof(extint));
	memcpy(lapic.regs + LAPIC_LVT1, &nmi, sizeof(nmi));
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &lapic) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_LAPIC: %m");
	return 0;
}

/* A processor that lacks one of the two MSRs keeps its default. */
int kt_kvm_boot_set_vcpus(const struct kt_kvm_crew *crew, const struct kt_kvm_entry *entry,
			  const struct kt_kvm_ram *ram, struct kt_err *reterr)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < crew->n; i++) {
		r = set_lapic(crew->at[i].fd, reterr);
		(void)kt_kvm_msr_set(crew->at[i].fd, KT_KVM_MSR_MISC_ENABLE, MISC_STRINGS);
		(void)kt_kvm_msr_set(crew->at[i].fd, KT_KVM_MSR_MTRR_DEF_TYPE, MTRR_WRITE_BACK);
	}
	return r ?: set_registers(crew->at[0].fd, entry, ram, reterr);
}
