/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/registers.h"

#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

#define WIDE(name)   offsetof(struct kt_registers, name), sizeof(uint64_t)
#define NARROW(name) offsetof(struct kt_registers, name), sizeof(uint32_t)
#define NOT_TAKEN    SIZE_MAX, sizeof(uint64_t)

/* In the order of the stub. */
static const struct {
	size_t at, len;
} places[] = {
	{ WIDE(rax) },     { WIDE(rbx) },           { WIDE(rcx) },
	{ WIDE(rdx) },     { WIDE(rsi) },           { WIDE(rdi) },
	{ WIDE(rbp) },     { WIDE(rsp) },           { WIDE(r8) },
	{ WIDE(r9) },      { WIDE(r10) },           { WIDE(r11) },
	{ WIDE(r12) },     { WIDE(r13) },           { WIDE(r14) },
	{ WIDE(r15) },     { WIDE(rip) },           { NARROW(rflags) },
	{ NARROW(cs) },    { NARROW(ss) },          { NARROW(ds) },
	{ NARROW(es) },    { NARROW(fs) },          { NARROW(gs) },
	{ WIDE(fs_base) }, { WIDE(gs_base) },       { WIDE(kernel_gs_base) },
	{ WIDE(cr0) },     { WIDE(cr2) },           { WIDE(cr3) },
	{ WIDE(cr4) },     { NOT_TAKEN /* cr8 */ }, { WIDE(efer) },
};

void kt_registers_decode(const uint8_t bytes[KT_GDB_REGISTERS_LEN],
			 struct kt_registers *ret_registers)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(places); i++) {
		if (places[i].at != SIZE_MAX)
			memcpy((uint8_t *)ret_registers + places[i].at, bytes, places[i].len);
		bytes += places[i].len;
	}
}
