/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/qemu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/gdb.h"
#include "vmm/qemu/qmp.h"
#include "vmm/qemu/stale.h"
#include "wire/message.h"

/*
 * A QEMU child. Its channels are socket pairs: QMP, the console, the bulk port, and where it is of
 * use the gdbstub; its output is a pipe. QEMU ends by itself when the guest shuts down or resets
 * (-no-reboot), after an event that says which it was; its own exit status says nothing about the
 * guest. The end is reported when the process is gone and its channels are read to the end, so that
 * nothing it said is lost.
 */
/* Of isa-debug-exit, which older QEMUs give no event for. */
#define EXIT_PORT_STATUS ((KT_WIRE_EXIT_VALUE << 1 | 1) & 0xff)

#define STOP_TIMEOUT_NS (10 * KT_NSEC_PER_SEC) /* for a few questions to a machine that stands */

struct channel {
	struct kt_source source;
	int fd;
};

struct qemu {
	struct kt_machine machine;
	pid_t pid;
	int pidfd;
	struct kt_source process;
	struct kt_qmp *qmp;
	struct kt_source qmp_source;
	struct kt_gdb *gdb; /* NULL: vCPUs cannot run stale code */
	struct kt_stale stale;
	bool stopped; /* QMP has said so, and nobody has looked yet */
	bool paused;  /* by the owner */
	bool resumed; /* it runs, as it was asked to */
	struct channel console;
	struct channel port;
	struct channel output; /* standard output and error of QEMU */
	int ram_fd;            /* its own descriptor of the RAM file */
	uint64_t ram_len;
	bool ram_is_shared; /* with the file; else the file is only seen through it */
	bool migrated;      /* a state was saved, or not */
	bool migration_failed;
	struct kt_buffer unsent; /* for the port */
	char said[1024];         /* beginning of the output */
	size_t n_said;
	char shutdown_reason[32]; /* of the SHUTDOWN event */
	bool panicked;
};

static struct qemu *qemu_of(struct kt_machine *machine)
{
	return (struct qemu *)machine;
}

static void on_qmp_event(void *owner, const char *event, const json_t *data)
{
	struct qemu *qemu = owner;
	const char *reason = json_string_value(json_object_get(data, "reason"));
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!strcmp(event, "SHUTDOWN"))
		(void)snprintf(qemu->shutdown_reason, sizeof(qemu->shutdown_reason), "%s",
			       reason ?: "unknown");
	else if (!strcmp(event, "GUEST_PANICKED"))
		qemu->panicked = true;
	else if (!strcmp(event, "STOP"))
		qemu->stopped = true;
	else if (!strcmp(event, "RESUME")) {
		qemu->stopped = false;
		qemu->resumed = true;
	} else if (!strcmp(event, "MIGRATION") && status) {
		qemu->migration_failed |= !strcmp(status, "failed");
		qemu->migrated |= !strcmp(status, "completed") || !strcmp(status, "failed");
	}
}

