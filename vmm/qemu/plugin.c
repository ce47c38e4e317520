/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/qemu/plugin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"

#define PROBE_TIMEOUT_NS (60 * KT_NSEC_PER_SEC)

/* The plugin's bytes: util/embed.sh. */
extern const uint8_t kt_plugin_begin[], kt_plugin_end[];

int kt_plugin_open(int *ret_fd)
{
	KT_CLOSE int fd = memfd_create("ktest-plugin", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = kt_write_full(fd, kt_plugin_begin, (size_t)(kt_plugin_end - kt_plugin_begin));
	if (r < 0)
		return r;
	*ret_fd = kt_steal_fd(fd);
	return 0;
}

uint64_t kt_plugin_hash(void)
{
	return XXH3_64bits(kt_plugin_begin, (size_t)(kt_plugin_end - kt_plugin_begin));
}

/* The plugin ends QEMU itself before there is a machine. */
int kt_qemu_try_plugin(const struct kt_qemu_program *program, struct kt_err *reterr)
{
	KT_FREE char *argument = NULL, *text = NULL;
	KT_CLOSE int fd = -1;
	const char *argv[] = { program->path, "-M",   "none",    "-accel", "tcg",
			       "-display",    "none", "-plugin", NULL,     NULL };
	int r = kt_plugin_open(&fd);

	if (r < 0)
		return kt_err_set(reterr, r, "the plugin of QEMU: %m");
	argument = kt_format("/proc/%d/fd/%d,probe=on", (int)getpid(), fd);
	if (!argument)
		return kt_err_oom(reterr);
	argv[8] = argument;
	r = kt_process_output(argv, kt_now_ns() + PROBE_TIMEOUT_NS, &text, reterr);
	if (r < 0)
		return r;
	if (!strstr(text, "ktest plugin: ok"))
		return kt_err_set(reterr, -ENOEXEC, "QEMU does not load plugins");
	return 0;
}
