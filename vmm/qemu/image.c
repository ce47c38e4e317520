/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/image.h"

#include <errno.h>
#include <jansson.h>
#include <unistd.h>

#include "vmm/qemu/ending.h"
#include "vmm/qemu/qmp.h"
#include "vmm/qemu/state.h"
#include "vmm/qemu/stop.h"

/*
 * The state does not contain the RAM. With the capability x-ignore-shared QEMU leaves shared memory
 * out when it saves, and does not expect it when it restores: the RAM file has it.
 */
static json_t *capabilities(bool events)
{
	return json_pack("{s[{ss sb}{ss sb}]}", "capabilities", "capability", "x-ignore-shared",
			 "state", 1, "capability", "events", "state", events);
}

/* QEMU opens the file anew through /proc, so that it has a file position of its own. */
static json_t *state_uri(int fd)
{
	return json_pack("{so}", "uri", json_sprintf("file:/proc/%d/fd/%d", (int)getpid(), fd));
}

int kt_qemu_ask_restore(struct qemu *qemu, int state_fd, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	int r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL)
			?: kt_qmp_send(qemu->qmp, "migrate-set-capabilities",
				       capabilities(qemu->paused));

	if (r < 0)
		return kt_err_set(reterr, r, "QMP: %m");
	r = kt_qemu_begin_guard(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	/* Announcing the machine to a network has timers of the host, which end vCPUs' turns. */
	r = kt_qmp_send(qemu->qmp, "migrate-set-parameters",
			json_pack("{si}", "announce-rounds", 0))
		    ?: kt_qmp_send(qemu->qmp, "migrate-incoming", state_uri(state_fd));
	return r < 0 ? kt_err_set(reterr, r, "QMP: %m") : 0;
}

int kt_qemu_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		 struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_qmp *qmp = qemu->qmp;
	int r;

	/*
	 * "migrate" waits for the vCPUs before it stops them, in vain if the guest is in a host
	 * call. A machine that is stopped would be restored stopped, if the state told it: see
	 * add_host_calls() of argv.c.
	 */
	r = kt_qemu_end_guard(qemu, deadline_ns, reterr);
	if (r == 0 && qemu->stand_fd >= 0)
		r = kt_qemu_pause(machine, deadline_ns, reterr);
	if (r < 0)
		return kt_qemu_explain_loss(qemu, r, reterr);
	r = kt_qmp_execute(qmp, "migrate-set-capabilities", capabilities(true), deadline_ns, NULL,
			   reterr) ?:
	    kt_qmp_execute(qmp, "migrate", state_uri(state_fd), deadline_ns, NULL, reterr) ?:
	    kt_qmp_wait(qmp, &qemu->migrated, "saved state", deadline_ns, reterr);
	if (r == 0 && qemu->migration_failed)
		r = kt_err_set(reterr, -EIO, "QEMU could not save the state of the machine");
	return r < 0 ? kt_qemu_explain_loss(qemu, r, reterr) : 0;
}
