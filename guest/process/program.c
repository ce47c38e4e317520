/* SPDX-License-Identifier: MIT */
/*
 * Starts a program as a child of PID 1, for payloads and schedulers.
 *
 * PID 1 has threads. After fork() the child has only the forking thread, and a lock that another
 * thread held stays locked for ever. So everything that the child needs is made in prepare(),
 * before the fork.
 *
 * A pipe with close-on-exec tells the outcome: it closes when the exec succeeds, or delivers the
 * error. A body that replaces the exec (struct kt_program, @body) runs after the pipe is closed.
 */
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
#define LIBRARIES  "LD_LIBRARY_PATH"

/* What the child needs. All is owned but for the strings in the two lists. */
struct start {
	const struct kt_program *program;
	char *path;               /* of the executable */
	char *search;             /* "PATH=...", with the program's directory first */
	char *libraries;          /* "LD_LIBRARY_PATH=...", likewise: for dlopen(3) of its files */
	const char **argv;        /* up to a NULL */
	const char **environment; /* up to a NULL */
	int in;                   /* /dev/null */
	int report;               /* the child's end of the pipe for its error */
	int socket;               /* the child's end of the socket for a descriptor */
};

static void start_deinit(struct start *start)
{
	free(start->path);
	free(start->search);
	free(start->libraries);
	free(start->argv);
	free(start->environment);
	(void)kt_close(start->in);
}

/* The number of strings up to the NULL; 0 for no list. */
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

/* The environment of PID 1 with another PATH and LD_LIBRARY_PATH. */
static int make_environment(struct start *start)
{
	size_t k = 0;

	start->environment =
		calloc(count((const char *const *)environ) + 3, sizeof(*start->environment));
	if (!start->environment)
		return -ENOMEM;
	start->environment[k++] = start->search;
	start->environment[k++] = start->libraries;
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, "PATH=", 5) && strncmp(*at, LIBRARIES "=", strlen(LIBRARIES "=")))
			start->environment[k++] = *at;
	}
	return 0;
}

static int prepare(struct start *start)
{
	const struct kt_program *program = start->program;
	const char *path = getenv("PATH"), *libraries = getenv(LIBRARIES);

	start->path = kt_format("%s/%s", program->dir, program->binary);
	start->search = kt_format("PATH=%s%s%s", program->dir, path ? ":" : "", path ?: "");
	start->libraries =
		kt_format(LIBRARIES "=%s%s%s", program->dir, libraries ? ":" : "", libraries ?: "");
	if (!start->path || !start->search || !start->libraries)
		return -ENOMEM;
	start->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (start->in < 0)
		return -errno;
	return make_argv(start) ?: make_environment(start);
}

/* ---- a descriptor, from the child to PID 1: unix(7), SCM_RIGHTS ------------------------------ */

/* A message of one byte and a descriptor. The union aligns the control data, as cmsg(3) shows. */
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

/* Waits for the descriptor. Returns -1 when the child has closed its end without sending one. */
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

/* In the child: calls the hook and sends the descriptor that it returns to the parent. */
static int hand_over(const struct start *start, struct kt_err *reterr)
{
	int fd = start->program->hand_over ? start->program->hand_over() : -EBADF;

	if (!start->program->hand_over)
		return 0;
	if (fd < 0)
		return kt_err_set(reterr, fd, "seccomp: %m");
	return send_fd(start->socket, fd) < 0 ? kt_err_set(reterr, -errno, "sendmsg: %m") : 0;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* Runs the body, or executes the program. Returns only when the exec fails. */
static void become(const struct start *start, struct kt_err *reterr)
{
	const struct kt_program *program = start->program;

	if (program->body) {
		/* This closes the report too: for the parent the start has succeeded. */
		(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
		_exit(program->body(program));
	}
	(void)execve(start->path, (char *const *)start->argv, (char *const *)start->environment);
	(void)kt_err_set(reterr, -errno, "cannot execute %s: %m", start->path);
}

/*
 * The child after the fork. A failure goes to the parent through the report, as a whole struct
 * kt_err. The child joins its cgroup itself, so that no work of it counts elsewhere.
 */
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

/*
 * Forks and waits until the child has executed the program. The order matters: the descriptor is
 * received before the report is read, because the child sends it before its exec.
 */
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
	/* Parent and child both call setpgid(2): the group exists, whichever of them runs first. */
	(void)setpgid(pid, pid);
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
	/*
	 * O_APPEND: a shell's "> /dev/stderr" opens the file anew, and would write at its
	 * beginning, over what is there.
	 */
	*ret_fd = open(OUTPUT_DIR, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "a file in " OUTPUT_DIR ": %m") : 0;
}
