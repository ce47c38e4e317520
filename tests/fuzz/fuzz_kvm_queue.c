/* SPDX-License-Identifier: MIT */
/*
 * The virtqueues of the console, over RAM that is the input: it is laid where the rings and the
 * buffers of the ports are. The guest keeps on writing to it: a round changes bytes between two
 * notifications.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kvm_guest.h"
#include "util/cleanup.h"
#include "vmm/kvm/console.h"

#define FEATURES (UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT)
#define ROUNDS   4u
#define CHUNK    64u /* bytes of the input that go to one place */

static void on_bytes(void *data, const uint8_t *bytes, size_t len)
{
	uint64_t *sum = data;

	for (size_t i = 0; i < len; i++)
		*sum += bytes[i];
}

/* Where a piece of input goes: into a table, a ring or a buffer of one of the queues 2 to 5. */
static uint64_t place(const struct kvm_guest *guest, uint8_t choice, uint16_t offset)
{
	const struct kvm_ring *ring = &guest->rings[2 + choice % 4];
	const uint64_t places[] = { ring->desc_gpa, ring->avail_gpa, ring->used_gpa,
				    ring->buffer_gpa };

	return places[choice / 4 % 4] + offset % 0x1000;
}

/* Takes a place and up to CHUNK bytes from the input, and writes them there. */
static void scribble(struct kvm_guest *guest, const uint8_t **data, size_t *size)
{
	size_t n;
	uint64_t gpa;

	if (*size < 4)
		return;
	gpa = place(guest, (*data)[0], (uint16_t)((*data)[1] | (*data)[2] << 8));
	n = KT_MIN((*data)[3] % CHUNK, *size - 4);
	memcpy(guest->ram + gpa, *data + 4, n);
	*data += 4 + n;
	*size -= 4 + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_console *console = calloc(1, sizeof(*console));
	struct kvm_guest *guest = malloc(sizeof(*guest));
	char digits[] = "0123456789";
	struct iovec part = { digits, 10 };
	uint64_t sum = 0;

	KT_FUZZ_ASSERT(console && guest);
	kvm_guest_init(guest);
	KT_FUZZ_ASSERT(kt_kvm_console_init(console, on_bytes, &sum, &guest->host, KT_KVM_GSI_MSI,
					   &guest->pci, &guest->memory) == 0);
	(void)kvm_driver_start(guest, FEATURES);
	KT_FUZZ_ASSERT(kt_kvm_console_write(console, &part, 1) == 0);
	while (size >= 4) {
		for (unsigned int i = 0; i < ROUNDS; i++)
			scribble(guest, &data, &size);
		for (unsigned int queue = 0; queue < 6; queue++)
			kvm_notify(guest, queue);
		/* A device that has stopped says why, and stays so. */
		if (console->virtio.status & VIRTIO_CONFIG_S_NEEDS_RESET) {
			KT_FUZZ_ASSERT(strstr(guest->broken, "queue "));
			guest->broken[0] = '\0';
			(void)kvm_driver_start(guest, FEATURES);
		}
		KT_FUZZ_ASSERT(console->from_guest.room <= 4u << 20);
	}
	kt_kvm_console_deinit(console);
	kvm_guest_deinit(guest);
	free(console);
	free(guest);
	return 0;
}
