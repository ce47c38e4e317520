/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/ram.h"

#include <errno.h>

#include "util/cleanup.h"
#include "vmm/mem.h"

static int add_slot(struct kt_kvm_ram *ram, uint64_t gpa, uint64_t len, uint8_t *host,
		    unsigned int node)
{
	if (!len)
		return 0;
	if (ram->n == KT_KVM_SLOTS_MAX)
		return -E2BIG;
	ram->slots[ram->n++] = (struct kt_kvm_slot){ gpa, len, host, node };
	return 0;
}

/* Adds @len bytes at @offset of all RAM; a node that spans the hole below 4 GiB is cut there. */
static int add_node(struct kt_kvm_ram *ram, const struct kt_mem_layout *layout, uint64_t offset,
		    uint64_t len, uint8_t *host, unsigned int node)
{
	uint64_t low = offset < layout->low_len ? KT_MIN(len, layout->low_len - offset) : 0;
	int r = add_slot(ram, offset, low, host + offset, node);

	if (r < 0)
		return r;
	offset += low;
	return add_slot(ram, KT_MEM_HIGH + (offset - layout->low_len), len - low, host + offset,
			node);
}

int kt_kvm_ram_init(struct kt_kvm_ram *ram, void *host, unsigned int ram_mib, unsigned int nodes)
{
	struct kt_mem_layout layout = kt_mem_layout((uint64_t)ram_mib << 20);
	uint64_t node_len = (uint64_t)(ram_mib / nodes) << 20;
	uint64_t offset = 0;

	*ram = KT_KVM_RAM_NULL;
	if (!node_len)
		return -E2BIG;
	for (unsigned int node = 0; node < nodes; node++) {
		uint64_t len = node < nodes - 1 ? node_len : ((uint64_t)ram_mib << 20) - offset;
		int r = add_node(ram, &layout, offset, len, host, node);

		if (r < 0)
			return r;
		offset += len;
	}
	return 0;
}

void *kt_kvm_ram_at(const struct kt_kvm_ram *ram, uint64_t gpa, size_t len)
{
	for (size_t i = 0; i < ram->n; i++) {
		const struct kt_kvm_slot *slot = &ram->slots[i];

		if (gpa >= slot->gpa && gpa - slot->gpa < slot->len)
			return len <= slot->len - (gpa - slot->gpa) ? slot->host + (gpa - slot->gpa)
								    : NULL;
	}
	return NULL;
}
