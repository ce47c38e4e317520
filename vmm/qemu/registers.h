/* SPDX-License-Identifier: MIT */
#pragma once
/* The registers of a vCPU as the gdbstub of QEMU tells them (qemu: gdb-xml/i386-64bit.xml). */

#include <stdint.h>

#include "vmm/registers.h"

#define KT_GDB_REGISTERS_LEN 236u /* bytes of the answer to 'g' that are looked at */

/* Decodes the beginning of that answer. */
void kt_registers_decode(const uint8_t bytes[KT_GDB_REGISTERS_LEN],
			 struct kt_registers *ret_registers);