/* Reads once; false when there is nothing more to come, or nothing now. */
static bool read_channel(struct qemu *qemu, struct channel *channel,
			 void (*deliver)(struct qemu *qemu, const uint8_t *bytes, size_t len))
{
	uint8_t bytes[65536];
	ssize_t n = read(channel->fd, bytes, sizeof(bytes));

	if (n > 0) {
		deliver(qemu, bytes, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		kt_loop_remove(qemu->machine.loop, &channel->source);
	return false;
}

static void deliver_console(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	qemu->machine.events->console(qemu->machine.data, bytes, len);
}

static void deliver_port(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	qemu->machine.events->port(qemu->machine.data, bytes, len);
}

static void deliver_output(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	size_t n = KT_MIN(len, sizeof(qemu->said) - 1 - qemu->n_said);

	memcpy(qemu->said + qemu->n_said, bytes, n);
	qemu->n_said += n;
}

/* Whether it is a breakpoint that the machine has stopped at. */
static int is_at_breakpoint(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	json_t *value = NULL;
	const char *status;
	int r = kt_qmp_execute(qemu->qmp, "query-status", NULL, deadline_ns, &value, reterr);

	if (r < 0)
		return r;
	status = json_string_value(json_object_get(value, "status"));
	r = status && !strcmp(status, "debug");
	json_decref(value);
	return r;
}

static void say_undone(struct qemu *qemu)
{
	char text[160];
	int len = snprintf(text, sizeof(text),
			   "\n[ktest: a vCPU ran a breakpoint at %" PRIx64
			   " that is in memory no more, as QEMU has it; undone]\n",
			   qemu->stale.last_ip - 1);

	qemu->machine.events->console(qemu->machine.data, (const uint8_t *)text, (size_t)len);
}

static int on_stop(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = is_at_breakpoint(qemu, deadline_ns, reterr);

	if (r <= 0)
		return r; /* it ends, or is being saved */
	qemu->resumed = false;
	r = kt_stale_on_stop(&qemu->stale, qemu->gdb, deadline_ns, reterr);
	if (r < 0)
		return r;
	if (r > 0)
		say_undone(qemu);
	return kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns, reterr);
}

/* When QEMU is gone, its end is reported by itself. */
static bool is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/*
 * Looks after a machine that has stopped and that nobody has asked to. An answer may bring the next
 * stop with it.
 */
static void look_after(struct qemu *qemu)
{
	struct kt_err err = KT_ERR_NULL;
	int r = 0;

	while (r == 0 && qemu->gdb && qemu->stopped && !qemu->paused) {
		qemu->stopped = false;
		r = on_stop(qemu, kt_now_ns() + STOP_TIMEOUT_NS, &err);
	}
	if (r == 0 || is_gone(r))
		return;
	deliver_output(qemu, (const uint8_t *)err.text, strlen(err.text));
	(void)kill(qemu->pid, SIGKILL);
}

static void on_qmp(void *data, uint32_t events)
{
	struct qemu *qemu = data;

	(void)events;
	if (kt_qmp_dispatch(qemu->qmp) < 0) /* the process's end says the rest */
		kt_loop_remove(qemu->machine.loop, &qemu->qmp_source);
	else
		look_after(qemu);
}

static void on_console(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->console, deliver_console);
}

static void on_output(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->output, deliver_output);
}

