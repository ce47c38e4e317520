/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "util/cleanup.h"

/*
 * The interrupt controllers are KVM's own, made before the vCPUs, which get their local APICs by
 * that. The table of routes is written as a whole at each change: KVM forgets the one before. The
 * first GSIs are the pins of the IOAPIC, the others are messages.
 */

#define KVM_DEVICE      "/dev/kvm"
#define TSS_GPA         0xfffbd000u /* three pages that Intel's processors use in real mode */
#define IDENTITY_GPA    0xfffbc000u /* one page, likewise */
#define N_PIC_PINS      16u
#define XSAVE_LEN_LEAST 4096

static int set_up(struct kt_kvm_vm *vm, struct kt_err *reterr)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = IDENTITY_GPA;

	(void)ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_GPA) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_TSS_ADDR: %m");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP) < 0)
		return kt_err_set(reterr, -errno, "KVM_CREATE_IRQCHIP: %m");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return kt_err_set(reterr, -errno, "KVM_CREATE_PIT2: %m");
	return 0;
}

static int read_supported(struct kt_kvm_vm *vm, struct kt_err *reterr)
{
	vm->supported = calloc(1, sizeof(*vm->supported) +
					  KT_KVM_CPUID_MAX * sizeof(vm->supported->entries[0]));
	if (!vm->supported)
		return kt_err_oom(reterr);
	vm->supported->nent = KT_KVM_CPUID_MAX;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, vm->supported) < 0)
		return kt_err_set(reterr, -errno, "KVM_GET_SUPPORTED_CPUID: %m");
	return 0;
}

int kt_kvm_vm_init(struct kt_kvm_vm *vm, struct kt_err *reterr)
{
	int len;

	*vm = (struct kt_kvm_vm){ .fd = -1 };
	for (unsigned int i = 0; i < KT_KVM_MSI_MAX; i++)
		vm->irqfds[i] = -1;
	vm->kvm_fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return kt_err_set(reterr, -errno, KVM_DEVICE ": %m");
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return kt_err_set(reterr, -errno, "KVM_CREATE_VM: %m");
	len = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (len < (int)sizeof(struct kvm_run))
		return kt_err_set(reterr, -EIO, "KVM_GET_VCPU_MMAP_SIZE: %d is too little", len);
	vm->run_len = (size_t)len;
	/* Of the machine, not of the device: only there the features count that it may use. */
	len = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	vm->has_xsave2 = len > 0;
	vm->xsave_len = (size_t)KT_MAX(len, XSAVE_LEN_LEAST);
	return read_supported(vm, reterr) ?: set_up(vm, reterr);
}

void kt_kvm_vm_deinit(struct kt_kvm_vm *vm)
{
	for (unsigned int i = 0; i < KT_KVM_MSI_MAX; i++)
		vm->irqfds[i] = kt_close(vm->irqfds[i]);
	vm->fd = kt_close(vm->fd);
	vm->kvm_fd = kt_close(vm->kvm_fd);
	free(kt_steal(vm->supported));
}

int kt_kvm_vm_set_ram(const struct kt_kvm_vm *vm, const struct kt_kvm_ram *ram,
		      struct kt_err *reterr)
{
	for (size_t i = 0; i < ram->n; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = (uint32_t)i,
			.guest_phys_addr = ram->slots[i].gpa,
			.memory_size = ram->slots[i].len,
			.userspace_addr = (uintptr_t)ram->slots[i].host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return kt_err_set(reterr, -errno,
					  "KVM_SET_USER_MEMORY_REGION: slot %zu: %m", i);
	}
	return 0;
}

static struct kvm_irq_routing_entry pin_entry(unsigned int chip, unsigned int gsi, unsigned int pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static unsigned int put_pins(struct kvm_irq_routing_entry *entries)
{
	unsigned int n = 0;

	for (unsigned int pin = 0; pin < KT_KVM_PINS; pin++)
		entries[n++] = pin_entry(KVM_IRQCHIP_IOAPIC, pin, pin);
	for (unsigned int pin = 0; pin < N_PIC_PINS; pin++)
		entries[n++] = pin_entry(pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
					 pin, pin % 8);
	return n;
}

static int set_routes(const struct kt_kvm_vm *vm)
{
	const size_t room = KT_KVM_PINS + N_PIC_PINS + KT_KVM_MSI_MAX;
	KT_FREE struct kvm_irq_routing *routes =
		calloc(1, sizeof(*routes) + room * sizeof(routes->entries[0]));

	if (!routes)
		return -ENOMEM;
	routes->nr = put_pins(routes->entries);
	for (unsigned int i = 0; i < KT_KVM_MSI_MAX; i++) {
		const struct kt_kvm_msi *msi = &vm->msis[i];

		if (vm->irqfds[i] < 0)
			continue;
		routes->entries[routes->nr++] = (struct kvm_irq_routing_entry){
			.gsi = KT_KVM_GSI_MSI + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = (uint32_t)msi->address,
				   .address_hi = (uint32_t)(msi->address >> 32),
				   .data = msi->data },
		};
	}
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, routes) < 0 ? -errno : 0;
}

int kt_kvm_vm_route(struct kt_kvm_vm *vm, unsigned int gsi, const struct kt_kvm_msi *msi)
{
	unsigned int i = gsi - KT_KVM_GSI_MSI;
	struct kvm_irqfd irqfd = { .gsi = gsi };
	bool is_new;
	int r;

	if (i >= KT_KVM_MSI_MAX)
		return -ERANGE;
	is_new = vm->irqfds[i] < 0;
	if (is_new)
		vm->irqfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->irqfds[i] < 0)
		return -errno;
	vm->msis[i] = *msi;
	r = set_routes(vm);
	irqfd.fd = (uint32_t)vm->irqfds[i];
	if (r == 0 && is_new && ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
		r = -errno;
	if (r < 0 && is_new)
		vm->irqfds[i] = kt_close(vm->irqfds[i]);
	return r;
}

int kt_kvm_vm_raise(const struct kt_kvm_vm *vm, unsigned int gsi)
{
	unsigned int i = gsi - KT_KVM_GSI_MSI;
	uint64_t one = 1;

	if (i >= KT_KVM_MSI_MAX || vm->irqfds[i] < 0)
		return -ENOENT;
	return write(vm->irqfds[i], &one, sizeof(one)) < 0 ? -errno : 0;
}

int kt_kvm_vm_notify(const struct kt_kvm_vm *vm, uint64_t gpa, int eventfd, bool on)
{
	struct kvm_ioeventfd notification = {
		.addr = gpa,
		.fd = eventfd,
		.flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &notification) < 0 ? -errno : 0;
}

void kt_kvm_vm_pulse(const struct kt_kvm_vm *vm, unsigned int pin)
{
	struct kvm_irq_level level = { .irq = pin, .level = 1 };

	(void)ioctl(vm->fd, KVM_IRQ_LINE, &level);
	level.level = 0;
	(void)ioctl(vm->fd, KVM_IRQ_LINE, &level);
}
