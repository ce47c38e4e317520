/* SPDX-License-Identifier: MIT */
#include "tests/kvm_guest.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/msix.h"

/*
 * An access that goes wrong in here is a fault of the test, not of what is tested: it ends the
 * process.
 */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "kvm_guest: %s\n", what);
	abort();
}

static int route(void *data, unsigned int gsi, const struct kt_kvm_msi *msi)
{
	struct kvm_guest *guest = data;

	must(gsi >= KT_KVM_GSI_MSI && gsi < KVM_GUEST_GSIS, "a GSI of the device");
	guest->routes[gsi] = *msi;
	guest->n_routes++;
	return 0;
}

static int raise_gsi(void *data, unsigned int gsi)
{
	struct kvm_guest *guest = data;

	must(gsi >= KT_KVM_GSI_MSI && gsi < KVM_GUEST_GSIS, "a GSI of the device");
	guest->raised[gsi]++;
	return 0;
}

static int notify(void *data, uint64_t gpa, int eventfd)
{
	struct kvm_guest *guest = data;

	must(eventfd >= 0, "a descriptor to notify");
	guest->n_notifications++;
	guest->last_notified = gpa;
	return 0;
}

static int unnotify(void *data, uint64_t gpa, int eventfd)
{
	struct kvm_guest *guest = data;

	(void)gpa;
	must(eventfd >= 0 && guest->n_notifications > 0, "a descriptor that was registered");
	guest->n_notifications--;
	return 0;
}

static void broken(void *data, const char *text)
{
	struct kvm_guest *guest = data;

	(void)snprintf(guest->broken, sizeof(guest->broken), "%s", text);
}

static const struct kt_kvm_host_ops host_ops = { route, raise_gsi, notify, unnotify, broken };

void kvm_guest_init(struct kvm_guest *guest)
{
	*guest = (struct kvm_guest){ .ram = calloc(1, KVM_GUEST_RAM_LEN) };
	must(guest->ram && kt_loop_new(&guest->loop) == 0, "memory");
	must(kt_kvm_ram_init(&guest->layout, guest->ram, KVM_GUEST_RAM_LEN >> 20, 1) == 0, "RAM");
	must(pthread_mutex_init(&guest->lock, NULL) == 0, "a lock");
	guest->host = (struct kt_kvm_host){
		.ram = &guest->layout,
		.loop = guest->loop,
		.lock = &guest->lock,
		.ops = &host_ops,
		.data = guest,
	};
	must(kt_kvm_pci_init(&guest->pci, &guest->ports, &guest->memory) == 0, "a bus");
	for (unsigned int i = 0; i < KVM_GUEST_RINGS; i++)
		guest->rings[i] = kvm_ring_at(i, KT_KVM_QUEUE_SIZE_MAX);
}

void kvm_guest_deinit(struct kvm_guest *guest)
{
	guest->loop = kt_loop_free(guest->loop);
	(void)pthread_mutex_destroy(&guest->lock);
	free(guest->ram);
}

/* Each access is made under the lock, as a vCPU makes it. */
static uint64_t read_memory(struct kvm_guest *guest, uint64_t gpa, unsigned int len)
{
	uint64_t value = 0;

	(void)pthread_mutex_lock(&guest->lock);
	kt_kvm_bus_read(&guest->memory, gpa, (uint8_t *)&value, len);
	(void)pthread_mutex_unlock(&guest->lock);
	return value;
}

static void write_memory(struct kvm_guest *guest, uint64_t gpa, unsigned int len, uint64_t value)
{
	(void)pthread_mutex_lock(&guest->lock);
	kt_kvm_bus_write(&guest->memory, gpa, (const uint8_t *)&value, len);
	(void)pthread_mutex_unlock(&guest->lock);
}

uint32_t kvm_config_read(struct kvm_guest *guest, unsigned int slot, unsigned int offset,
			 unsigned int len)
{
	return (uint32_t)read_memory(guest, KT_KVM_MCFG_GPA + (slot << 15) + offset, len);
}

void kvm_config_write(struct kvm_guest *guest, unsigned int slot, unsigned int offset,
		      unsigned int len, uint32_t value)
{
	write_memory(guest, KT_KVM_MCFG_GPA + (slot << 15) + offset, len, value);
}

static uint64_t bar(struct kvm_guest *guest)
{
	return (kvm_config_read(guest, 1, 0x10, 4) & ~UINT64_C(0xf)) |
	       (uint64_t)kvm_config_read(guest, 1, 0x14, 4) << 32;
}

uint64_t kvm_bar_read(struct kvm_guest *guest, uint64_t offset, unsigned int len)
{
	return read_memory(guest, bar(guest) + offset, len);
}

void kvm_bar_write(struct kvm_guest *guest, uint64_t offset, unsigned int len, uint64_t value)
{
	write_memory(guest, bar(guest) + offset, len, value);
}

