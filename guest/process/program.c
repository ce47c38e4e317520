/* SPDX-License-Identifier: MIT */
#include "guest/process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/cgroup/cgroup.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/process.h"

#define OUTPUT_DIR "/tmp"

/* What the child needs, made before the fork: PID 1 has threads, and their locks may be held. */
struct start {
	const struct kt_program *program;
	char *path;
	char *search; /* PATH=... */
	const char **argv;
	const char **environment;
	int in, report, socket;
};

static void start_deinit(struct start *start)
{
	free(start->path);
	free(start->search);
	free(start->argv);
	free(start->environment);
	(void)kt_close(start->in);
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int make_argv(struct start *start)
{
	const struct kt_program *program = start->program;
	size_t n = 0;

	start->argv =
		calloc(count(program->args) + count(program->more_args) + 2, sizeof(*start->argv));
	if (!start->argv)
		return -ENOMEM;
	start->argv[n++] = program->binary;
	for (size_t i = 0; i < count(program->args); i++)
		start->argv[n++] = program->args[i];
	for (size_t i = 0; i < count(program->more_args); i++)
		start->argv[n++] = program->more_args[i];
	return 0;
}

static int make_environment(struct start *start)
{
	size_t k = 0;

	start->environment =
		calloc(count((const char *const *)environ) + 2, sizeof(*start->environment));
	if (!start->environment)
		return -ENOMEM;
	start->environment[k++] = start->search;
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, "PATH=", 5))
			start->environment[k++] = *at;
	}
	return 0;
}

static int prepare(struct start *start)
{
	const struct kt_program *program = start->program;
	const char *path = getenv("PATH");

	start->path = kt_format("%s/%s", program->dir, program->binary);
	start->search = kt_format("PATH=%s%s%s", program->dir, path ? ":" : "", path ?: "");
	if (!start->path || !start->search)
		return -ENOMEM;
	start->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (start->in < 0)
		return -errno;
	return make_argv(start) ?: make_environment(start);
}

/* ---- a descriptor, from the child to PID 1: unix(7), SCM_RIGHTS ---------------------------------- */

/* A message of one byte, with room for a descriptor. */
struct passing {
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} rights;
	char byte;
	struct iovec iov;
	struct msghdr message;
};

static void passing_init(struct passing *passing)
{
	*passing = (struct passing){ .byte = 0 };
	passing->iov = (struct iovec){ &passing->byte, 1 };
	passing->message = (struct msghdr){
		.msg_iov = &passing->iov,
		.msg_iovlen = 1,
		.msg_control = passing->rights.bytes,
		.msg_controllen = sizeof(passing->rights.bytes),
	};
}

static int send_fd(int socket, int fd)
{
	struct passing passing;
	struct cmsghdr *header;

	passing_init(&passing);
	header = CMSG_FIRSTHDR(&passing.message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &passing.message, 0) < 0 ? -errno : 0;
}

/* -1 when the other end was closed without one. */
static int receive_fd(int socket)
{
	struct passing passing;
	struct cmsghdr *header;
	int fd = -1;

	passing_init(&passing);
	if (recvmsg(socket, &passing.message, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	header = CMSG_FIRSTHDR(&passing.message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int hand_over(const struct start *start, struct kt_err *reterr)
{
	int fd = start->program->hand_over ? start->program->hand_over() : -EBADF;

	if (!start->program->hand_over)
		return 0;
	if (fd < 0)
		return kt_err_set(reterr, fd, "seccomp: %m");
	return send_fd(start->socket, fd) < 0 ? kt_err_set(reterr, -errno, "sendmsg: %m") : 0;
}

/* ---- the child ---------------------------------------------------------------------------------- */

/* Only returns when it fails. */
static void become(const struct start *start, struct kt_err *reterr)
{
	const struct kt_program *program = start->program;

	if (program->body) {
		(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0); /* the report too */
		_exit(program->body(program));
	}
	(void)execve(start->path, (char *const *)start->argv, (char *const *)start->environment);
	(void)kt_err_set(reterr, -errno, "cannot execute %s: %m", start->path);
}

/* Tells a failure through @report, which the exec closes. */
__attribute__((noreturn)) static void child_main(const struct start *start)
{
	const struct kt_program *program = start->program;
	struct kt_err err = KT_ERR_NULL;
	int r;

	(void)setpgid(0, 0);
	kt_process_reset_signals();
	r = program->cgroup ? kt_cgroup_attach(program->cgroup, 0, &err) : 0;
	if (r == 0 && chdir(program->dir) < 0)
		(void)kt_err_set(&err, -errno,
				 "%s: %m; is it in .payloads or .schedulers of the test?",
				 program->dir);
	else if (r == 0 &&
		 (dup2(start->in, 0) < 0 || dup2(program->out, 1) < 0 || dup2(program->err, 2) < 0))
		(void)kt_err_set(&err, -errno, "its standard streams: %m");
	else if (r == 0 && hand_over(start, &err) == 0)
		become(start, &err);
	(void)kt_write_full(start->report, &err, sizeof(err));
	_exit(127);
}

static int fork_child(struct start *start, pid_t *ret_pid, int *ret_pidfd, struct kt_err *reterr)
{
	KT_CLOSE int report = -1, socket = -1;
	struct kt_err failure;
	int ends[2], sockets[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	report = ends[0];
	start->report = ends[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
		(void)kt_close(ends[1]);
		return kt_err_set(reterr, -errno, "socketpair: %m");
	}
	socket = sockets[0];
	start->socket = sockets[1];
	pid = fork();
	if (pid == 0)
		child_main(start);
	(void)kt_close(ends[1]);
	(void)kt_close(sockets[1]);
	if (pid < 0)
		return kt_err_set(reterr, -errno, "fork: %m");
	*ret_pid = pid;
	(void)setpgid(pid, pid); /* here too: who kills the group must not be too early */
	*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*ret_pidfd < 0)
		return kt_err_set(reterr, -errno, "pidfd_open: %m");
	if (start->program->hand_over)
		*start->program->ret_handed = receive_fd(socket);
	if (kt_read_full(report, &failure, sizeof(failure)) < 0)
		return 0;
	return kt_err_set(reterr, -ENOEXEC, "%s", failure.text);
}

int kt_program_start(const struct kt_program *program, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr)
{
	KT_CLEANUP(start_deinit) struct start start = { .program = program, .in = -1 };
	int r = prepare(&start);

	if (r < 0)
		return kt_err_set(reterr, r, "preparing it: %m");
	return fork_child(&start, ret_pid, ret_pidfd, reterr);
}

int kt_program_output(int *ret_fd, struct kt_err *reterr)
{
	/* Appending: a shell's "> /dev/stderr" opens it anew, from the beginning. */
	*ret_fd = open(OUTPUT_DIR, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "a file in " OUTPUT_DIR ": %m") : 0;
}
