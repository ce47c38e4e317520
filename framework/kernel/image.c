/* SPDX-License-Identifier: MIT */
#include "framework/kernel/image.h"

#include <bpf/btf.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/kernel/decompress.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * Two readers. The first takes a bzImage apart (Documentation/arch/x86/boot.rst): setup sectors,
 * then the protected-mode code, in which the compressed vmlinux is at the payload offset. The
 * second reads the facts of a vmlinux from its notes, from the version banner in .rodata, and from
 * BTF, so that a kernel is judged without being booted and without its .config.
 *
 * The files are the user's and can be anything: offsets and lengths are checked against the file's
 * size before they are used. Errors do not name the file: it can be a copy, so the caller does.
 */

/* Offsets in the setup header: Documentation/arch/x86/boot.rst. */
#define SETUP_SECTS    0x1f1
#define HEADER_MAGIC   0x202
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_LEN     0x250

#define IMAGE_MAX (UINT64_C(1) << 30) /* of a bzImage */

#define XEN_ELFNOTE_PHYS32_ENTRY 18

int kt_kernel_detect(const char *path, enum kt_kernel_format *ret_format, struct kt_err *reterr)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char head[HEADER_LEN] = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "kernel '%s': %m", path);
	if (!S_ISREG(st.st_mode))
		return kt_err_set(reterr, -ENOEXEC, "kernel '%s' is not a regular file", path);
	if (pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head)) {
		if (!memcmp(head, ELFMAG, SELFMAG)) {
			*ret_format = KT_KERNEL_VMLINUX;
			return 0;
		}
		if (!memcmp(head + HEADER_MAGIC, "HdrS", 4)) {
			*ret_format = KT_KERNEL_BZIMAGE;
			return 0;
		}
	}
	return kt_err_set(reterr, -ENOEXEC,
			  "'%s' is not a kernel: neither a bzImage nor a vmlinux (ELF)", path);
}

/* A read-only mapping of a whole file. */
struct mapping {
	const unsigned char *data;
	size_t len;
};

static void unmap(struct mapping *mapping)
{
	if (mapping->data)
		(void)munmap((void *)mapping->data, mapping->len);
}

/* Maps @path read-only. The file is long enough for the setup header. */
static int map_file(const char *path, struct mapping *ret_mapping, struct kt_err *reterr)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "%m");
	if (st.st_size < HEADER_LEN || (uint64_t)st.st_size > IMAGE_MAX)
		return kt_err_set(reterr, -EFBIG, "%lld bytes cannot be a bzImage",
				  (long long)st.st_size);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return kt_err_set(reterr, -errno, "cannot map it: %m");
	*ret_mapping = (struct mapping){ data, (size_t)st.st_size };
	return 0;
}

/*
 * Where the compressed vmlinux is. 0 setup sectors mean 4, by the boot protocol; the boot sector
 * comes on top of them.
 */
static int find_payload(const struct mapping *image, struct mapping *ret_payload)
{
	unsigned int sectors = image->data[SETUP_SECTS] ?: 4;
	uint32_t offset, len;
	uint64_t begin;

	memcpy(&offset, image->data + PAYLOAD_OFFSET, 4);
	memcpy(&len, image->data + PAYLOAD_LENGTH, 4);
	begin = (uint64_t)(sectors + 1) * 512 + offset;
	if (len < 8 || begin + len > image->len)
		return -EBADMSG;
	*ret_payload = (struct mapping){ image->data + begin, len };
	return 0;
}