static void flush_port(struct qemu *qemu)
{
	struct kt_buffer *unsent = &qemu->unsent;

	while (unsent->len) {
		ssize_t n =
			send(qemu->port.fd, unsent->data, unsent->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* When QEMU is gone, its end is reported by itself. */
		kt_buffer_consume(unsent, n < 0 ? unsent->len : (size_t)n);
	}
	if (qemu->port.source.fd >= 0)
		(void)kt_loop_modify(qemu->machine.loop, &qemu->port.source,
				     unsent->len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_port(void *data, uint32_t events)
{
	struct qemu *qemu = data;

	if (events & EPOLLOUT)
		flush_port(qemu);
	if (events & ~(uint32_t)EPOLLOUT)
		(void)read_channel(qemu, &qemu->port, deliver_port);
}

static int qemu_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n)
{
	struct qemu *qemu = qemu_of(machine);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = kt_buffer_append(&qemu->unsent, parts[i].iov_base, parts[i].iov_len);
	if (r == 0)
		flush_port(qemu);
	return r;
}

/* QEMU itself failed. Of what it said, the first line names the cause. */
static void explain_failure(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	exit->reason = KT_EXIT_VMM_ERROR;
	exit->killed = WIFSIGNALED(status);
	(void)snprintf(exit->detail, sizeof(exit->detail), "QEMU %s %d%s%s%s%s%.*s",
		       exit->killed ? "was killed by signal" : "ended with status",
		       exit->killed ? WTERMSIG(status) : WEXITSTATUS(status),
		       exit->killed && WTERMSIG(status) == SIGKILL
			       ? ", perhaps by the host's OOM killer (see dmesg)"
			       : "",
		       *reason ? " after " : "", reason, qemu->n_said ? ": " : "",
		       (int)KT_MIN(strcspn(qemu->said, "\n"), (size_t)300), qemu->said);
}

static void explain_exit(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	if (qemu->panicked || !strcmp(reason, "guest-panic")) {
		exit->reason = KT_EXIT_PANIC;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest's kernel panicked");
	} else if (!strcmp(reason, "guest-shutdown") ||
		   (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_PORT_STATUS)) {
		exit->reason = KT_EXIT_SHUTDOWN;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest powered off");
	} else if (!strcmp(reason, "guest-reset")) {
		exit->reason = KT_EXIT_RESET;
		(void)snprintf(exit->detail, sizeof(exit->detail),
			       "the guest reset itself (a kernel panic, or a triple fault)");
	} else {
		explain_failure(qemu, status, exit);
	}
}

/* Reads all channels to the end: the process is gone, so each has one. */
static void drain(struct qemu *qemu)
{
	(void)kt_qmp_dispatch(qemu->qmp);
	while (read_channel(qemu, &qemu->output, deliver_output))
		;
	while (read_channel(qemu, &qemu->console, deliver_console))
		;
	while (read_channel(qemu, &qemu->port, deliver_port))
		;
}

static void on_process(void *data, uint32_t events)
{
	struct qemu *qemu = data;
	struct kt_machine_exit exit = { 0 };
	int status = 0;

	(void)events;
	kt_loop_remove(qemu->machine.loop, &qemu->process);
	while (waitpid(qemu->pid, &status, 0) < 0 && errno == EINTR)
		;
	qemu->pid = 0;
	drain(qemu);
	explain_exit(qemu, status, &exit);
	qemu->machine.events->exited(qemu->machine.data, &exit);
}

/* A non-blocking socket pair; the far end goes to the child. */
static int make_pair(int *ret_near, int *ret_far)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret_near = ends[0];
	*ret_far = ends[1];
	return 0;
}

struct far_ends {
	struct kt_qemu_fds fds;
	int output;
};

static void close_far_ends(struct far_ends *far)
{
	far->fds.qmp = kt_close(far->fds.qmp);
	far->fds.console = kt_close(far->fds.console);
	far->fds.port = kt_close(far->fds.port);
	far->fds.gdb = kt_close(far->fds.gdb);
	far->output = kt_close(far->output);
}

static int open_gdb(struct qemu *qemu, struct far_ends *far)
{
	int fd, r = make_pair(&fd, &far->fds.gdb);

	if (r < 0)
		return r;
	r = kt_gdb_new(fd, &qemu->gdb);
	if (r < 0)
		(void)kt_close(fd);
	return r;
}

/* One thread that translates for all vCPUs, or none that does, has nothing to race with. */
static bool may_run_stale_code(const struct kt_machine_config *config)
{
	return config->accel == KT_ACCEL_TCG && !config->tcg_single_thread;
}

static int open_channels(struct qemu *qemu, const struct kt_machine_config *config,
			 struct far_ends *far)
{
	int qmp_fd, output[2], r;

	r = make_pair(&qmp_fd, &far->fds.qmp);
	if (r < 0)
		return r;
	r = kt_qmp_new(qmp_fd, on_qmp_event, qemu, &qemu->qmp);
	if (r < 0) {
		(void)kt_close(qmp_fd);
		return r;
	}
	r = make_pair(&qemu->console.fd, &far->fds.console)
		    ?: make_pair(&qemu->port.fd, &far->fds.port);
	if (r == 0 && may_run_stale_code(config))
		r = open_gdb(qemu, far);
	if (r < 0)
		return r;
	if (pipe2(output, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(output[0], F_SETFL, O_NONBLOCK);
	qemu->output.fd = output[0];
	far->output = output[1];
	return 0;
}

static int open_ram(struct qemu *qemu, const struct kt_machine_config *config)
{
	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = true;
	qemu->ram_fd = config->ram_fd < 0 ? memfd_create("ktest-ram", MFD_CLOEXEC)
					  : fcntl(config->ram_fd, F_DUPFD_CLOEXEC, 3);
	if (qemu->ram_fd < 0 || ftruncate(qemu->ram_fd, (off_t)qemu->ram_len) < 0)
		return -errno;
	return 0;
}

static int watch(struct qemu *qemu, struct kt_source *source, int fd, kt_source_fn fn)
{
	*source = (struct kt_source){ .fd = fd, .events = EPOLLIN, .fn = fn, .data = qemu };
	return kt_loop_add(qemu->machine.loop, source);
}

static int watch_all(struct qemu *qemu)
{
	return watch(qemu, &qemu->process, qemu->pidfd, on_process) ?:
	       watch(qemu, &qemu->qmp_source, kt_qmp_fd(qemu->qmp), on_qmp) ?:
	       watch(qemu, &qemu->console.source, qemu->console.fd, on_console) ?:
	       watch(qemu, &qemu->port.source, qemu->port.fd, on_port) ?:
	       watch(qemu, &qemu->output.source, qemu->output.fd, on_output);
}

static int spawn(struct qemu *qemu, enum kt_qemu_purpose purpose,
		 const struct kt_machine_config *config, struct far_ends *far,
		 struct kt_err *reterr)
{
	char **argv = kt_qemu_argv(purpose, config, &far->fds);
	const int keep[] = { far->fds.qmp, far->fds.console, far->fds.port,
			     far->fds.ram, far->fds.gdb,     config->initramfs_fd };
	struct kt_process_spec spec = {
		.argv = (const char *const *)argv,
		.in = -1,
		.out = far->output,
		.err = far->output,
		.keep = keep,
		.n_keep = KT_ARRAY_LEN(keep) - (purpose == KT_QEMU_RESTORE),
	};
	int r;

	if (!argv)
		return kt_err_oom(reterr);
	r = kt_process_spawn(&spec, &qemu->pid, &qemu->pidfd, reterr);
	kt_qemu_argv_free(argv);
	return r;
}

/* The RAM file is open; everything else that a QEMU needs is made here. */
static int launch(struct qemu *qemu, enum kt_qemu_purpose purpose,
		  const struct kt_machine_config *config, struct kt_err *reterr)
{
	struct far_ends far = {
		.fds = { -1, -1, -1, -1, qemu->ram_fd, qemu->ram_is_shared },
		.output = -1,
	};
	int r = open_channels(qemu, config, &far);

	if (r < 0)
		(void)kt_err_set(reterr, r, "cannot set up a virtual machine: %m");
	else
		r = spawn(qemu, purpose, config, &far, reterr);
	close_far_ends(&far);
	if (r < 0)
		return r;
	r = watch_all(qemu);
	return r < 0 ? kt_err_set(reterr, r, "cannot watch a virtual machine: %m") : 0;
}

/* Waits until QEMU has ended, and reaps it. False when it goes on. */
static bool reap(struct qemu *qemu, int *ret_status)
{
	struct pollfd waiting = { .fd = qemu->pidfd, .events = POLLIN };

	if (qemu->pid <= 0 || kt_poll(&waiting, 1, kt_now_ns() + STOP_TIMEOUT_NS) <= 0)
		return false;
	kt_loop_remove(qemu->machine.loop, &qemu->process);
	while (waitpid(qemu->pid, ret_status, 0) < 0 && errno == EINTR)
		;
	qemu->pid = 0;
	return true;
}

/*
 * Explains an error @r of a channel. If QEMU is gone, that its channel broke is only the
 * consequence: the error becomes the end of QEMU, and -ECHILD if it was killed.
 */
static int explain_loss(struct qemu *qemu, int r, struct kt_err *reterr)
{
	struct kt_machine_exit exit = { 0 };
	int status = 0;
	bool ended = is_gone(r) && reap(qemu, &status);

	(void)kt_qmp_dispatch(qemu->qmp);
	while (read_channel(qemu, &qemu->output, deliver_output))
		;
	if (ended) {
		explain_exit(qemu, status, &exit);
		return kt_err_set(reterr, exit.killed ? -ECHILD : r, "%s", exit.detail);
	}
	qemu->said[strcspn(qemu->said, "\n")] = '\0';
	return qemu->n_said ? kt_err_prefix(reterr, r, "QEMU says \"%.300s\"", qemu->said) : r;
}

static int qemu_start(struct kt_machine *machine, const struct kt_machine_config *config,
		      struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	int r = open_ram(qemu, config);

	if (r < 0)
		return kt_err_set(reterr, r, "cannot make the guest's RAM: %m");
	r = launch(qemu, KT_QEMU_BOOT, config, reterr);
	if (r < 0)
		return r;
	r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL);
	if (r < 0)
		return explain_loss(qemu, kt_err_set(reterr, r, "QMP: %m"), reterr);
	return 0;
}

/*
 * RAM stays where it is in both directions: QEMU leaves shared memory out of the stream, and its
 * reader, which has the same file, looks for none (migration capability x-ignore-shared).
 */
static json_t *capabilities(bool events)
{
	return json_pack("{s[{ss sb}{ss sb}]}", "capabilities", "capability", "x-ignore-shared",
			 "state", 1, "capability", "events", "state", events);
}

/* A descriptor of this process, which QEMU opens anew: it has a position of its own then. */
static json_t *state_uri(int fd)
{
	return json_pack("{so}", "uri", json_sprintf("file:/proc/%d/fd/%d", (int)getpid(), fd));
}

/* Only while the machine stands. */
static int begin_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->gdb || !qemu->stale.die)
		return 0;
	return kt_stale_begin(&qemu->stale, qemu->gdb, deadline_ns, reterr);
}

