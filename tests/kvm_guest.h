/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A guest of the KVM machine without KVM: RAM, a PCI bus, and a driver that uses virtio devices as
 * Linux does, through accesses of the bus only. For unit tests and fuzz targets.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"
#include "vmm/kvm/msi.h"
#include "vmm/kvm/pci.h"
#include "vmm/kvm/virtqueue.h"

#define KVM_GUEST_RAM_LEN   (1u << 20)
#define KVM_GUEST_GSIS      64u
#define KVM_GUEST_RINGS     8u
#define KVM_GUEST_RING_GPA  0x10000u /* where ring 0 begins; the other rings follow */
#define KVM_GUEST_RING_STEP 0x4000u  /* descriptors, avail and used ring, and a page of buffers */

#define KVM_BAR_COMMON 0x0000u /* the structures in the BAR, which the test takes as given */
#define KVM_BAR_CONFIG 0x2000u
#define KVM_BAR_NOTIFY 0x3000u
#define KVM_BAR_TABLE  0x4000u
#define KVM_BAR_PBA    0x5000u

/* The driver's side of a queue. */
struct kvm_ring {
	uint16_t size;
	uint16_t avail; /* entries made available, and those taken back */
	uint16_t used;
	uint64_t desc_gpa, avail_gpa, used_gpa, buffer_gpa;
};

struct kvm_guest {
	uint8_t *ram; /* KVM_GUEST_RAM_LEN bytes from the address 0 on */
	struct kt_kvm_ram layout;
	struct kt_loop *loop;
	pthread_mutex_t lock;
	struct kt_kvm_bus ports, memory;
	struct kt_kvm_pci pci;
	struct kt_kvm_host host;
	unsigned int n_routes;               /* calls of route() */
	unsigned int raised[KVM_GUEST_GSIS]; /* calls of raise(), by GSI */
	struct kt_kvm_msi routes[KVM_GUEST_GSIS];
	int n_notifications; /* descriptors that are registered now */
	uint64_t last_notified;
	char broken[512]; /* the text of the device that stopped last */
	struct kvm_ring rings[KVM_GUEST_RINGS];
};

void kvm_guest_init(struct kvm_guest *guest);
void kvm_guest_deinit(struct kvm_guest *guest);

/* Accesses to the configuration space of a slot, through memory, and to the BAR of slot 1. */
uint32_t kvm_config_read(struct kvm_guest *guest, unsigned int slot, unsigned int offset,
			 unsigned int len);
void kvm_config_write(struct kvm_guest *guest, unsigned int slot, unsigned int offset,
		      unsigned int len, uint32_t value);
uint64_t kvm_bar_read(struct kvm_guest *guest, uint64_t offset, unsigned int len);
void kvm_bar_write(struct kvm_guest *guest, uint64_t offset, unsigned int len, uint64_t value);

/*
 * Sets up the device in slot 1: features, all of its queues, a vector for each, and MSI-X. Returns
 * the status that the device shows at last.
 */
uint8_t kvm_driver_start(struct kvm_guest *guest, uint64_t features);

/* Where a ring of the guest lies, as the driver sets it up. */
struct kvm_ring kvm_ring_at(unsigned int number, uint16_t size);

/* Writes a descriptor into the table of a ring. */
void kvm_ring_set(struct kvm_guest *guest, const struct kvm_ring *ring, unsigned int at,
		  uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);

/* Makes the descriptor @head available; the device hears of it with kvm_notify(). */
void kvm_ring_offer(struct kvm_guest *guest, struct kvm_ring *ring, uint16_t head);

/* Offers one buffer, at @offset of the ring's page, that is read, or written (@writable). */
void kvm_ring_add(struct kvm_guest *guest, struct kvm_ring *ring, uint16_t head,
		  unsigned int offset, uint32_t len, bool writable);

/* Takes back one request: its length is stored in *@ret_len. False: there is none. */
bool kvm_ring_take(struct kvm_guest *guest, struct kvm_ring *ring, uint32_t *ret_head,
		   uint32_t *ret_len);

/* Notifies the queue, and lets the loop run until it has nothing to do. */
void kvm_notify(struct kvm_guest *guest, unsigned int queue);
void kvm_run_loop(struct kvm_guest *guest);
