/* SPDX-License-Identifier: MIT */
#pragma once
/* One model-specific register of a vCPU, which does not run meanwhile. */

#include <stdint.h>

#define KT_KVM_MSR_TSC            0x10u
#define KT_KVM_MSR_MISC_ENABLE    0x1a0u
#define KT_KVM_MSR_MTRR_DEF_TYPE  0x2ffu
#define KT_KVM_MSR_TSC_DEADLINE   0x6e0u
#define KT_KVM_MSR_KERNEL_GS_BASE 0xc0000102u

/* 0, or -EIO if the vCPU does not have the register, or not the value. */
int kt_kvm_msr_get(int vcpu_fd, uint32_t index, uint64_t *ret_value);
int kt_kvm_msr_set(int vcpu_fd, uint32_t index, uint64_t value);
