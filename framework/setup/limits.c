/* SPDX-License-Identifier: MIT */
#include "framework/setup/limits.h"

#include <sys/sysinfo.h>

#include "framework/setup/time.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * A boot takes 2 to 4 s under TCG, and each vCPU adds 0.3 s (32 vCPUs on two cores of a host: 13
 * s). The limits leave ten times as much for a host that does other work.
 */
#define BOOT_LIMIT_NS         (60 * KT_NSEC_PER_SEC)
#define BOOT_CPUS             4u /* are within BOOT_LIMIT_NS */
#define BOOT_CPU_TCG_LIMIT_NS (4 * KT_NSEC_PER_SEC)
#define BOOT_CPU_KVM_LIMIT_NS (KT_NSEC_PER_SEC / 2)

/* Measured with kernels 6.16 and 7.3: per-CPU areas, the stacks of kernel threads and caches. */
#define CPU_MIB    1u
#define KERNEL_MIB 1u /* besides */

/* How much longer than on a quiet host what needs no CPU time of its own may take. */
#define BUSY_HOST 10

uint64_t kt_setup_hang_limit_ns(const struct kt_setup *setup, const struct kt_test *test,
				uint64_t limit_ns)
{
	return kt_setup_time(setup, test) == KT_TIME_VIRTUAL ? limit_ns * BUSY_HOST : limit_ns;
}

uint64_t kt_setup_boot_limit_ns(const struct kt_setup *setup, const struct kt_test *test)
{
	bool is_kvm = setup->host.accel == KT_ACCEL_KVM;
	unsigned int vcpus = kt_test_vcpus(test);
	uint64_t limit_ns = BOOT_LIMIT_NS;
	double factor;

	if (setup->options->boot_timeout_ns)
		return setup->options->boot_timeout_ns;
	if (vcpus > BOOT_CPUS)
		limit_ns += (vcpus - BOOT_CPUS) *
			    (is_kvm ? BOOT_CPU_KVM_LIMIT_NS : BOOT_CPU_TCG_LIMIT_NS);
	/* The default multiplier is that of the accelerator, which is in the limit already. */
	factor = setup->options->timeout_multiplier / kt_setup_default_multiplier(&setup->host);
	return factor > 1 ? (uint64_t)((double)limit_ns * factor) : limit_ns;
}

/*
 * The kernel is loaded where it was linked to, from 16 MiB on. The initramfs is in memory twice
 * while it is unpacked: as the archive that the loader has put there, and as files.
 */
unsigned int kt_setup_least_mib(const struct kt_setup *setup, const struct kt_kernel *kernel,
				const struct kt_test *test)
{
	uint64_t files = kt_image_bytes(setup->image, KT_PACKAGES_NONE, NULL);
	uint64_t bytes = kernel->facts.memory_end + 2 * files;

	return (unsigned int)((bytes + (1u << 20) - 1) >> 20) + KERNEL_MIB +
	       CPU_MIB * kt_test_vcpus(test);
}

/* A machine's RAM is one mapping, which the kernel of the host refuses beyond RAM and swap. */
static uint64_t host_mib(void)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return UINT64_MAX;
	return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit >> 20;
}

char *kt_setup_machine_fault(const struct kt_setup *setup, const struct kt_kernel *kernel,
			     const struct kt_test *test)
{
	unsigned int mib = kt_test_memory_mib(test);
	unsigned int least = kt_setup_least_mib(setup, kernel, test), vcpus = kt_test_vcpus(test);
	uint64_t host = host_mib();

	if (mib < least)
		return kt_format("%s: .memory_mib is %u; kernel %s and the initramfs need at least "
				 "%u MiB with %u CPU%s",
				 test->name, mib, kernel->facts.release, least, vcpus,
				 vcpus == 1 ? "" : "s");
	if (mib > host)
		return kt_format("%s: .memory_mib is %u: the machine is larger than this host, "
				 "which has %llu MiB of memory and swap",
				 test->name, mib, (unsigned long long)host);
	return NULL;
}
