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

#define LOOPS            25000u
#define INSTRUCTIONS     (2 * LOOPS)
#define USABLE_MIPS      100.0 /* hardware reaches thousands, emulation less than two */
#define PROBE_TIMEOUT_NS (2 * KT_NSEC_PER_SEC)

/*
 * A forked child makes a virtual machine with one page of memory, runs a loop in it and times
 * KVM_RUN, which cannot be given a deadline: the parent kills the child instead. The child
 * releases nothing, because it exits.
 */

/* 32-bit protected mode: mov ecx, LOOPS; 1: dec ecx; jnz 1b; hlt */
static const uint8_t program[] = {
	0xb9, LOOPS & 0xff, LOOPS >> 8 & 0xff, 0, 0, 0x49, 0x75, 0xfd, 0xf4,
};

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
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat;
	flat.type = 3;
	flat.selector = 16;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	sregs.cr0 |= 1; /* PE */
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* One page of memory at address 0 holds the program, and a vCPU is about to execute it. */
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

/* Runs in the child. */
static int measure(int kvm, double *ret_mips)
{
	uint64_t began_ns;
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
	began_ns = kt_now_ns();
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return -errno;
	/* HLT is the last instruction: any other exit means that the loop was not executed. */
	if (run->exit_reason != KVM_EXIT_HLT)
		return -EIO;
	*ret_mips = INSTRUCTIONS * 1e3 / (double)KT_MAX(kt_now_ns() - began_ns, UINT64_C(1));
	return 0;
}

/* What the child writes to its pipe. */
struct answer {
	int result;  /* 0 or a negative errno */
	double mips; /* million instructions per second */
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
		answer.result = measure(kvm, &answer.mips);
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

	probe->present = stat(KVM_DEVICE, &st) == 0;
	if (!probe->present)
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

void kt_kvm_probe(struct kt_kvm_probe *ret_probe)
{
	KT_CLOSE int kvm = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	struct kt_kvm_probe probe = { .present = true };
	struct answer answer;

	if (kvm < 0) {
		explain_open(&probe, errno);
		*ret_probe = probe;
		return;
	}
	answer = measure_in_child(kvm);
	probe.mips = answer.mips;
	if (answer.result < 0)
		(void)snprintf(probe.reason, sizeof(probe.reason), "kvm present but fails: %s",
			       strerror(-answer.result));
	else if (answer.mips < USABLE_MIPS)
		(void)snprintf(probe.reason, sizeof(probe.reason),
			       "kvm present but emulated, %.1f MIPS", answer.mips);
	else
		probe.usable = true;
	*ret_probe = probe;
}