int kt_kernel_extract(const char *bzimage, const char *vmlinux, struct kt_err *reterr)
{
	KT_CLEANUP(unmap) struct mapping image = { 0 };
	KT_CLOSE int out = -1;
	struct mapping payload;
	int r;

	r = map_file(bzimage, &image, reterr);
	if (r < 0)
		return r;
	r = find_payload(&image, &payload);
	if (r < 0)
		return kt_err_set(reterr, r, "its payload lies outside the file");
	out = open(vmlinux, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return kt_err_set(reterr, -errno, "cannot create its vmlinux: %m");
	return kt_decompress(payload.data, payload.len, out, reterr);
}

void kt_kernel_facts_deinit(struct kt_kernel_facts *facts)
{
	for (size_t i = 0; i < facts->n_broken_kfuncs; i++)
		free(facts->broken_kfuncs[i]);
	free(facts->broken_kfuncs);
	*facts = KT_KERNEL_FACTS_NULL;
}

/* Reads the build-id, and the Xen note with the PVH entry point. n_namesz counts the NUL. */
static void read_note(const GElf_Nhdr *note, const char *name, const unsigned char *desc,
		      struct kt_kernel_facts *facts)
{
	if (note->n_namesz == 4 && !memcmp(name, "GNU", 4) && note->n_type == NT_GNU_BUILD_ID &&
	    note->n_descsz <= 20) {
		for (unsigned int i = 0; i < note->n_descsz; i++)
			(void)sprintf(facts->build_id + 2 * i, "%02x", desc[i]);
	}
	if (note->n_namesz == 4 && !memcmp(name, "Xen", 4) &&
	    note->n_type == XEN_ELFNOTE_PHYS32_ENTRY)
		facts->pvh = true;
}

/*
 * The release is in the banner "Linux version RELEASE (BUILDER@HOST) ...", which is once in
 * .rodata.
 */
static void read_banner(Elf_Data *data, struct kt_kernel_facts *facts)
{
	static const char banner[] = "Linux version ";
	const char *at = memmem(data->d_buf, data->d_size, banner, sizeof(banner) - 1);
	const char *end = (const char *)data->d_buf + data->d_size;
	size_t len = 0;

	if (!at || facts->release[0])
		return;
	at += sizeof(banner) - 1;
	while (at + len < end && at[len] > ' ' && at[len] <= '~' &&
	       len < sizeof(facts->release) - 1)
		len++;
	memcpy(facts->release, at, len);
}

static int copy_btf(const Elf_Data *data, const char *path, struct kt_err *reterr)
{
	return path ? kt_file_publish(path, data->d_buf, data->d_size, reterr) : 0;
}

/* Whether a function is built in: the BTF of the vmlinux does not list those of modules. */
static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/*
 * Whether @func is a scx_bpf_* function with the parameter "aux" under its own name; see
 * kt_kernel_facts_read().
 */
static bool is_broken_kfunc(const struct btf *btf, const struct btf_type *func)
{
	const char *name = btf__name_by_offset(btf, func->name_off);
	const struct btf_type *proto = btf__type_by_id(btf, func->type);
	size_t len = name ? strlen(name) : 0;
	const char *last;

	if (!name || strncmp(name, "scx_bpf", 7) || !proto || !btf_is_func_proto(proto) ||
	    !btf_vlen(proto) || (len > 5 && !strcmp(name + len - 5, "_impl")))
		return false;
	last = btf__name_by_offset(btf, btf_params(proto)[btf_vlen(proto) - 1].name_off);
	return last && !strcmp(last, "aux");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_broken_kfuncs(const struct btf *btf, struct kt_kernel_facts *facts)
{
	for (unsigned int id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		char **grown;

		if (!btf_is_func(type) || !is_broken_kfunc(btf, type))
			continue;
		grown = reallocarray(facts->broken_kfuncs, facts->n_broken_kfuncs + 2,
				     sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		facts->broken_kfuncs = grown;
		grown[facts->n_broken_kfuncs] = strdup(btf__name_by_offset(btf, type->name_off));
		if (!grown[facts->n_broken_kfuncs])
			return -ENOMEM;
		grown[++facts->n_broken_kfuncs] = NULL;
	}
	if (facts->n_broken_kfuncs)
		qsort(facts->broken_kfuncs, facts->n_broken_kfuncs, sizeof(char *), compare_names);
	return 0;
}

/* libbpf accepts a header of any length; types are misaligned after one of odd length. */
static bool is_aligned(const Elf_Data *data)
{
	struct btf_header header;

	if (data->d_size < sizeof(header))
		return false;
	memcpy(&header, data->d_buf, sizeof(header));
	return header.hdr_len % sizeof(uint32_t) == 0;
}

static int read_btf(const Elf_Data *data, struct kt_kernel_facts *facts, struct kt_err *reterr)
{
	struct btf *btf = NULL;
	int r;

	errno = EINVAL;
	if (is_aligned(data))
		btf = btf__new(data->d_buf, (uint32_t)data->d_size);
	if (!btf)
		return kt_err_set(reterr, -errno, "its .BTF is malformed: %m");
	facts->btf = true;
	facts->sched_ext = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT) > 0;
	facts->sched_ext_cid =
		btf__find_by_name_kind(btf, "sched_ext_ops_cid", BTF_KIND_STRUCT) > 0;
	/* A driver is built in if its probe function is. */
	facts->virtio_console = has_function(btf, "virtcons_probe");
	facts->virtio_pci = has_function(btf, "virtio_pci_probe");
	r = find_broken_kfuncs(btf, facts);
	btf__free(btf);
	return r < 0 ? kt_err_oom(reterr) : 0;
}

static int read_section(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, const char *btf_copy,
			struct kt_kernel_facts *facts, struct kt_err *reterr)
{
	size_t names;
	const char *name;
	Elf_Data *data;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return 0;
	name = elf_strptr(elf, names, header->sh_name);
	if (!name || header->sh_type == SHT_NOBITS)
		return 0;
	if (!strcmp(name, ".rodata")) {
		data = elf_rawdata(section, NULL);
		if (data && data->d_buf)
			read_banner(data, facts);
	} else if (!strcmp(name, ".BTF")) {
		data = elf_rawdata(section, NULL);
		if (data && data->d_buf)
			return copy_btf(data, btf_copy, reterr) ?: read_btf(data, facts, reterr);
	}
	return 0;
}

static void read_notes(Elf *elf, struct kt_kernel_facts *facts)
{
	size_t n_headers = 0;

	(void)elf_getphdrnum(elf, &n_headers);
	for (size_t i = 0; i < n_headers; i++) {
		size_t at = 0, name_at, desc_at;
		GElf_Phdr header;
		GElf_Nhdr note;
		Elf_Data *data;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE)
			continue;
		/* Notes are found by program headers, because a file may have no sections. */
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
					    ELF_T_NHDR);
		while (data && (at = gelf_getnote(data, at, &note, &name_at, &desc_at)))
			read_note(&note, (const char *)data->d_buf + name_at,
				  (const unsigned char *)data->d_buf + desc_at, facts);
	}
}

