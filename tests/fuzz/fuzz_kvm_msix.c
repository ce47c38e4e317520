/* SPDX-License-Identifier: MIT */
/* Writes of a guest to the MSI-X table and its control word, with interrupts between them. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kvm_guest.h"
#include "vmm/kvm/msix.h"

#define VECTORS    7u
#define ACCESS_LEN 11u /* what, offset, value */

/* The last word of an entry has one bit; the table reads back what was written otherwise. */
static void check_write(struct kt_kvm_msix *msix, uint64_t offset, const uint8_t *bytes)
{
	uint32_t written, read;

	kt_kvm_msix_write_table(msix, offset, bytes, 4);
	kt_kvm_msix_read_table(msix, offset, (uint8_t *)&read, 4);
	memcpy(&written, bytes, 4);
	if (offset % 4 || offset >= VECTORS * KT_KVM_MSIX_ENTRY_LEN)
		KT_FUZZ_ASSERT(read == 0);
	else
		KT_FUZZ_ASSERT(read == (offset % 16 == 12 ? written & 1 : written));
}

/* A vector that is not masked is raised at once, with the message that is in the table. */
static void check_raise(struct kvm_guest *guest, struct kt_kvm_msix *msix, unsigned int vector)
{
	bool masked = vector >= VECTORS || msix->control != KT_KVM_MSIX_ENABLE ||
		      msix->entries[vector].control;
	unsigned int gsi = KT_KVM_GSI_MSI + vector % VECTORS, before = guest->raised[gsi];

	kt_kvm_msix_raise(msix, vector);
	KT_FUZZ_ASSERT(guest->raised[gsi] == before + !masked);
	if (!masked)
		KT_FUZZ_ASSERT(guest->routes[gsi].address == msix->entries[vector].msi.address &&
			       guest->routes[gsi].data == msix->entries[vector].msi.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_msix msix;
	struct kvm_guest *guest = malloc(sizeof(*guest));
	uint64_t pending;

	KT_FUZZ_ASSERT(guest);
	kvm_guest_init(guest);
	kt_kvm_msix_init(&msix, &guest->host, KT_KVM_GSI_MSI, VECTORS);
	for (; size >= ACCESS_LEN; data += ACCESS_LEN, size -= ACCESS_LEN) {
		uint64_t offset = data[1] | data[2] << 8;

		if (data[0] % 4 == 0)
			check_write(&msix, offset % 256, data + 3);
		else if (data[0] % 4 == 1)
			kt_kvm_msix_write_table(&msix, offset, data + 3, 8);
		else if (data[0] % 4 == 2)
			kt_kvm_msix_set_control(&msix, (uint16_t)offset);
		else
			check_raise(guest, &msix, data[1] % 16);
		kt_kvm_msix_read_pending(&msix, offset % 16, (uint8_t *)&pending, 8);
	}
	kvm_guest_deinit(guest);
	free(guest);
	return 0;
}
