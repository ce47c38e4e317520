/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/power.h"

#include <string.h>

#include "vmm/kvm/map.h"

/* Neither register holds anything: the sleep status never says that the machine woke up. */
static void read_zeros(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	(void)data;
	(void)offset;
	memset(bytes, 0, len);
}

static void write_sleep(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_power_port *port = data;

	(void)len;
	if (offset == 0 && bytes[0] == KT_KVM_SLEEP_OFF)
		port->wanted(port->data, KT_KVM_POWER_OFF);
}

static void write_reset(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_power_port *port = data;

	(void)offset;
	(void)len;
	if (bytes[0] == KT_KVM_RESET_VALUE)
		port->wanted(port->data, KT_KVM_POWER_RESET);
}

void kt_kvm_power_put_vector(const struct kt_kvm_ram *ram)
{
	static const uint8_t code[] = {
		0xba,
		KT_KVM_PORT_RESET & 0xff,
		KT_KVM_PORT_RESET >> 8, /* mov $port, %dx */
		0xb0,
		KT_KVM_RESET_VALUE, /* mov $value, %al */
		0xee,               /* out %al, (%dx) */
		0xf4,
		0xeb,
		0xfd, /* hlt; jmp to the hlt */
	};

	_Static_assert(sizeof(code) <= KT_KVM_RESET_VECTOR_LEN, "it ends before 1 MiB");
	memcpy(kt_kvm_ram_at(ram, KT_KVM_RESET_VECTOR_GPA, sizeof(code)), code, sizeof(code));
}

int kt_kvm_power_init(struct kt_kvm_power_port *port, struct kt_kvm_bus *ports)
{
	int r;

	port->sleep = (struct kt_kvm_range){
		.base = KT_KVM_PORT_SLEEP_CONTROL,
		.len = KT_KVM_PORT_SLEEP_STATUS - KT_KVM_PORT_SLEEP_CONTROL + 1,
		.read = read_zeros,
		.write = write_sleep,
		.data = port,
	};
	port->reset = (struct kt_kvm_range){
		.base = KT_KVM_PORT_RESET,
		.len = 1,
		.read = read_zeros,
		.write = write_reset,
		.data = port,
	};
	r = kt_kvm_bus_add(ports, &port->sleep);
	return r ?: kt_kvm_bus_add(ports, &port->reset);
}
