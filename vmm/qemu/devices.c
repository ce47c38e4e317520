/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/devices.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmm/qemu/state.h"

/*
 * QEMU's command for Xen's toolstack writes what a migration writes, but no RAM, whether that is
 * shared or private. It leaves the machine as it was.
 */
int kt_qemu_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			 struct kt_err *reterr)
{
	json_t *file = json_sprintf("/proc/%d/fd/%d", (int)getpid(), state_fd);

	return kt_qmp_execute(kt_qemu_of(machine)->qmp, "xen-save-devices-state",
			      json_pack("{so sb}", "filename", file, "live", false), deadline_ns,
			      NULL, reterr);
}

/* Each comma in a value is doubled, as QEMU's options want it. */
static char *escape_commas(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1), *to = escaped;

	for (; escaped && *text; text++) {
		if (*text == ',')
			*to++ = ',';
		*to++ = *text;
	}
	if (escaped)
		*to = '\0';
	return escaped;
}

/*
 * Only the monitor for people has this command. It answers with its errors; what it has done is
 * seen by the socket. The stub that this project itself talks to is replaced.
 */
int kt_qemu_serve_gdb(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
		      struct kt_err *reterr)
{
	KT_FREE char *escaped = escape_commas(path);
	json_t *line = json_sprintf("gdbserver unix:%s,server=on,wait=off", escaped ?: "");
	json_t *answer = NULL;
	int r;

	if (!escaped) {
		json_decref(line);
		return kt_err_oom(reterr);
	}
	r = kt_qmp_execute(kt_qemu_of(machine)->qmp, "human-monitor-command",
			   json_pack("{so}", "command-line", line), deadline_ns, &answer, reterr);
	if (r == 0 && access(path, F_OK) < 0)
		r = kt_err_set(reterr, -EIO, "QEMU does not serve gdb on '%s': %.200s", path,
			       json_string_value(answer) ?: "");
	json_decref(answer);
	return r;
}
