/* SPDX-License-Identifier: MIT */
/*
 * The input is a list of accesses to the PCI bus: to the configuration space, through ports and
 * memory, and to the BAR of the console, which has its registers and its MSI-X table.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kvm_guest.h"
#include "util/cleanup.h"
#include "vmm/kvm/console.h"
#include "vmm/kvm/map.h"

#define ACCESS_LEN 14u /* kind, length, address, value */

static void on_bytes(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
}

/* Where the access goes: ports, the configuration space of slots 0 to 3, the BAR, or anywhere. */
static void access_bus(struct kvm_guest *guest, const uint8_t *input)
{
	static const unsigned int lens[] = { 1, 2, 4, 8 };
	unsigned int kind = input[0] % 4, len = lens[input[1] % 4];
	const struct kt_kvm_bus *bus = kind == 0 ? &guest->ports : &guest->memory;
	uint64_t at = 0;
	uint8_t bytes[8];

	memcpy(&at, input + 2, kind == 3 ? 8 : 4);
	if (kind == 0)
		at = KT_KVM_PORT_PCI + at % 8;
	else if (kind == 1)
		at = KT_KVM_MCFG_GPA + at % 0x20000;
	else if (kind == 2)
		at = guest->pci.devices[1]->bar.base + at % 0x8000;
	memcpy(bytes, input + ACCESS_LEN - 8, 8);
	(void)pthread_mutex_lock(&guest->lock);
	if (input[0] & 4)
		kt_kvm_bus_read(bus, at, bytes, len);
	else
		kt_kvm_bus_write(bus, at, bytes, len);
	(void)pthread_mutex_unlock(&guest->lock);
}

/* A guest can change neither the identity of the device nor the window of its BAR. */
static void check(struct kvm_guest *guest, const struct kt_kvm_console *console)
{
	const struct kt_kvm_virtio *virtio = &console->virtio;
	const struct kt_kvm_range *range = &virtio->pci.bar;

	KT_FUZZ_ASSERT(kvm_config_read(guest, 1, 0, 4) == 0x10431af4);
	KT_FUZZ_ASSERT(kvm_config_read(guest, 1, 0x34, 1) == KT_KVM_PCI_CAPABILITIES);
	KT_FUZZ_ASSERT(!guest->n_notifications); /* the console works at once */
	KT_FUZZ_ASSERT(!range->len || range->base >= UINT64_C(1) << 32 ||
		       (range->base >= KT_KVM_PCI_GPA &&
			range->base + range->len <= KT_KVM_PCI_GPA + KT_KVM_PCI_LEN));
	for (unsigned int i = 0; i < 6; i++) {
		const struct kt_kvm_queue *ring = &virtio->queues[i].ring;

		KT_FUZZ_ASSERT(ring->vector < virtio->msix.n || ring->vector == KT_KVM_NO_VECTOR);
		KT_FUZZ_ASSERT(!ring->enabled ||
			       kt_kvm_queue_check(ring, &guest->layout, NULL) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_console *console = calloc(1, sizeof(*console));
	struct kvm_guest *guest = malloc(sizeof(*guest));

	KT_FUZZ_ASSERT(console && guest);
	kvm_guest_init(guest);
	KT_FUZZ_ASSERT(kt_kvm_console_init(console, on_bytes, NULL, &guest->host, KT_KVM_GSI_MSI,
					   &guest->pci, &guest->memory) == 0);
	for (; size >= ACCESS_LEN; data += ACCESS_LEN, size -= ACCESS_LEN) {
		access_bus(guest, data);
		kvm_run_loop(guest);
	}
	check(guest, console);
	kt_kvm_console_deinit(console);
	kvm_guest_deinit(guest);
	free(console);
	free(guest);
	return 0;
}
