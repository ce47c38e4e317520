/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/clock.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "vmm/kvm/msr.h"

/*
 * A guest's counter is the host's plus an offset. One offset is set for all vCPUs, by the attribute
 * KVM_VCPU_TSC_OFFSET (Linux 5.16; Documentation/virt/kvm/devices/vcpu.rst): counters that are
 * written one after another get offsets of their own, and KVM then takes kvm-clock for unstable.
 *
 * KVM has turned the deadline of a local APIC's timer into the host's time when the guest wrote it.
 * Writing the same value again does so with the new offset.
 */

int kt_kvm_clock_read(const struct kt_kvm_crew *crew, struct kt_kvm_clock *ret_clock,
		      struct kt_err *reterr)
{
	struct kvm_clock_data data;

	if (kt_kvm_msr_get(crew->at[0].fd, KT_KVM_MSR_TSC, &ret_clock->tsc) < 0)
		return kt_err_set(reterr, -EIO, "the guest's time stamp counter cannot be read");
	if (ioctl(crew->vm->fd, KVM_GET_CLOCK, &data) < 0)
		return kt_err_set(reterr, -errno, "KVM_GET_CLOCK: %m");
	ret_clock->kvm_ns = data.clock;
	return 0;
}

static struct kvm_device_attr offset_attribute(uint64_t *offset)
{
	return (struct kvm_device_attr){
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};
}

static int set_tsc(const struct kt_kvm_crew *crew, uint64_t tsc)
{
	uint64_t offset = 0, now;
	struct kvm_device_attr attribute = offset_attribute(&offset);
	int fd = crew->at[0].fd;

	if (ioctl(fd, KVM_GET_DEVICE_ATTR, &attribute) < 0 ||
	    kt_kvm_msr_get(fd, KT_KVM_MSR_TSC, &now) < 0)
		return -EIO;
	offset += tsc - now;
	for (unsigned int i = 0; i < crew->n; i++) {
		if (ioctl(crew->at[i].fd, KVM_SET_DEVICE_ATTR, &attribute) < 0)
			return -errno;
	}
	return 0;
}

/* A timer that is not armed, or not in this mode, has no deadline. */
static void renew_timer(int fd)
{
	uint64_t deadline;

	if (kt_kvm_msr_get(fd, KT_KVM_MSR_TSC_DEADLINE, &deadline) == 0 && deadline)
		(void)kt_kvm_msr_set(fd, KT_KVM_MSR_TSC_DEADLINE, deadline);
}

int kt_kvm_clock_set(const struct kt_kvm_crew *crew, const struct kt_kvm_clock *clock,
		     struct kt_err *reterr)
{
	struct kvm_clock_data data = { .clock = clock->kvm_ns };
	int r = set_tsc(crew, clock->tsc);

	if (r < 0)
		return kt_err_set(reterr, r,
				  "the guest's time stamp counter cannot be set "
				  "(KVM_VCPU_TSC_OFFSET needs Linux 5.16)");
	if (ioctl(crew->vm->fd, KVM_SET_CLOCK, &data) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_CLOCK: %m");
	for (unsigned int i = 0; i < crew->n; i++)
		renew_timer(crew->at[i].fd);
	return 0;
}
