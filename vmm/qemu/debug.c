/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/debug.h"

#include <errno.h>

#include "vmm/qemu/state.h"

/* The gdbstub stops a machine that runs at the first byte, so that QMP has to do so first. */
int kt_qemu_registers(struct kt_machine *machine, unsigned int vcpu,
		      struct kt_registers *ret_registers, uint64_t deadline_ns,
		      struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	bool pause = !qemu->paused;
	int r = 0, resumed = 0;

	if (!qemu->gdb || vcpu >= qemu->n_vcpus)
		return kt_err_set(reterr, -ERANGE, "there is no vCPU %u: the machine has %u", vcpu,
				  qemu->n_vcpus);
	if (pause)
		r = kt_machine_pause(machine, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = kt_gdb_select(qemu->gdb, vcpu, deadline_ns, reterr)
		    ?: kt_gdb_get_all(qemu->gdb, ret_registers, deadline_ns, reterr);
	if (pause)
		resumed = kt_machine_resume(machine, deadline_ns, r < 0 ? NULL : reterr);
	return r ?: resumed;
}
