/* SPDX-License-Identifier: MIT */
/* A bzImage whose vmlinux is decompressed. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "framework/kernel/image.h"
#include "tests/fuzz/fuzz.h"

/* A few bytes can expand to gigabytes; writing fails beyond this length. */
#define VMLINUX_MAX (4u << 20)

static int make_target(char *path, size_t room)
{
	static const struct rlimit limit = { VMLINUX_MAX, VMLINUX_MAX };
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);

	KT_FUZZ_ASSERT(fd >= 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)snprintf(path, room, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char vmlinux[64];
	static int fd = -1;
	const char *path = kt_fuzz_file(data, size);
	struct kt_err err = KT_ERR_NULL;
	enum kt_kernel_format format;

	if (fd < 0)
		fd = make_target(vmlinux, sizeof(vmlinux));
	if (kt_kernel_detect(path, &format, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	else if (format == KT_KERNEL_BZIMAGE && kt_kernel_extract(path, vmlinux, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	return 0;
}
