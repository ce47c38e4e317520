/* SPDX-License-Identifier: MIT */
#include "util/calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * Lists of what is refused, not of what is allowed: a session runs the C library, QEMU, and what a
 * test's author wrote, and which harmless calls these make changes with their versions. The threads
 * of vCPUs, in which guest code runs, have a list of what is allowed (vmm/kvm/confine.c).
 *
 * A filter is made of pieces, each of which leaves the number of the call in the accumulator when
 * it does not decide.
 */

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1u << 2)
#endif

#define X32_BIT 0x40000000u

#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

#define LOAD(member)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define RETURN(action)     BPF_STMT(BPF_RET | BPF_K, action)
#define ERROR(number)      RETURN(SECCOMP_RET_ERRNO | (number))
#define UNLESS(op, k, n)   BPF_JUMP(BPF_JMP | (op) | BPF_K, k, 0, n)
#define REFUSE(name)       UNLESS(BPF_JEQ, SYS_##name, 1), ERROR(EPERM)
#define REFUSE_AS(name, e) UNLESS(BPF_JEQ, SYS_##name, 1), ERROR(e)
/* Refuses @name when its argument has, or equals, a value: @op is BPF_JSET or BPF_JEQ. */
#define REFUSE_IF(name, argument, op, value)                                                       \
	UNLESS(BPF_JEQ, SYS_##name, 4), LOAD(args[argument]), UNLESS(op, value, 1), ERROR(EPERM),  \
		LOAD(nr)
/* Refuses @name unless its argument has, or equals, a value. */
#define REFUSE_UNLESS(name, argument, op, value)                                                   \
	UNLESS(BPF_JEQ, SYS_##name, 4), LOAD(args[argument]),                                      \
		BPF_JUMP(BPF_JMP | (op) | BPF_K, value, 1, 0), ERROR(EPERM), LOAD(nr)

/* An x32 call has another number for the same thing. */
#define BEGIN                                                                                      \
	LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), ERROR(EPERM),    \
		LOAD(nr), UNLESS(BPF_JGE, X32_BIT, 1), ERROR(EPERM)

/* Where host[] has the jump that leaves out SOCKETS. */
#define AT_SOCKETS 6

#define SOCKETS                                                                                    \
	REFUSE_UNLESS(socket, 0, BPF_JEQ, AF_UNIX), REFUSE_UNLESS(socketpair, 0, BPF_JEQ, AF_UNIX)

static struct sock_filter host[] = {
	BEGIN,
	BPF_STMT(BPF_JMP | BPF_JA, 0),
	SOCKETS,
	/* Mounts, namespaces. clone3() has its flags in memory: the C library uses clone() then. */
	REFUSE(mount),
	REFUSE(umount2),
	REFUSE(pivot_root),
	REFUSE(chroot),
	REFUSE(open_tree),
	REFUSE(move_mount),
	REFUSE(fsopen),
	REFUSE(fsconfig),
	REFUSE(fsmount),
	REFUSE(fspick),
	REFUSE(mount_setattr),
	REFUSE(setns),
	REFUSE(unshare),
	REFUSE_AS(clone3, ENOSYS),
	REFUSE_IF(clone, 0, BPF_JSET, NEW_NAMESPACES),
	/* The kernel itself, and calls that have been a way into it. */
	REFUSE(init_module),
	REFUSE(finit_module),
	REFUSE(delete_module),
	REFUSE(kexec_load),
	REFUSE(kexec_file_load),
	REFUSE(reboot),
	REFUSE(bpf),
	REFUSE(perf_event_open),
	REFUSE(userfaultfd),
	REFUSE(io_uring_setup),
	REFUSE(keyctl),
	REFUSE(add_key),
	REFUSE(request_key),
	REFUSE(syslog),
	REFUSE(acct),
	REFUSE(quotactl),
	REFUSE(swapon),
	REFUSE(swapoff),
	REFUSE(iopl),
	REFUSE(ioperm),
	REFUSE(modify_ldt),
	REFUSE(fanotify_init),
	REFUSE(open_by_handle_at),
	/* The host's names and clocks, and its terminals. */
	REFUSE(sethostname),
	REFUSE(setdomainname),
	REFUSE(settimeofday),
	REFUSE(clock_settime),
	REFUSE(clock_adjtime),
	REFUSE(adjtimex),
	REFUSE(vhangup),
	REFUSE_IF(ioctl, 1, BPF_JEQ, TIOCSTI),
	/* Other processes. */
	REFUSE(ptrace),
	REFUSE(pidfd_getfd),
	REFUSE(kcmp),
	/* Owners of files, which Landlock leaves alone, as it does modes, which the cache sets. */
	REFUSE(chown),
	REFUSE(fchown),
	REFUSE(lchown),
	REFUSE(fchownat),
	REFUSE(setxattr),
	REFUSE(lsetxattr),
	REFUSE(fsetxattr),
	REFUSE(removexattr),
	REFUSE(lremovexattr),
	REFUSE(fremovexattr),
	REFUSE(mknod),
	REFUSE(mknodat),
	RETURN(SECCOMP_RET_ALLOW),
};

static struct sock_filter programs[] = {
	BEGIN,
	REFUSE(execve),
	REFUSE(execveat),
	REFUSE(fork),
	REFUSE(vfork),
	REFUSE_AS(clone3, ENOSYS),
	REFUSE_UNLESS(clone, 0, BPF_JSET, CLONE_THREAD),
	RETURN(SECCOMP_RET_ALLOW),
};

bool kt_calls_can_refuse(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Before 5.16 a filter slows its process down against Spectre unless it is told not to. */
static int install(struct sock_filter *filter, size_t n, struct kt_err *reterr)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = filter };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) < 0)
		return kt_err_set(reterr, -errno, "system calls cannot be refused (seccomp): %m");
	return 0;
}

int kt_calls_refuse_host(bool network, struct kt_err *reterr)
{
	static const struct sock_filter left_out[] = { SOCKETS };

	host[AT_SOCKETS].k = network ? KT_ARRAY_LEN(left_out) : 0;
	return install(host, KT_ARRAY_LEN(host), reterr);
}

int kt_calls_refuse_programs(struct kt_err *reterr)
{
	return install(programs, KT_ARRAY_LEN(programs), reterr);
}
