/* SPDX-License-Identifier: MIT */
#include "guest/worker/pause.h"

#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

/*
 * TCG leaves the translated code at each PAUSE and turns to the next virtual CPU (QEMU,
 * target/i386/tcg/misc_helper.c: helper_pause()). That costs the host some hundred times the few
 * nanoseconds of virtual time which an instruction takes, and ends turns where the seed does not.
 * A NOP takes the same virtual time.
 */

#define HYPERVISOR_LEAF 0x40000000u /* EBX, ECX and EDX have the name of the hypervisor */

static bool is_tcg(void)
{
	unsigned int eax, name[3];

	__cpuid(HYPERVISOR_LEAF, eax, name[0], name[1], name[2]);
	return memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0;
}

void kt_cpu_pause(unsigned int n)
{
	static enum { UNKNOWN, PAUSE, NOP } instruction;

	if (instruction == UNKNOWN)
		instruction = is_tcg() ? NOP : PAUSE;
	if (instruction == NOP) {
		for (; n; n--)
			__asm__ volatile("nop");
	} else {
		for (; n; n--)
			__builtin_ia32_pause();
	}
}
