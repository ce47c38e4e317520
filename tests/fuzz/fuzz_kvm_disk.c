/* SPDX-License-Identifier: MIT */
/*
 * Requests to the virtio disk. The input is a list of them: how a request is cut into buffers, and
 * the bytes in those that the device reads. The file must keep its length, and the status of each
 * request is one of three.
 */
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kvm_guest.h"
#include "util/cleanup.h"
#include "vmm/kvm/blk.h"

#define DISK  8192u
#define PARTS 4u

/* Takes a request from the input: a byte for the length and direction of each buffer, and data. */
static void offer(struct kvm_guest *guest, const uint8_t **data, size_t *size)
{
	struct kvm_ring *ring = &guest->rings[0];
	uint64_t gpa = ring->buffer_gpa;
	const uint8_t *cuts = *data;
	size_t n;

	*data += PARTS;
	*size -= PARTS;
	n = KT_MIN(*size, 64u);
	memcpy(guest->ram + gpa, *data, n);
	*data += n;
	*size -= n;
	for (unsigned int i = 0; i < PARTS; i++) {
		uint32_t len = (cuts[i] & 0x40 ? 512u : 1u) * (1 + (cuts[i] & 0x1f));

		/* The last buffers are written, as in each request that is not broken. */
		kvm_ring_set(guest, ring, i, gpa, len,
			     (uint16_t)((i < PARTS - 1) | (cuts[i] & 0x80 ? 2 : 0)),
			     (uint16_t)(i + 1));
		gpa += len;
	}
	kvm_ring_offer(guest, ring, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_blk *blk = calloc(1, sizeof(*blk));
	struct kvm_guest *guest = malloc(sizeof(*guest));
	KT_CLOSE int fd = memfd_create("disk", MFD_CLOEXEC);
	struct stat st;

	KT_FUZZ_ASSERT(blk && guest && fd >= 0 && ftruncate(fd, DISK) == 0);
	kvm_guest_init(guest);
	KT_FUZZ_ASSERT(kt_kvm_blk_init(blk, fd, &guest->host, KT_KVM_GSI_MSI, &guest->pci,
				       &guest->memory) == 0);
	(void)kvm_driver_start(guest, UINT64_C(1) << VIRTIO_F_VERSION_1);
	while (size > PARTS) {
		uint32_t head, len;

		offer(guest, &data, &size);
		kvm_notify(guest, 0);
		if (blk->virtio.status & VIRTIO_CONFIG_S_NEEDS_RESET) {
			(void)kvm_driver_start(guest, UINT64_C(1) << VIRTIO_F_VERSION_1);
			continue;
		}
		KT_FUZZ_ASSERT(kvm_ring_take(guest, &guest->rings[0], &head, &len));
		KT_FUZZ_ASSERT(head == 0 && len >= 1 && len <= DISK + 1);
	}
	KT_FUZZ_ASSERT(fstat(fd, &st) == 0 && st.st_size == DISK);
	kt_kvm_blk_deinit(blk);
	kvm_guest_deinit(guest);
	free(blk);
	free(guest);
	return 0;
}
