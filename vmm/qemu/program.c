/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/process.h"
#include "vmm/qemu/qemu.h"

#define VERSION_TIMEOUT_NS (60 * KT_NSEC_PER_SEC)

/* Which QEMU programs there are, and what a version of QEMU can do. */

int kt_qemu_find(const char *name, struct kt_qemu_program *ret_program, struct kt_err *reterr)
{
	if (kt_process_find(name, ret_program->path, sizeof(ret_program->path)) < 0)
		return kt_err_set(reterr, -ENOENT,
				  "no QEMU: '%s' is not an executable file or in PATH; install "
				  "qemu-system-x86 (8.2 or newer), or name it with --qemu",
				  name);
	return 0;
}

int kt_qemu_version(struct kt_qemu_program *program, struct kt_err *reterr)
{
	const char *const argv[] = { program->path, "--version", NULL };
	KT_FREE char *text = NULL;
	const char *at;
	int r;

	r = kt_process_output(argv, kt_now_ns() + VERSION_TIMEOUT_NS, &text, reterr);
	if (r < 0)
		return r;
	at = strstr(text, "version ");
	if (!at || sscanf(at, "version %u.%u", &program->major, &program->minor) != 2)
		return kt_err_set(reterr, -EINVAL, "'%s --version' does not name a version: %.80s",
				  program->path, text);
	return 0;
}

/* QEMU reads its options before it looks at -version. */
void kt_qemu_try_sandbox(struct kt_qemu_program *program)
{
	const char *const argv[] = { program->path, "-sandbox", KT_QEMU_SANDBOX, "-version", NULL };
	KT_FREE char *text = NULL;

	program->sandbox =
		kt_process_output(argv, kt_now_ns() + VERSION_TIMEOUT_NS, &text, NULL) == 0;
}

static bool is_at_least(const struct kt_qemu_program *program, unsigned int major,
			unsigned int minor)
{
	return program->major > major || (program->major == major && program->minor >= minor);
}

bool kt_qemu_multi_thread_is_safe(const struct kt_qemu_program *program)
{
	return is_at_least(program, 8, 1);
}

bool kt_qemu_can_save(const struct kt_qemu_program *program)
{
	return is_at_least(program, 8, 2);
}