/*
 * CONFIG_HZ is not in a vmlinux without IKCONFIG, but its jiffies are: they begin at -300 * HZ as a
 * 32-bit number (include/linux/jiffies.h: INITIAL_JIFFIES), also in 64-bit variables. Several
 * variables have that value, and all with the same HZ; if they disagree, HZ is unknown.
 */
static unsigned int find_hz(const unsigned char *data, size_t len)
{
	static const unsigned int known[] = { 100, 250, 300, 1000 };
	unsigned int hz = 0;

	for (size_t at = 0; at + 8 <= len; at += 8) {
		uint64_t value;

		memcpy(&value, data + at, sizeof(value));
		for (size_t i = 0; i < KT_ARRAY_LEN(known); i++) {
			if (value != (uint32_t) - (300 * known[i]) || hz == known[i])
				continue;
			if (hz)
				return 0;
			hz = known[i];
		}
	}
	return hz;
}

/* Initialised variables are in the writable segment. */
static void read_segments(Elf *elf, struct kt_kernel_facts *facts)
{
	size_t n_headers = 0;

	(void)elf_getphdrnum(elf, &n_headers);
	for (size_t i = 0; i < n_headers; i++) {
		GElf_Phdr header;
		Elf_Data *data;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD)
			continue;
		facts->memory_end = KT_MAX(facts->memory_end, header.p_paddr + header.p_memsz);
		if (!(header.p_flags & PF_W) || facts->hz)
			continue;
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
					    ELF_T_BYTE);
		if (data && data->d_buf)
			facts->hz = find_hz(data->d_buf, data->d_size);
	}
}

static int read_elf(Elf *elf, const char *btf_copy, struct kt_kernel_facts *facts,
		    struct kt_err *reterr)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return kt_err_set(reterr, -ENOEXEC, "it is not an ELF file: %s", elf_errmsg(-1));
	if (header.e_machine != EM_X86_64)
		return kt_err_set(reterr, -ENOEXEC, "it is not for x86-64");
	read_notes(elf, facts);
	read_segments(elf, facts);
	/* Assumed until BTF tells otherwise. */
	facts->virtio_console = facts->virtio_pci = true;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr section_header;
		int r = 0;

		if (gelf_getshdr(section, &section_header))
			r = read_section(elf, section, &section_header, btf_copy, facts, reterr);
		if (r < 0)
			return r;
	}
	if (!facts->release[0])
		return kt_err_set(reterr, -ENOEXEC,
				  "it is not a Linux kernel: .rodata has no version");
	return 0;
}

int kt_kernel_facts_read(const char *vmlinux, const char *btf_copy,
			 struct kt_kernel_facts *ret_facts, struct kt_err *reterr)
{
	struct kt_kernel_facts facts = KT_KERNEL_FACTS_NULL;
	KT_CLOSE int fd = open(vmlinux, O_RDONLY | O_CLOEXEC);
	Elf *elf;
	int r;

	if (fd < 0)
		return kt_err_set(reterr, -errno, "%m");
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	r = read_elf(elf, btf_copy, &facts, reterr);
	(void)elf_end(elf);
	if (r < 0) {
		kt_kernel_facts_deinit(&facts);
		return r;
	}
	*ret_facts = facts;
	return 0;
}