/*
 * All is said at once: QEMU reads it as soon as it can, restores, and lets the guest run when it
 * has (it was not told to wait). Asking step by step would add a scheduling delay to each; only the
 * breakpoint must be there first.
 */
static int ask_restore(struct qemu *qemu, int state_fd, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL)
			?: kt_qmp_send(qemu->qmp, "migrate-set-capabilities", capabilities(false));

	if (r < 0)
		return kt_err_set(reterr, r, "QMP: %m");
	r = begin_guard(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	r = kt_qmp_send(qemu->qmp, "migrate-incoming", state_uri(state_fd));
	return r < 0 ? kt_err_set(reterr, r, "QMP: %m") : 0;
}

static int qemu_restore(struct kt_machine *machine, const struct kt_machine_config *config,
			const struct kt_machine_image *image, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	int r;

	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = config->ram_fd >= 0;
	qemu->ram_fd =
		fcntl(qemu->ram_is_shared ? config->ram_fd : image->ram_fd, F_DUPFD_CLOEXEC, 3);
	if (qemu->ram_fd < 0)
		return kt_err_set(reterr, -errno, "RAM file: %m");
	r = launch(qemu, KT_QEMU_RESTORE, config, reterr);
	if (r < 0)
		return r;
	r = ask_restore(qemu, image->state_fd, deadline_ns, reterr)
		    ?: kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns, reterr);
	if (r < 0)
		return explain_loss(qemu, r, reterr);
	look_after(qemu);
	return 0;
}