struct kvm_ring kvm_ring_at(unsigned int number, uint16_t size)
{
	uint64_t gpa = KVM_GUEST_RING_GPA + number * KVM_GUEST_RING_STEP;

	return (struct kvm_ring){
		.size = size,
		.desc_gpa = gpa,
		.avail_gpa = gpa + 0x1000,
		.used_gpa = gpa + 0x2000,
		.buffer_gpa = gpa + 0x3000,
	};
}

static void set_up_queue(struct kvm_guest *guest, unsigned int queue)
{
	struct kvm_ring *ring = &guest->rings[queue];

	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	*ring = kvm_ring_at(queue, (uint16_t)kvm_bar_read(guest, VIRTIO_PCI_COMMON_Q_SIZE, 2));
	memset(guest->ram + ring->desc_gpa, 0, KVM_GUEST_RING_STEP);
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring->desc_gpa);
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring->avail_gpa);
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_USEDLO, 8, ring->used_gpa);
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_MSIX, 2, queue + 1);
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

/* Finds the capability of MSI-X, and turns it on. Vector N writes N to an address of its own. */
static void set_up_msix(struct kvm_guest *guest, unsigned int n)
{
	unsigned int at = kvm_config_read(guest, 1, 0x34, 1);

	while (at && kvm_config_read(guest, 1, at, 1) != 0x11)
		at = kvm_config_read(guest, 1, at + 1, 1);
	must(at != 0, "a capability of MSI-X");
	for (unsigned int i = 0; i < n; i++) {
		kvm_bar_write(guest, KVM_BAR_TABLE + 16 * i, 8, 0xfee00000 + (i << 12));
		kvm_bar_write(guest, KVM_BAR_TABLE + 16 * i + 8, 8, i);
	}
	kvm_config_write(guest, 1, at + 2, 2, KT_KVM_MSIX_ENABLE);
}

static void set_status(struct kvm_guest *guest, uint8_t status)
{
	kvm_bar_write(guest, VIRTIO_PCI_COMMON_STATUS, 1,
		      status | kvm_bar_read(guest, VIRTIO_PCI_COMMON_STATUS, 1));
}

uint8_t kvm_driver_start(struct kvm_guest *guest, uint64_t features)
{
	unsigned int n = (unsigned int)kvm_bar_read(guest, VIRTIO_PCI_COMMON_NUMQ, 2);

	kvm_bar_write(guest, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set_status(guest, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(guest, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned int i = 0; i < 2; i++) {
		kvm_bar_write(guest, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		kvm_bar_write(guest, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
	}
	set_status(guest, VIRTIO_CONFIG_S_FEATURES_OK);
	set_up_msix(guest, n + 1);
	for (unsigned int i = 0; i < n; i++)
		set_up_queue(guest, i);
	set_status(guest, VIRTIO_CONFIG_S_DRIVER_OK);
	return (uint8_t)kvm_bar_read(guest, VIRTIO_PCI_COMMON_STATUS, 1);
}

void kvm_ring_set(struct kvm_guest *guest, const struct kvm_ring *ring, unsigned int at,
		  uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *desc = guest->ram + ring->desc_gpa + 16 * at;

	memcpy(desc, &gpa, 8);
	memcpy(desc + 8, &len, 4);
	memcpy(desc + 12, &flags, 2);
	memcpy(desc + 14, &next, 2);
}

void kvm_ring_offer(struct kvm_guest *guest, struct kvm_ring *ring, uint16_t head)
{
	uint8_t *avail = guest->ram + ring->avail_gpa;

	memcpy(avail + 4 + 2 * (ring->avail % ring->size), &head, 2);
	ring->avail++;
	memcpy(avail + 2, &ring->avail, 2);
}

void kvm_ring_add(struct kvm_guest *guest, struct kvm_ring *ring, uint16_t head,
		  unsigned int offset, uint32_t len, bool writable)
{
	kvm_ring_set(guest, ring, head, ring->buffer_gpa + offset, len, writable ? 2 : 0, 0);
	kvm_ring_offer(guest, ring, head);
}

bool kvm_ring_take(struct kvm_guest *guest, struct kvm_ring *ring, uint32_t *ret_head,
		   uint32_t *ret_len)
{
	const uint8_t *used = guest->ram + ring->used_gpa;
	uint16_t index;

	memcpy(&index, used + 2, 2);
	if (index == ring->used)
		return false;
	memcpy(ret_head, used + 4 + 8 * (ring->used % ring->size), 4);
	memcpy(ret_len, used + 8 + 8 * (ring->used % ring->size), 4);
	ring->used++;
	return true;
}

void kvm_run_loop(struct kvm_guest *guest)
{
	while (kt_loop_step(guest->loop, 0) == 0)
		;
}

void kvm_notify(struct kvm_guest *guest, unsigned int queue)
{
	kvm_bar_write(guest, KVM_BAR_NOTIFY + 4 * queue, 2, queue);
	kvm_run_loop(guest);
}
