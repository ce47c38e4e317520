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
#include <zlib.h>
#include <zstd.h>

#include "util/cleanup.h"
#include "util/io.h"

/* Offsets in the setup header: Documentation/arch/x86/boot.rst. */
#define SETUP_SECTS    0x1f1
#define HEADER_MAGIC   0x202
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_LEN     0x250

#define IMAGE_MAX   (UINT64_C(1) << 30) /* of a bzImage */
#define VMLINUX_MAX (UINT64_C(2) << 30) /* decompressed */

#define WINDOW_LOG_MAX 31 /* kernels are compressed with --ultra: zstd's own limit is lower */

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

static int map_file(const char *path, struct mapping *ret_mapping, struct kt_err *reterr)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	if (st.st_size < HEADER_LEN || (uint64_t)st.st_size > IMAGE_MAX)
		return kt_err_set(reterr, -EFBIG, "'%s': %lld bytes cannot be a bzImage", path,
				  (long long)st.st_size);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return kt_err_set(reterr, -errno, "'%s': cannot map it: %m", path);
	*ret_mapping = (struct mapping){ data, (size_t)st.st_size };
	return 0;
}

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
	/* The build appends the size of the uncompressed image to every payload but gzip's. */
	*ret_payload = (struct mapping){ image->data + begin, len };
	return 0;
}

static int write_out(int fd, const void *data, size_t len, uint64_t *total)
{
	*total += len;
	return *total > VMLINUX_MAX ? -EFBIG : kt_write_full(fd, data, len);
}

static int extract_zstd(const struct mapping *payload, int out)
{
	size_t frame = ZSTD_findFrameCompressedSize(payload->data, payload->len);
	ZSTD_inBuffer in = { payload->data, frame, 0 };
	KT_FREE char *chunk = malloc(ZSTD_DStreamOutSize());
	ZSTD_DStream *stream;
	uint64_t total = 0;
	size_t left = 1;
	int r = 0;

	if (ZSTD_isError(frame))
		return -EBADMSG;
	stream = ZSTD_createDStream();
	if (!stream || !chunk) {
		(void)ZSTD_freeDStream(stream);
		return -ENOMEM;
	}
	(void)ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	while (r == 0 && left) {
		ZSTD_outBuffer piece = { chunk, ZSTD_DStreamOutSize(), 0 };

		left = ZSTD_decompressStream(stream, &piece, &in);
		if (ZSTD_isError(left) || (!piece.pos && in.pos == in.size && left))
			r = -EBADMSG;
		else
			r = write_out(out, chunk, piece.pos, &total);
	}
	(void)ZSTD_freeDStream(stream);
	return r;
}

static int extract_gzip(const struct mapping *payload, int out)
{
	z_stream stream = {
		.next_in = (unsigned char *)payload->data,
		.avail_in = (uInt)payload->len,
	};
	unsigned char chunk[65536];
	uint64_t total = 0;
	int status = Z_OK, r = 0;

	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	while (r == 0 && status == Z_OK) {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		status = inflate(&stream, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END)
			r = -EBADMSG;
		else
			r = write_out(out, chunk, sizeof(chunk) - stream.avail_out, &total);
	}
	(void)inflateEnd(&stream);
	return r;
}

static const char *other_compression(const unsigned char *head)
{
	static const struct {
		const char *magic;
		const char *name;
		size_t len;
	} known[] = {
		{ "\xfd"
		  "7zXZ",
		  "xz", 5 },
		{ "BZh", "bzip2", 3 },
		{ "\x5d\x00\x00", "lzma", 3 },
		{ "\x89LZO", "lzo", 4 },
		{ "\x02\x21\x4c\x18", "lz4", 4 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(known); i++) {
		if (!memcmp(head, known[i].magic, known[i].len))
			return known[i].name;
	}
	return "an unknown method";
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
		return kt_err_set(reterr, r, "'%s': its payload lies outside the file", bzimage);
	out = open(vmlinux, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return kt_err_set(reterr, -errno, "cannot create '%s': %m", vmlinux);
	if (!memcmp(payload.data, "\x28\xb5\x2f\xfd", 4))
		r = extract_zstd(&payload, out);
	else if (!memcmp(payload.data, "\x1f\x8b", 2))
		r = extract_gzip(&payload, out);
	else
		return kt_err_set(
			reterr, -ENOTSUP,
			"'%s' is compressed with %s; only zstd and gzip can be read: give the "
			"vmlinux instead",
			bzimage, other_compression(payload.data));
	if (r < 0)
		return kt_err_set(reterr, r, "cannot extract the vmlinux of '%s': %m", bzimage);
	return 0;
}

void kt_kernel_facts_deinit(struct kt_kernel_facts *facts)
{
	for (size_t i = 0; i < facts->n_broken_kfuncs; i++)
		free(facts->broken_kfuncs[i]);
	free(facts->broken_kfuncs);
	*facts = KT_KERNEL_FACTS_NULL;
}

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

/* "Linux version RELEASE (builder@host) ..." stands once, in .rodata. */
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

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

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
	/* BTF lists the functions that are built in, modules' are elsewhere. */
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
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
					    ELF_T_NHDR);
		while (data && (at = gelf_getnote(data, at, &note, &name_at, &desc_at)))
			read_note(&note, (const char *)data->d_buf + name_at,
				  (const unsigned char *)data->d_buf + desc_at, facts);
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
		return kt_err_set(reterr, -ENOEXEC, "it is no Linux kernel: no version in .rodata");
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
		return kt_err_set(reterr, -errno, "'%s': %m", vmlinux);
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	r = read_elf(elf, btf_copy, &facts, reterr);
	(void)elf_end(elf);
	if (r < 0) {
		kt_kernel_facts_deinit(&facts);
		return kt_err_prefix(reterr, r, "'%s'", vmlinux);
	}
	*ret_facts = facts;
	return 0;
}
