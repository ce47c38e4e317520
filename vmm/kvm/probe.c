/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define KVM_DEVICE "/dev/kvm"

#define SHORT_LOOPS      500u
#define LONG_LOOPS       (SHORT_LOOPS + KT_KVM_MORE_INSTRUCTIONS / 2)
#define USABLE_MIPS      20.0 /* hardware: thousands; nested in TCG: 150; emulation: 2 */
#define PROBE_TIMEOUT_NS (2 * KT_NSEC_PER_SEC)

/*
 * A forked child makes a virtual machine with one page of memory, runs a loop in it and times
 * KVM_RUN, which cannot be given a deadline: the parent kills the child instead. The child
 * releases nothing, because it exits.
 *
 * Entering a guest may take longer than the loop: the first entry sets up page tables, and under
 * nested virtualisation each one does. A short and a long loop share that cost, so their difference
 * is that of the instructions alone. Each is timed several times, since the host may be busy: load
 * makes single runs longer, never shorter.
 */

/* 32-bit protected mode, with the number of loops in ecx: 1: dec ecx; jnz 1b; hlt */
static const uint8_t program[] = { 0x49, 0x75, 0xfd, 0xf4 };

/* Flat 32-bit segments: all of the memory is reached without page tables. */
static int enter_protected_mode(int vcpu)
{
	struct kvm_segment flat = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat;
	flat.type = 3;
	flat.selector = 16;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	sregs.cr0 |= 1; /* PE */
	return ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

/* One page of memory at address 0 holds the program for one vCPU. */
static int make_vm(int kvm, int *ret_vcpu)
{
	struct kvm_userspace_memory_region region = { .memory_size = 4096 };
	uint64_t identity_map = 0xfffbc000;
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	uint8_t *memory;

	if (vm < 0)
		return -errno;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	memcpy(memory, program, sizeof(program));
	region.userspace_addr = (uintptr_t)memory;
	/* Intel processors without "unrestricted guest" need both; others ignore them. */
	(void)ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	(void)ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	*ret_vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	return *ret_vcpu < 0 ? -errno : enter_protected_mode(*ret_vcpu);
}

/* Runs the program from its beginning, and times that. */
static int time_loops(int vcpu, const struct kvm_run *run, unsigned int loops, uint64_t *ret_ns)
{
	struct kvm_regs regs = { .rip = 0, .rcx = loops, .rflags = 2 };
	uint64_t began_ns;

	if (ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	began_ns = kt_now_ns();
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return -errno;
	*ret_ns = kt_now_ns() - began_ns;
	/* HLT is the last instruction: any other exit means that the loop was not executed. */
	return run->exit_reason == KVM_EXIT_HLT ? 0 : -EIO;
}

/* Runs in the child. */
static int measure(int kvm, struct kt_kvm_times *times)
{
	struct kvm_run *run;
	int vcpu = -1, size, r;

	r = make_vm(kvm, &vcpu);
	if (r < 0)
		return r;
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*run))
		return -EIO;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return -errno;
	r = time_loops(vcpu, run, SHORT_LOOPS, &times->first_ns);
	for (unsigned int i = 0; r == 0 && i < KT_KVM_ROUNDS; i++)
		r = time_loops(vcpu, run, SHORT_LOOPS, &times->short_ns[i])
			    ?: time_loops(vcpu, run, LONG_LOOPS, &times->long_ns[i]);
	return r;
}

/* What the child writes to its pipe. */
struct answer {
	int result; /* 0 or a negative errno */
	struct kt_kvm_times times;
};

/* Forks, measures in the child, and kills the child at the deadline. */
static struct answer measure_in_child(int kvm)
{
	struct answer answer = { .result = -ETIMEDOUT };
	struct pollfd waiting = { .events = POLLIN };
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return (struct answer){ .result = -errno };
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		answer.result = measure(kvm, &answer.times);
		(void)kt_write_full(ends[1], &answer, sizeof(answer));
		_exit(0);
	}
	(void)close(ends[1]);
	waiting.fd = ends[0];
	if (pid < 0)
		answer.result = -errno;
	/* A child that dies without an answer leaves an end of file: -EIO. */
	else if (kt_poll(&waiting, 1, kt_now_ns() + PROBE_TIMEOUT_NS) > 0 &&
		 kt_read_full(ends[0], &answer, sizeof(answer)) < 0)
		answer.result = -EIO;
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(ends[0]);
	return answer;
}

/* Says why /dev/kvm could not be opened and, if the user lacks permission, what helps. */
static void explain_open(struct kt_kvm_probe *probe, int error)
{
	struct stat st;

	if (stat(KVM_DEVICE, &st) < 0)
		(void)snprintf(probe->reason, sizeof(probe->reason), "no " KVM_DEVICE);
	else if (error == EACCES)
		(void)snprintf(probe->reason, sizeof(probe->reason),
			       "no permission for " KVM_DEVICE
			       " (group %u, mode %04o); add yourself to "
			       "that group, or: echo 'KERNEL==\"kvm\", MODE=\"0666\"' "
			       "> /etc/udev/rules.d/99-kvm.rules && udevadm trigger /dev/kvm",
			       st.st_gid, st.st_mode & 07777);
	else
		(void)snprintf(probe->reason, sizeof(probe->reason),
			       "cannot open " KVM_DEVICE ": %s", strerror(error));
}

static uint64_t least(const uint64_t *ns)
{
	uint64_t min_ns = ns[0];

	for (unsigned int i = 1; i < KT_KVM_ROUNDS; i++)
		min_ns = KT_MIN(min_ns, ns[i]);
	return min_ns;
}

void kt_kvm_judge(const struct kt_kvm_times *times, struct kt_kvm_probe *probe)
{
	uint64_t short_ns = least(times->short_ns), long_ns = least(times->long_ns);
	uint64_t more_ns = long_ns > short_ns ? long_ns - short_ns : 1;

	probe->mips = KT_KVM_MORE_INSTRUCTIONS * 1e3 / (double)more_ns;
	probe->usable = probe->mips >= USABLE_MIPS;
	if (!probe->usable)
		(void)snprintf(probe->reason, sizeof(probe->reason),
			       "kvm present but emulated, %.1f MIPS", probe->mips);
}

void kt_kvm_probe(struct kt_kvm_probe *ret_probe)
{
	KT_CLOSE int kvm = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	struct kt_kvm_probe probe = { .opened = kvm >= 0 };
	struct answer answer;

	if (kvm < 0) {
		explain_open(&probe, errno);
		*ret_probe = probe;
		return;
	}
	answer = measure_in_child(kvm);
	if (answer.result < 0)
		(void)snprintf(probe.reason, sizeof(probe.reason), "kvm present but fails: %s",
			       strerror(-answer.result));
	else
		kt_kvm_judge(&answer.times, &probe);
	*ret_probe = probe;
}
