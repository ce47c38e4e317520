/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/bus.h"

#include <errno.h>
#include <string.h>

int kt_kvm_bus_add(struct kt_kvm_bus *bus, struct kt_kvm_range *range)
{
	if (bus->n == KT_KVM_BUS_MAX)
		return -ENOSPC;
	bus->ranges[bus->n++] = range;
	return 0;
}

static struct kt_kvm_range *find(const struct kt_kvm_bus *bus, uint64_t at, unsigned int len)
{
	for (size_t i = 0; i < bus->n; i++) {
		struct kt_kvm_range *range = bus->ranges[i];

		if (at >= range->base && at - range->base < range->len &&
		    len <= range->len - (at - range->base))
			return range;
	}
	return NULL;
}

void kt_kvm_bus_read(const struct kt_kvm_bus *bus, uint64_t at, uint8_t *bytes, unsigned int len)
{
	const struct kt_kvm_range *range = find(bus, at, len);

	memset(bytes, 0xff, len);
	if (range)
		range->read(range->data, at - range->base, bytes, len);
}

void kt_kvm_bus_write(const struct kt_kvm_bus *bus, uint64_t at, const uint8_t *bytes,
		      unsigned int len)
{
	const struct kt_kvm_range *range = find(bus, at, len);

	if (range)
		range->write(range->data, at - range->base, bytes, len);
}
