/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/msix.h"

#include <string.h>

/*
 * A guest writes an entry in several accesses, and masks it meanwhile. The machine is told of the
 * message when the vector is raised for the first time after that, and not before: changing a route
 * is expensive in the kernel. It is so, too, that a restored device has its routes.
 */

#define ENTRY_MASKED 1u

void kt_kvm_msix_init(struct kt_kvm_msix *msix, const struct kt_kvm_host *host, unsigned int gsi,
		      unsigned int n)
{
	*msix = (struct kt_kvm_msix){ .host = host, .gsi = gsi, .n = n };
	for (unsigned int i = 0; i < n; i++)
		msix->entries[i].control = ENTRY_MASKED;
}

static bool is_masked(const struct kt_kvm_msix *msix, const struct kt_kvm_msix_entry *entry)
{
	return msix->control & KT_KVM_MSIX_MASK || entry->control & ENTRY_MASKED;
}

void kt_kvm_msix_raise(struct kt_kvm_msix *msix, unsigned int vector)
{
	const struct kt_kvm_host *host = msix->host;
	struct kt_kvm_msix_entry *entry = &msix->entries[vector < msix->n ? vector : 0];

	if (vector >= msix->n || !(msix->control & KT_KVM_MSIX_ENABLE))
		return;
	if (is_masked(msix, entry)) {
		entry->pending = true;
		return;
	}
	entry->pending = false;
	if (!entry->routed)
		entry->routed = host->ops->route(host->data, msix->gsi + vector, &entry->msi) == 0;
	if (entry->routed)
		(void)host->ops->raise(host->data, msix->gsi + vector);
}

static void raise_pending(struct kt_kvm_msix *msix)
{
	for (unsigned int i = 0; i < msix->n; i++)
		if (msix->entries[i].pending)
			kt_kvm_msix_raise(msix, i);
}

void kt_kvm_msix_set_control(struct kt_kvm_msix *msix, uint16_t control)
{
	msix->control = control & (KT_KVM_MSIX_ENABLE | KT_KVM_MSIX_MASK);
	raise_pending(msix);
}

static uint32_t get_word(const struct kt_kvm_msix_entry *entry, unsigned int word)
{
	switch (word) {
	case 0:
		return (uint32_t)entry->msi.address;
	case 1:
		return (uint32_t)(entry->msi.address >> 32);
	case 2:
		return entry->msi.data;
	default:
		return entry->control;
	}
}

static void set_word(struct kt_kvm_msix_entry *entry, unsigned int word, uint32_t value)
{
	const struct kt_kvm_msi before = entry->msi;

	switch (word) {
	case 0:
		entry->msi.address = (before.address & ~UINT64_C(0xffffffff)) | value;
		break;
	case 1:
		entry->msi.address = (before.address & 0xffffffff) | (uint64_t)value << 32;
		break;
	case 2:
		entry->msi.data = value;
		break;
	default:
		entry->control = value & ENTRY_MASKED;
		break;
	}
	/* A guest that writes what was there before, as Linux does, costs nothing. */
	if (entry->msi.address != before.address || entry->msi.data != before.data)
		entry->routed = false;
}

static bool is_table_access(const struct kt_kvm_msix *msix, uint64_t offset, unsigned int len)
{
	return (len == 4 || len == 8) && offset % len == 0 &&
	       offset < (uint64_t)msix->n * KT_KVM_MSIX_ENTRY_LEN;
}

void kt_kvm_msix_read_table(const struct kt_kvm_msix *msix, uint64_t offset, uint8_t *bytes,
			    unsigned int len)
{
	memset(bytes, 0, len);
	if (!is_table_access(msix, offset, len))
		return;
	for (unsigned int i = 0; i < len; i += 4) {
		uint32_t value = get_word(&msix->entries[offset / KT_KVM_MSIX_ENTRY_LEN],
					  (unsigned int)(offset + i) / 4 % 4);

		memcpy(bytes + i, &value, 4);
	}
}

void kt_kvm_msix_write_table(struct kt_kvm_msix *msix, uint64_t offset, const uint8_t *bytes,
			     unsigned int len)
{
	if (!is_table_access(msix, offset, len))
		return;
	for (unsigned int i = 0; i < len; i += 4) {
		uint32_t value;

		memcpy(&value, bytes + i, 4);
		set_word(&msix->entries[offset / KT_KVM_MSIX_ENTRY_LEN],
			 (unsigned int)(offset + i) / 4 % 4, value);
	}
	raise_pending(msix);
}

void kt_kvm_msix_read_pending(const struct kt_kvm_msix *msix, uint64_t offset, uint8_t *bytes,
			      unsigned int len)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < msix->n; i++)
		bits |= (uint64_t)msix->entries[i].pending << i;
	memset(bytes, 0, len);
	if (offset + len <= sizeof(bits))
		memcpy(bytes, (uint8_t *)&bits + offset, len);
}