static int qemu_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);

	if (qemu->ram_is_shared)
		return kt_mem_map_file(ret_mem, qemu->ram_fd, qemu->ram_len, reterr);
	return kt_mem_find_in_process(ret_mem, qemu->pid, qemu->ram_fd, qemu->ram_len, reterr);
}

static int qemu_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	int r;

	/* QEMU answers when all vCPU threads are out of guest code. */
	qemu->paused = true;
	r = kt_qmp_execute(qemu->qmp, "stop", NULL, deadline_ns, NULL, reterr);
	if (r < 0)
		qemu->paused = false;
	return r;
}

static int qemu_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	int r = kt_qmp_execute(qemu->qmp, "cont", NULL, deadline_ns, NULL, reterr);

	if (r < 0)
		return r;
	qemu->paused = false;
	look_after(qemu);
	return 0;
}

/* A machine that a breakpoint has stopped would be restored so, which QEMU does not survive. */
static int end_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->gdb || !qemu->stale.die)
		return 0;
	return qemu_pause(&qemu->machine, deadline_ns, reterr) ?:
	       kt_stale_end(&qemu->stale, qemu->gdb, deadline_ns, reterr) ?:
	       qemu_resume(&qemu->machine, deadline_ns, reterr);
}

static int qemu_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	struct kt_qmp *qmp = qemu->qmp;
	int r;

	r = end_guard(qemu, deadline_ns, reterr);
	if (r < 0)
		return explain_loss(qemu, r, reterr);
	/* Migrating stops the machine by itself. One that was told to stop would be restored so. */
	r = kt_qmp_execute(qmp, "migrate-set-capabilities", capabilities(true), deadline_ns, NULL,
			   reterr) ?:
	    kt_qmp_execute(qmp, "migrate", state_uri(state_fd), deadline_ns, NULL, reterr) ?:
	    kt_qmp_wait(qmp, &qemu->migrated, "saved state", deadline_ns, reterr);
	if (r == 0 && qemu->migration_failed)
		r = kt_err_set(reterr, -EIO, "QEMU could not save the state of the machine");
	return r < 0 ? explain_loss(qemu, r, reterr) : 0;
}

