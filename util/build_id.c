/* SPDX-License-Identifier: MIT */
#include "util/build_id.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX 32u /* bytes */

/* The notes are those of the linker, in memory that is mapped from the program's own file. */
static void take_notes(const uint8_t *at, size_t len, char *text)
{
	while (len >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		size_t name = (note->n_namesz + 3u) & ~3u, id = (note->n_descsz + 3u) & ~3u;
		const uint8_t *bytes = at + sizeof(*note) + name;

		if (sizeof(*note) + name + id > len)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    !memcmp(at + sizeof(*note), "GNU", 4) && note->n_descsz <= ID_MAX) {
			for (size_t i = 0; i < note->n_descsz; i++)
				(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
			return;
		}
		at += sizeof(*note) + name + id;
		len -= sizeof(*note) + name + id;
	}
}

/* The first object is the program; the others are its libraries. */
static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE)
			take_notes((const uint8_t *)(info->dlpi_addr + header->p_vaddr),
				   header->p_memsz, data);
	}
	return 1;
}

const char *kt_build_id(void)
{
	static char text[2 * ID_MAX + 1];

	if (!*text)
		(void)dl_iterate_phdr(on_object, text);
	return text;
}
