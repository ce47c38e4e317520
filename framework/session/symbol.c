/* SPDX-License-Identifier: MIT */
#include "framework/session/symbol.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Looks through one section; does nothing unless it is the symbol table. */
static bool describe_in(Elf *elf, Elf_Scn *section, uint64_t address, char *text, size_t room)
{
	GElf_Shdr header;
	Elf_Data *data;

	if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB || !header.sh_entsize)
		return false;
	data = elf_getdata(section, NULL);
	for (size_t i = 0; data && i < header.sh_size / header.sh_entsize; i++) {
		const char *name;
		GElf_Sym symbol;

		if (!gelf_getsym(data, (int)i, &symbol) ||
		    GELF_ST_TYPE(symbol.st_info) != STT_FUNC || address < symbol.st_value ||
		    address >= symbol.st_value + symbol.st_size)
			continue;
		name = elf_strptr(elf, header.sh_link, symbol.st_name);
		(void)snprintf(text, room, "%s+0x%" PRIx64, name ?: "?", address - symbol.st_value);
		return true;
	}
	return false;
}

/* Called once, when a guest has crashed, so the table is searched linearly. */
void kt_symbol_describe(uint64_t address, char *text, size_t room)
{
	KT_CLOSE int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	bool found = false;
	Elf *elf;

	(void)snprintf(text, room, "0x%" PRIx64, address);
	if (fd < 0)
		return;
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	while (elf && !found && (section = elf_nextscn(elf, section)))
		found = describe_in(elf, section, address, text, room);
	(void)elf_end(elf);
}