static int qemu_guard(struct kt_machine *machine, const struct kt_hello *hello,
		      uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = qemu_of(machine);
	int r;

	if (qemu->stale.die)
		return 0;
	qemu->stale.die = hello->die;
	qemu->stale.kprobe_table = hello->kprobe_table;
	if (!qemu->gdb || !hello->die) /* not restored yet, or of no use */
		return 0;
	r = qemu_pause(machine, deadline_ns, reterr) ?:
	    begin_guard(qemu, deadline_ns, reterr) ?:
	    qemu_resume(machine, deadline_ns, reterr);
	return is_gone(r) ? 0 : r;
}

/* The kernel counts for each thread how long it waited on a runqueue. */
static uint64_t qemu_stolen_ns(struct kt_machine *machine)
{
	KT_FREE char *path = kt_format("/proc/%d/task", (int)qemu_of(machine)->pid);
	DIR *dir = path ? opendir(path) : NULL;
	uint64_t most = 0;

	if (!dir)
		return 0;
	for (struct dirent *ent; (ent = readdir(dir));) {
		KT_FREE char *file = kt_format("%s/schedstat", ent->d_name), *text = NULL;
		uint64_t waited;

		if (ent->d_name[0] != '.' && file &&
		    kt_file_read_at(dirfd(dir), file, 256, &text, NULL) == 0 &&
		    sscanf(text, "%*u %" SCNu64, &waited) == 1)
			most = KT_MAX(most, waited);
	}
	(void)closedir(dir);
	return most;
}

static void qemu_destroy(struct kt_machine *machine)
{
	struct qemu *qemu = qemu_of(machine);
	struct kt_loop *loop = machine->loop;

	kt_loop_remove(loop, &qemu->process);
	kt_loop_remove(loop, &qemu->qmp_source);
	kt_loop_remove(loop, &qemu->console.source);
	kt_loop_remove(loop, &qemu->port.source);
	kt_loop_remove(loop, &qemu->output.source);
	if (qemu->pid > 0) {
		(void)kill(qemu->pid, SIGKILL);
		while (waitpid(qemu->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)kt_close(qemu->pidfd);
	qemu->qmp = kt_qmp_free(qemu->qmp);
	qemu->gdb = kt_gdb_free(qemu->gdb);
	(void)kt_close(qemu->console.fd);
	(void)kt_close(qemu->port.fd);
	(void)kt_close(qemu->output.fd);
	(void)kt_close(qemu->ram_fd);
	kt_buffer_deinit(&qemu->unsent);
	free(qemu);
}

static const struct kt_machine_ops qemu_ops = {
	.name = "qemu",
	.start = qemu_start,
	.restore = qemu_restore,
	.save = qemu_save,
	.guard = qemu_guard,
	.memory = qemu_memory,
	.port_write = qemu_port_write,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.stolen_ns = qemu_stolen_ns,
	.destroy = qemu_destroy,
};

int kt_qemu_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
		struct kt_machine **ret_machine, struct kt_err *reterr)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));

	if (!qemu)
		return kt_err_oom(reterr);
	qemu->machine = (struct kt_machine){
		.ops = &qemu_ops,
		.loop = loop,
		.events = events,
		.data = data,
	};
	qemu->process = qemu->qmp_source = KT_SOURCE_NULL;
	qemu->console = qemu->port = qemu->output =
		(struct channel){ .source = KT_SOURCE_NULL, .fd = -1 };
	qemu->pidfd = qemu->ram_fd = -1;
	*ret_machine = &qemu->machine;
	return 0;
}
