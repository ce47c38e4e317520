/* SPDX-License-Identifier: MIT */
/* A vmlinux or bzImage that is loaded into the RAM of a KVM guest. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/kvm/boot.h"

#define RAM_MIB 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = (size_t)RAM_MIB << 20;
	/* A page that cannot be accessed follows the RAM. */
	uint8_t *host = mmap(NULL, len + 4096, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct kt_kvm_boot boot = {
		.kernel = kt_fuzz_file(data, size),
		.initramfs_fd = memfd_create("initramfs", MFD_CLOEXEC),
		.cmdline = "console=ttyS0",
	};
	struct kt_kvm_ram ram = KT_KVM_RAM_NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_kvm_entry entry;
	int r;

	KT_FUZZ_ASSERT(host != MAP_FAILED && boot.initramfs_fd >= 0);
	KT_FUZZ_ASSERT(mprotect(host, len, PROT_READ | PROT_WRITE) == 0);
	KT_FUZZ_ASSERT(write(boot.initramfs_fd, "070701", 6) == 6);
	KT_FUZZ_ASSERT(kt_kvm_ram_init(&ram, host, RAM_MIB, 1) == 0);
	r = kt_kvm_boot_load(&boot, &ram, &entry, &err);
	KT_FUZZ_ASSERT(r == 0 || (r < 0 && err.text[0]));
	KT_FUZZ_ASSERT(r < 0 || entry.rbx || entry.rsi);
	KT_FUZZ_ASSERT(r < 0 || memmem(host, len, boot.cmdline, strlen(boot.cmdline) + 1));
	(void)close(boot.initramfs_fd);
	(void)munmap(host, len + 4096);
	return 0;
}
