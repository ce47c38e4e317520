/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a KVM guest finds what is not RAM: the guest-physical addresses and ports that the tables
 * of ACPI tell, and the memory map that the boot code passes on.
 */

#include <stdint.h>

/*
 * What firmware leaves in RAM, which the memory map reserves: the tables of ACPI, and behind them
 * the code at which a processor begins after a reset.
 */
#define KT_KVM_FIRMWARE_GPA     UINT64_C(0xe0000)
#define KT_KVM_FIRMWARE_LEN     UINT64_C(0x20000)
#define KT_KVM_RESET_VECTOR_LEN UINT64_C(16)
#define KT_KVM_RESET_VECTOR_GPA UINT64_C(0xffff0) /* f000:fff0 in real mode */
#define KT_KVM_ACPI_GPA         KT_KVM_FIRMWARE_GPA
#define KT_KVM_ACPI_LEN         (KT_KVM_FIRMWARE_LEN - KT_KVM_RESET_VECTOR_LEN)

/* Windows for the BARs of PCI devices. Low RAM ends below, at 2.75 GiB. */
#define KT_KVM_PCI_GPA      UINT64_C(0xc0000000)
#define KT_KVM_PCI_LEN      UINT64_C(0x20000000)
#define KT_KVM_PCI_HIGH_LEN (UINT64_C(16) << 30) /* begins behind the RAM */

/* Configuration space of PCI bus 0, mapped to memory; the memory map reserves it. */
#define KT_KVM_MCFG_GPA UINT64_C(0xe0000000)
#define KT_KVM_MCFG_LEN UINT64_C(0x100000)

#define KT_KVM_IOAPIC_GPA UINT64_C(0xfec00000)
#define KT_KVM_LAPIC_GPA  UINT64_C(0xfee00000)

/* A power-off writes KT_KVM_SLEEP_OFF to the sleep control register, a reboot 1 to the other. */
#define KT_KVM_PORT_SLEEP_CONTROL 0x600u
#define KT_KVM_PORT_SLEEP_STATUS  0x601u
#define KT_KVM_PORT_RESET         0x604u
#define KT_KVM_SLEEP_TYPE         5u
#define KT_KVM_SLEEP_OFF          (KT_KVM_SLEEP_TYPE << 2 | 0x20u) /* 0x20: go to sleep */
#define KT_KVM_RESET_VALUE        1u

#define KT_KVM_PORT_SERIAL 0x3f8u /* 8 ports */
#define KT_KVM_IRQ_SERIAL  4u     /* the GSI, edge-triggered */

#define KT_KVM_PORT_PCI 0xcf8u /* address at 0xcf8, data at 0xcfc; 8 ports */
