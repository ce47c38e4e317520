/* SPDX-License-Identifier: MIT */
#include "schedulers/enlarge.h"

#include <bpf/btf.h>
#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define OBJECT_MAX ((size_t)64 << 20) /* bytes of the file */

/* The file, with room behind it, and the two sections by their headers in it. */
struct object {
	char *bytes; /* owned */
	size_t len;  /* of the file */
	GElf_Shdr section, btf;
	size_t header_at; /* offset of the header of @section */
};

/* libelf has checked the table of headers, but not what the headers say. */
static bool is_inside(const struct object *object, const GElf_Shdr *header)
{
	return header->sh_type != SHT_NOBITS && header->sh_offset <= object->len &&
	       header->sh_size <= object->len - header->sh_offset;
}

/* Finds the section @name and the BTF. */
static bool find_sections(struct object *object, Elf *elf, const char *name)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr file;
	size_t names;

	if (!elf || !gelf_getehdr(elf, &file) || gelf_getclass(elf) != ELFCLASS64 ||
	    file.e_ident[EI_DATA] != ELFDATA2LSB || elf_getshdrstrndx(elf, &names) < 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		const char *found;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header) || !is_inside(object, &header))
			continue;
		found = elf_strptr(elf, names, header.sh_name);
		if (found && !strcmp(found, ".BTF"))
			object->btf = header;
		if (!found || strcmp(found, name))
			continue;
		object->section = header;
		object->header_at = file.e_shoff + elf_ndxscn(section) * sizeof(Elf64_Shdr);
	}
	return object->section.sh_size && object->btf.sh_size &&
	       object->header_at <= object->len - sizeof(Elf64_Shdr);
}

/*
 * Writes the length of the section into its BTF. clang leaves the length at 0, and libbpf fills it
 * in; the BPF linker writes it.
 */
static void set_btf_len(const struct object *object, const char *name, uint32_t len)
{
	char *raw = object->bytes + object->btf.sh_offset;
	struct btf *btf = btf__new(raw, (uint32_t)object->btf.sh_size);
	int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_DATASEC) : -1;
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
	const char *copy = type ? btf__raw_data(btf, &(uint32_t){ 0 }) : NULL;

	if (copy && type->size)
		memcpy(raw + ((const char *)type - copy) + offsetof(struct btf_type, size), &len,
		       sizeof(len));
	btf__free(btf);
}

/* Moves the section behind the end of the file, where it has room. The old place stays unused. */
static void move_section(struct object *object, uint32_t len, size_t to)
{
	Elf64_Shdr header;

	memcpy(object->bytes + to, object->bytes + object->section.sh_offset,
	       object->section.sh_size);
	memcpy(&header, object->bytes + object->header_at, sizeof(header));
	header.sh_offset = to;
	header.sh_size = len;
	memcpy(object->bytes + object->header_at, &header, sizeof(header));
	object->len = to + len;
}

static int enlarge(struct object *object, const char *name, uint32_t len, struct kt_err *reterr)
{
	size_t to = (object->len + 63) & ~(size_t)63;
	char *grown = realloc(object->bytes, to + len);
	bool found;
	Elf *elf;

	if (!grown)
		return kt_err_oom(reterr);
	object->bytes = grown;
	memset(grown + object->len, 0, to + len - object->len);
	(void)elf_version(EV_CURRENT);
	elf = elf_memory(grown, object->len);
	found = find_sections(object, elf, name);
	(void)elf_end(elf);
	if (!found || object->section.sh_size > len)
		return kt_err_set(reterr, -EINVAL, "its section %s cannot be made %u bytes long",
				  name, len);
	set_btf_len(object, name, len);
	move_section(object, len, to);
	return 0;
}

int kt_object_enlarge(const char *path, const char *section, uint32_t len, char **ret_bytes,
		      size_t *ret_len, struct kt_err *reterr)
{
	struct object object = { .bytes = NULL };
	int r = kt_file_read(path, OBJECT_MAX, &object.bytes, &object.len);

	r = r < 0 ? kt_err_set(reterr, r, "%m") : enlarge(&object, section, len, reterr);
	if (r < 0) {
		free(object.bytes);
		return r;
	}
	*ret_bytes = object.bytes;
	*ret_len = object.len;
	return 0;
}
