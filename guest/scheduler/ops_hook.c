/* SPDX-License-Identifier: MIT */
/*
 * Sets the watchdog timeout of a scheduler that a program of its own loads, without the program's
 * help.
 *
 * Shortly before its exec, the child installs a seccomp filter: bpf(BPF_MAP_UPDATE_ELEM) stops
 * until the holder of the filter's descriptor has answered. That is a thread of PID 1. If the call
 * updates the struct_ops map of the scheduler, the thread overwrites timeout_ms in the memory of
 * the stopped program; then it lets the call continue.
 *
 * The thread must serve until the process has ended: each of the program's map updates waits for an
 * answer.
 */
#include "guest/scheduler/ops_hook.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "schedulers/field.h"
#include "util/cleanup.h"
#include "util/io.h"

#define THREAD_PRIORITY 98 /* SCHED_FIFO: the scheduler under test must not starve the thread */
#define TIMEOUT_FIELD   "data.timeout_ms" /* in struct bpf_struct_ops_sched_ext_ops */

/* ---- in the child ---------------------------------------------------------------------------- */

/* Notifies for bpf(BPF_MAP_UPDATE_ELEM), and allows all other system calls. */
static const struct sock_filter program[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_MAP_UPDATE_ELEM, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int kt_ops_hook_install(void)
{
	const struct sock_fprog filter = {
		.len = KT_ARRAY_LEN(program),
		.filter = (struct sock_filter *)program,
	};
	int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);

	return fd < 0 ? -errno : fd;
}

/* ---- in the parent --------------------------------------------------------------------------- */

struct kt_ops_hook {
	int pidfd;               /* of the program; borrowed */
	int fd;                  /* the seccomp listener */
	int stop;                /* an eventfd: readable when the thread has to end */
	unsigned int timeout_ms; /* what is written */
	pthread_t thread;
	struct btf *kernel; /* BTF; owned by the thread, which loads it on demand */
	atomic_uint n_set;  /* how often timeout_ms was overwritten */
};

/* The attributes of BPF_MAP_UPDATE_ELEM, as union bpf_attr has them (linux/bpf.h). */
struct map_update {
	uint32_t map_fd; /* a descriptor of the program */
	uint64_t key;
	uint64_t value; /* an address in the program */
	uint64_t flags;
};

static int find_timeout(struct kt_ops_hook *hook, const struct bpf_map_info *info,
			struct kt_field *ret_field)
{
	if (!hook->kernel)
		hook->kernel = btf__load_vmlinux_btf();
	if (!hook->kernel)
		return -errno;
	return kt_field_find(hook->kernel, info->btf_vmlinux_value_type_id, TIMEOUT_FIELD,
			     ret_field, NULL);
}

/*
 * Overwrites timeout_ms if the call updates the map of a sched_ext scheduler. Other maps stay as
 * they are, and so does another kind of struct_ops, which has no such member.
 */
static void set_timeout(struct kt_ops_hook *hook, int memory, const struct map_update *update)
{
	KT_CLOSE int map = (int)syscall(SYS_pidfd_getfd, hook->pidfd, update->map_fd, 0);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), timeout_ms = hook->timeout_ms;
	struct kt_field field;

	if (map < 0 || bpf_map_get_info_by_fd(map, &info, &len) < 0 ||
	    info.type != BPF_MAP_TYPE_STRUCT_OPS || find_timeout(hook, &info, &field) < 0 ||
	    field.bits != sizeof(timeout_ms) * 8)
		return;
	if (pwrite(memory, &timeout_ms, sizeof(timeout_ms),
		   (off_t)(update->value + field.bit_offset / 8)) == (ssize_t)sizeof(timeout_ms))
		atomic_fetch_add(&hook->n_set, 1);
}

/* Reads the attributes of the stopped call from the memory of the program. */
static void look_at(struct kt_ops_hook *hook, const struct seccomp_notif *call)
{
	struct map_update update = { 0 };
	KT_CLOSE int memory = -1;
	char path[64];
	size_t len = KT_MIN((size_t)call->data.args[2], sizeof(update));

	(void)snprintf(path, sizeof(path), "/proc/%u/mem", call->pid);
	memory = open(path, O_RDWR | O_CLOEXEC);
	/* The caller may have died before the open: then its number may be another process's. */
	if (memory < 0 || ioctl(hook->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) < 0)
		return;
	if (pread(memory, &update, len, (off_t)call->data.args[1]) == (ssize_t)len)
		set_timeout(hook, memory, &update);
}

/* The call always continues, also when it could not be looked at. */
static void serve_one(struct kt_ops_hook *hook)
{
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp answer = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (ioctl(hook->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return;
	look_at(hook, &call);
	answer.id = call.id;
	(void)ioctl(hook->fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* The thread. It ends when it is told to, or when the last process with the filter has ended. */
static void *serve(void *data)
{
	struct kt_ops_hook *hook = data;
	struct pollfd fds[] = {
		{ .fd = hook->fd, .events = POLLIN },
		{ .fd = hook->stop, .events = POLLIN },
	};

	(void)prctl(PR_SET_NAME, "ktest-ops-hook");
	while (kt_poll(fds, KT_ARRAY_LEN(fds), UINT64_MAX) >= 0 && !fds[1].revents &&
	       !(fds[0].revents & (POLLHUP | POLLERR))) {
		if (fds[0].revents & POLLIN)
			serve_one(hook);
	}
	return NULL;
}

static int start_thread(struct kt_ops_hook *hook)
{
	const struct sched_param param = { .sched_priority = THREAD_PRIORITY };
	pthread_attr_t attr;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	(void)pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	(void)pthread_attr_setschedparam(&attr, &param);
	r = pthread_create(&hook->thread, &attr, serve, hook);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

int kt_ops_hook_start(int pidfd, int fd, unsigned int timeout_ms, struct kt_ops_hook **ret_hook,
		      struct kt_err *reterr)
{
	struct kt_ops_hook *hook = calloc(1, sizeof(*hook));
	int r = hook ? 0 : -ENOMEM;

	if (hook)
		*hook = (struct kt_ops_hook){
			.pidfd = pidfd,
			.fd = fd,
			.stop = eventfd(0, EFD_CLOEXEC),
			.timeout_ms = timeout_ms,
		};
	if (hook && hook->stop < 0)
		r = -errno;
	r = r ?: start_thread(hook);
	if (r < 0) {
		if (hook)
			(void)kt_close(hook->stop);
		free(hook);
		(void)kt_close(fd);
		return kt_err_set(reterr, r, "cannot supervise its watchdog: %m");
	}
	*ret_hook = hook;
	return 0;
}

struct kt_ops_hook *kt_ops_hook_free(struct kt_ops_hook *hook)
{
	const uint64_t one = 1;

	if (!hook)
		return NULL;
	(void)kt_write_full(hook->stop, &one, sizeof(one));
	(void)pthread_join(hook->thread, NULL);
	(void)kt_close(hook->fd);
	(void)kt_close(hook->stop);
	btf__free(hook->kernel);
	free(hook);
	return NULL;
}

unsigned int kt_ops_hook_count(const struct kt_ops_hook *hook)
{
	return atomic_load(&hook->n_set);
}
