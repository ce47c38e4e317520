/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * A list of what the thread of a vCPU calls: KVM, the eventfds of devices, the loop's epoll, locks,
 * the kick of other vCPUs, and what the C library needs for memory, signals and the end of a
 * thread. Everything else ends the process: a thread that does it is no longer ours.
 *
 * Of ioctl(), only KVM's requests are allowed. Opening fails instead of killing, since old C
 * libraries count the CPUs in /sys when a thread allocates for the first time.
 *
 * An x32 call has a number of its own, with bit 30 set, and so is on no list.
 */

#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(name)                                                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define KILL         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/* The type of an ioctl request is its second byte. */
#define REQUEST_TYPE 0xff00u

static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	KILL,
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5),
	LOAD(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, REQUEST_TYPE),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVMIO << 8, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
	/* Eventfds, and sources of the loop. */
	ALLOW(read),
	ALLOW(write),
	ALLOW(eventfd2),
	ALLOW(epoll_ctl),
	ALLOW(close),
	/* Locks, the kick, and its handler. */
	ALLOW(futex),
	ALLOW(tgkill),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(rt_sigreturn),
	ALLOW(rt_sigprocmask),
	ALLOW(restart_syscall),
	/* Memory. */
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mprotect),
	ALLOW(madvise),
	ALLOW(mremap),
	ALLOW(brk),
	ALLOW(sched_getaffinity),
	REFUSE(open),
	REFUSE(openat),
	/* Time, and the end: abort() raises a signal; sanitizers have a stack for handlers. */
	ALLOW(clock_gettime),
	ALLOW(sched_yield),
	ALLOW(rseq),
	ALLOW(set_robust_list),
	ALLOW(sigaltstack),
	ALLOW(rt_sigaction),
	ALLOW(exit),
	ALLOW(exit_group),
	KILL,
};

int kt_kvm_confine(struct kt_err *reterr)
{
	struct sock_fprog program = { .len = KT_ARRAY_LEN(filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return kt_err_set(reterr, -errno, "PR_SET_NO_NEW_PRIVS: %m");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return kt_err_set(reterr, -errno,
				  "the thread of a vCPU cannot be confined (seccomp): %m");
	return 0;
}
