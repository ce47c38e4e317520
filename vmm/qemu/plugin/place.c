/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/place.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm/qemu/plugin/api.h"
#include "vmm/qemu/whereabouts.h"

#define N_REGISTERS 33 /* of the gdbstub, up to efer */
#define RIP         16 /* its number; it has 8 bytes, as all before */
#define PAGE_MASK   UINT64_C(0xfff)

static struct kt_whereabouts *where;

void kt_place_init(int fd)
{
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size < sizeof(*where))
		return;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		where = map;
}

static void read_all(struct kt_qemu_cpu *cpu, uint8_t bytes[KT_GDB_REGISTERS_LEN])
{
	struct kt_glib_bytes *array = kt_api.g_byte_array_new();
	size_t len;

	for (int i = 0; i < N_REGISTERS; i++)
		(void)kt_api.gdb_read_register(cpu, array, i);
	len = array->len < KT_GDB_REGISTERS_LEN ? array->len : KT_GDB_REGISTERS_LEN;
	memcpy(bytes, array->data, len);
	(void)kt_api.g_byte_array_free(array, true);
}

/*
 * Of the vCPU that executes the block with the bell, QEMU knows where the block begins, or an
 * instruction before the bell. It keeps the status flags elsewhere meanwhile: they are 0. A block
 * that is mapped at several addresses was translated at one of them: only the place in the page
 * counts.
 */
static void correct(uint8_t bytes[KT_GDB_REGISTERS_LEN], uint64_t bell)
{
	uint64_t rip;

	memcpy(&rip, bytes + RIP * sizeof(rip), sizeof(rip));
	rip += (bell - rip) & PAGE_MASK;
	memcpy(bytes + RIP * sizeof(rip), &rip, sizeof(rip));
}

void kt_place_tell(uint64_t bell)
{
	for (unsigned int i = 0; where && i < where->n_vcpus; i++) {
		struct kt_qemu_cpu *cpu = kt_api.qemu_get_cpu((int)i);

		if (!cpu)
			return;
		read_all(cpu, where->registers[i]);
		if (cpu == kt_api_current_cpu())
			correct(where->registers[i], bell);
	}
	if (where)
		__atomic_store_n(&where->stands, 1, __ATOMIC_RELEASE);
}

void kt_place_hide(void)
{
	if (where)
		__atomic_store_n(&where->stands, 0, __ATOMIC_RELEASE);
}
