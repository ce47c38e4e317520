/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/msr.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

/* Both requests return how many registers were done. */
struct one {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int kt_kvm_msr_get(int vcpu_fd, uint32_t index, uint64_t *ret_value)
{
	struct one msr = { .head.nmsrs = 1, .entry.index = index };

	if (ioctl(vcpu_fd, KVM_GET_MSRS, &msr) != 1)
		return -EIO;
	*ret_value = msr.entry.data;
	return 0;
}

int kt_kvm_msr_set(int vcpu_fd, uint32_t index, uint64_t value)
{
	struct one msr = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return ioctl(vcpu_fd, KVM_SET_MSRS, &msr) == 1 ? 0 : -EIO;
}
