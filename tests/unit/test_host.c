/* SPDX-License-Identifier: MIT */
/* What the host can do: how KVM is judged by its timings, and when measurements hold no more. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "util/clock.h"
#include "vmm/host.h"
#include "vmm/kvm/probe.h"

UNIT_SUITE(kvm);
UNIT_SUITE(host_hash);

#define US KT_NSEC_PER_USEC
#define MS KT_NSEC_PER_MSEC

/* Every round takes the same, until a test says otherwise. */
static struct kt_kvm_times times_of(uint64_t first_ns, uint64_t short_ns, uint64_t long_ns)
{
	struct kt_kvm_times times = { .first_ns = first_ns };

	for (unsigned int i = 0; i < KT_KVM_ROUNDS; i++) {
		times.short_ns[i] = short_ns;
		times.long_ns[i] = long_ns;
	}
	return times;
}

static struct kt_kvm_probe judge(const struct kt_kvm_times *times)
{
	struct kt_kvm_probe probe = { .opened = true };

	kt_kvm_judge(times, &probe);
	cr_assert(eq(int, probe.usable, !probe.reason[0]), "a reason if and only if it is not");
	return probe;
}

Test(kvm, hardware_is_real)
{
	struct kt_kvm_times times = times_of(80 * US, 2 * US, 15 * US);

	cr_assert(judge(&times).usable);
}

/* Under nested virtualisation the first entry takes 30 ms, and each one longer than its loop. */
Test(kvm, entries_are_not_held_against_it)
{
	struct kt_kvm_times times = times_of(30 * MS, 3 * MS, 3 * MS + 400 * US);
	struct kt_kvm_probe probe = judge(&times);

	cr_assert(probe.usable, "%s", probe.reason);
	cr_assert(eq(dbl, probe.mips, 125.0));
}

Test(kvm, emulation_is_told_with_its_figure)
{
	struct kt_kvm_times times = times_of(1 * MS, 1 * MS, 1 * MS + 29400 * US);
	struct kt_kvm_probe probe = judge(&times);

	cr_assert(not(probe.usable));
	cr_assert(eq(str, probe.reason, "kvm present but emulated, 1.7 MIPS"));
}

/* On a busy host most runs are interrupted for milliseconds; one round of each kind is not. */
Test(kvm, a_busy_host_changes_no_verdict)
{
	struct kt_kvm_times real = times_of(40 * MS, 9 * MS, 24 * MS);
	struct kt_kvm_times emulated = times_of(40 * MS, 31 * MS, 61 * MS);

	real.short_ns[0] = 2 * US;
	real.long_ns[3] = 15 * US;
	cr_assert(judge(&real).usable);
	emulated.short_ns[KT_KVM_ROUNDS - 1] = 600 * US;
	emulated.long_ns[0] = 30 * MS;
	cr_assert(not(judge(&emulated).usable));
}

/* The loop is lost in the noise of the entries: it takes no time at all. */
Test(kvm, a_long_loop_that_is_quicker_is_real)
{
	struct kt_kvm_times times = times_of(1 * MS, 50 * US, 48 * US);

	cr_assert(judge(&times).usable);
}

/* ---- when measurements hold no more ---------------------------------------------------------- */

#define CPU(flags, microcode, mhz)                                                                 \
	"processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 2\n"                                \
	"microcode\t: " microcode "\ncpu MHz\t\t: " mhz "\nflags\t\t: " flags "\n\n"

static const char *hash(const char *boot_id, const char *kernel, const char *cpuinfo)
{
	static char hex[KT_HOST_HASH_LEN + 1];

	kt_host_hash(boot_id, kernel, cpuinfo, hex);
	cr_assert(eq(sz, strlen(hex), KT_HOST_HASH_LEN));
	return hex;
}

Test(host_hash, changes_with_what_the_host_can_do)
{
	const char *const cpu = CPU("fpu svm", "0x1", "2596.1");
	char first[KT_HOST_HASH_LEN + 1];

	strcpy(first, hash("b", "6.1 #1", cpu));
	cr_assert(ne(str, (char *)hash("c", "6.1 #1", cpu), first), "boot");
	cr_assert(ne(str, (char *)hash("b", "6.2 #1", cpu), first), "kernel");
	cr_assert(ne(str, (char *)hash("b", "6.1 #1", CPU("fpu", "0x1", "2596.1")), first),
		  "flags");
	cr_assert(ne(str, (char *)hash("b", "6.1 #1", CPU("fpu svm hypervisor", "0x1", "2596.1")),
		     first),
		  "hypervisor");
	cr_assert(ne(str, (char *)hash("b", "6.1 #1", CPU("fpu svm", "0x2", "2596.1")), first),
		  "microcode");
}

Test(host_hash, does_not_change_with_measurements_and_further_processors)
{
	char first[KT_HOST_HASH_LEN + 1];

	strcpy(first, hash("b", "6.1", CPU("fpu svm", "0x1", "2596.1")));
	cr_assert(eq(str, (char *)hash("b", "6.1", CPU("fpu svm", "0x1", "800.0")), first), "MHz");
	cr_assert(eq(str, (char *)hash("b", "6.1", CPU("fpu svm", "0x1", "800.0") "flags\t: x\n"),
		     first),
		  "the next processor");
	cr_assert(eq(str, (char *)hash("b", "6.1", CPU("fpu svm", "0x1", "800.0") "flags\t: cut"),
		     first),
		  "and one that is cut off");
	(void)hash("", "", "");
}
