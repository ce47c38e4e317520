/* SPDX-License-Identifier: MIT */
#include "vmm/machine.h"

#include "util/cleanup.h"

const char *kt_accel_name(enum kt_accel accel)
{
	static const char *const names[] = { [KT_ACCEL_TCG] = "tcg", [KT_ACCEL_KVM] = "kvm" };

	return names[accel];
}

int kt_machine_start(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr)
{
	return machine->ops->start(machine, config, reterr);
}

int kt_machine_port_write(struct kt_machine *machine, const void *bytes, size_t len)
{
	return machine->ops->port_write(machine, bytes, len);
}

int kt_machine_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	return machine->ops->pause(machine, deadline_ns, reterr);
}

int kt_machine_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	return machine->ops->resume(machine, deadline_ns, reterr);
}

struct kt_machine *kt_machine_destroy(struct kt_machine *machine)
{
	if (machine)
		machine->ops->destroy(machine);
	return NULL;
}
