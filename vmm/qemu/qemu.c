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
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/debug.h"
#include "vmm/qemu/devices.h"
#include "vmm/qemu/gdb.h"
#include "vmm/qemu/plugin.h"
#include "vmm/qemu/qmp.h"
#include "vmm/qemu/stale.h"
#include "vmm/qemu/state.h"
#include "vmm/steal.h"

/*
 * A machine is one QEMU child. Its channels are socket pairs: QMP, the console, the bulk port and
 * the gdbstub; its output is a pipe. The child dies with this process.
 *
 * QEMU exits when the guest shuts down or resets (-no-reboot), after a QMP event that says which of
 * the two it was; its exit status says nothing about the guest. exited() is called when the process
 * is gone and all channels are read to the end, so that nothing that the guest sent is lost.
 *
 * The machine stops for one of six reasons: the owner pauses it, it is saved, it ends, it hits a
 * watch of the owner or a breakpoint of stale.c, or QEMU cannot go on with it. Only at a watch or
 * breakpoint does this file let it run again by itself; a machine that cannot be let run is killed,
 * because its owner would wait for it in vain.
 */

#define STOP_TIMEOUT_NS (10 * KT_NSEC_PER_SEC) /* for handling one stop at a breakpoint */

#define CONSOLE_FREE_BYTES (1 << 20)
#define CONSOLE_POLL_NS    (100 * KT_NSEC_PER_MSEC) /* between looks at a console that is a file */

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

/*
 * Reads once. Returns false when nothing was read: at the end of the stream, or when nothing is
 * there.
 */
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

/*
 * Reads what is new in a console that is a file, and gives the memory back: a guest may write to it
 * as long as it runs.
 */
static void read_console_file(struct qemu *qemu)
{
	off_t at;

	while (read_channel(qemu, &qemu->console, deliver_console))
		;
	at = lseek(qemu->console.fd, 0, SEEK_CUR);
	if (at - qemu->console_freed < CONSOLE_FREE_BYTES)
		return;
	(void)fallocate(qemu->console.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, at);
	qemu->console_freed = at;
}

/*
 * A console that is a file has no events. What it has got before the frame may explain the frame.
 */
static void deliver_port(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	if (qemu->plugin_fd >= 0)
		read_console_file(qemu);
	qemu->machine.events->port(qemu->machine.data, bytes, len);
}

static void deliver_output(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	size_t n = KT_MIN(len, sizeof(qemu->said) - 1 - qemu->n_said);

	memcpy(qemu->said + qemu->n_said, bytes, n);
	qemu->n_said += n;
}

/* Asks why the machine stands, in QEMU's word for it. */
static int query_status(struct qemu *qemu, uint64_t deadline_ns, char *ret_status, size_t size,
			struct kt_err *reterr)
{
	json_t *value = NULL;
	int r = kt_qmp_execute(qemu->qmp, "query-status", NULL, deadline_ns, &value, reterr);

	if (r < 0)
		return r;
	(void)snprintf(ret_status, size, "%s",
		       json_string_value(json_object_get(value, "status")) ?: "");
	json_decref(value);
	return 0;
}

/* Whether QEMU has stopped the machine by itself and for good, as KVM does at an internal error. */
static bool is_for_good(const char *status)
{
	static const char *const statuses[] = { "guest-panicked", "internal-error", "io-error",
						"shutdown", "watchdog" };

	for (size_t i = 0; i < KT_ARRAY_LEN(statuses); i++)
		if (!strcmp(status, statuses[i]))
			return true;
	return false;
}

/* Writes on the console, for people, what the guest itself cannot know. */
static void say_undone(struct qemu *qemu)
{
	char text[160];
	int len = snprintf(text, sizeof(text),
			   "\n[ktest: a vCPU ran a breakpoint at %" PRIx64
			   " that is no longer in memory (a race in QEMU); undone]\n",
			   qemu->stale.last_ip - 1);

	qemu->machine.events->console(qemu->machine.data, (const uint8_t *)text, (size_t)len);
}

/* Handles a stop; returns 0 when the machine runs again, or stands as it should. */
static int on_stop(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	char status[32] = "";
	int r = query_status(qemu, deadline_ns, status, sizeof(status), reterr);

	if (r < 0)
		return r;
	if (is_for_good(status))
		return kt_err_set(reterr, -EIO, "it has stopped the machine (%s)", status);
	if (strcmp(status, "debug") != 0)
		return 0; /* the machine ends, or is being saved */
	qemu->resumed = false;
	r = kt_qemu_on_debug_stop(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	if (r > 0)
		say_undone(qemu);
	return kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns, reterr);
}

/* True for errors that mean only that QEMU is gone: on_process() reports its end. */
static bool is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

static void drain(struct qemu *qemu);
static void explain_exit(const struct qemu *qemu, int status, struct kt_machine_exit *exit);

/* Tells the owner that the guest has ended, if that is why the machine stands. */
static bool tell_end(struct qemu *qemu)
{
	struct kt_machine_exit exit = { 0 };

	if (!qemu->keep || !*qemu->shutdown_reason)
		return false;
	qemu->has_ended = true;
	drain(qemu);
	explain_exit(qemu, 0, &exit);
	qemu->machine.events->exited(qemu->machine.data, &exit);
	return true;
}

/*
 * Handles stops that the owner did not ask for. It loops because the next STOP may arrive together
 * with an answer that on_stop() waits for.
 */
static void look_after(struct qemu *qemu)
{
	struct kt_err err = KT_ERR_NULL;
	int r = 0;

	while (r == 0 && qemu->stopped && !qemu->paused) {
		qemu->stopped = false;
		r = on_stop(qemu, kt_now_ns() + STOP_TIMEOUT_NS, &err);
	}
	if (r == 0 || is_gone(r) || tell_end(qemu))
		return;
	(void)snprintf(qemu->given_up, sizeof(qemu->given_up), "%s", err.text);
	(void)kill(qemu->pid, SIGKILL);
}

static void on_qmp(void *data, uint32_t events)
{
	struct qemu *qemu = data;

	(void)events;
	if (kt_qmp_dispatch(qemu->qmp) < 0) /* on_process() reports the end */
		kt_loop_remove(qemu->machine.loop, &qemu->qmp_source);
	else {
		/* What the guest has sent before a stop comes before it. */
		while (qemu->stopped && !qemu->paused &&
		       read_channel(qemu, &qemu->port, deliver_port))
			;
		look_after(qemu);
	}
}

static void on_console(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->console, deliver_console);
}

static void on_console_timer(void *data)
{
	struct qemu *qemu = data;

	read_console_file(qemu);
	kt_timer_arm(qemu->machine.loop, &qemu->console_timer, kt_now_ns() + CONSOLE_POLL_NS);
}

static void deliver_alarm(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	/* What the guest sent before its limit comes first. It stands still now. */
	while (read_channel(qemu, &qemu->port, deliver_port))
		;
	read_console_file(qemu);
	qemu->machine.events->expired(qemu->machine.data);
}

static void on_alarm(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->alarm, deliver_alarm);
}

static void on_output(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->output, deliver_output);
}

/* Sends what the socket takes; EPOLLOUT is watched as long as something is left. */
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
		/* After an error QEMU is gone, and the bytes are dropped. */
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
	struct qemu *qemu = kt_qemu_of(machine);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = kt_buffer_append(&qemu->unsent, parts[i].iov_base, parts[i].iov_len);
	if (r == 0)
		flush_port(qemu);
	return r;
}

/* The first line of QEMU's output names the cause. */
static int said_len(const struct qemu *qemu)
{
	return (int)KT_MIN(strcspn(qemu->said, "\n"), (size_t)300);
}

/* QEMU itself failed. */
static void explain_failure(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	exit->killed = WIFSIGNALED(status);
	(void)snprintf(exit->detail, sizeof(exit->detail), "QEMU %s %d%s%s%s%s%.*s",
		       exit->killed ? "was killed by signal" : "ended with status",
		       exit->killed ? WTERMSIG(status) : WEXITSTATUS(status),
		       exit->killed && WTERMSIG(status) == SIGKILL
			       ? ", perhaps by the host's OOM killer (see dmesg)"
			       : "",
		       *reason ? " after " : "", reason, qemu->n_said ? ": " : "", said_len(qemu),
		       qemu->said);
}

/* The machine could not go on, and look_after() has killed QEMU. */
static void explain_surrender(const struct qemu *qemu, struct kt_machine_exit *exit)
{
	(void)snprintf(exit->detail, sizeof(exit->detail), "QEMU was ended: %s%s%.*s",
		       qemu->given_up, qemu->n_said ? ": " : "", said_len(qemu), qemu->said);
}

static void explain_exit(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	if (qemu->panicked || !strcmp(reason, "guest-panic")) {
		exit->reason = KT_EXIT_PANIC;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest's kernel panicked");
	} else if (qemu->powered_off || !strcmp(reason, "guest-shutdown")) {
		exit->reason = KT_EXIT_SHUTDOWN;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest powered off");
	} else if (!strcmp(reason, "guest-reset")) {
		exit->reason = KT_EXIT_RESET;
		(void)snprintf(exit->detail, sizeof(exit->detail),
			       "the guest reset itself (a panic, a reboot or a triple fault)");
	} else {
		exit->reason = KT_EXIT_VMM_ERROR;
		if (*qemu->given_up)
			explain_surrender(qemu, exit);
		else
			explain_failure(qemu, status, exit);
	}
}

/* Reads all channels to the end. The process is gone, so none of them blocks. */
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
	if (qemu->has_ended)
		return;
	explain_exit(qemu, status, &exit);
	qemu->machine.events->exited(qemu->machine.data, &exit);
}

/* Makes a socket pair: a non-blocking near end for this process, a far end for the child. */
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

/* What the child inherits; closed here once it has started. The RAM file is not among the owned. */
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
	far->fds.alarm = kt_close(far->fds.alarm);
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

/* The race needs two threads that translate: not with KVM, nor with one thread for all vCPUs. */
static bool may_run_stale_code(const struct kt_machine_config *config)
{
	return config->accel == KT_ACCEL_TCG && !kt_qemu_is_single_thread(config);
}

/* QEMU opens the console's file anew, so that each side has a file position of its own. */
static int open_host_calls(struct qemu *qemu, const struct kt_machine_config *config,
			   struct far_ends *far)
{
	int alarm[2], r = kt_plugin_open(&qemu->plugin_fd);

	if (r < 0)
		return r;
	far->fds.plugin = qemu->plugin_fd;
	far->fds.conflicts = config->conflicts;
	qemu->console.fd = memfd_create("ktest-console", MFD_CLOEXEC);
	far->fds.console = fcntl(qemu->console.fd, F_DUPFD_CLOEXEC, 3);
	far->fds.stand = qemu->stand_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (far->fds.console < 0 || qemu->stand_fd < 0 || pipe2(alarm, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(alarm[0], F_SETFL, O_NONBLOCK);
	qemu->alarm.fd = alarm[0];
	far->fds.alarm = alarm[1];
	return 0;
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
	r = make_pair(&qemu->port.fd, &far->fds.port);
	if (r == 0)
		r = config->host_calls ? open_host_calls(qemu, config, far)
				       : make_pair(&qemu->console.fd, &far->fds.console);
	if (r == 0)
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

/* Opens the RAM file of a boot and sets its length. */
static int open_ram(struct qemu *qemu, const struct kt_machine_config *config)
{
	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = true;
	qemu->ram_fd = config->ram_fd < 0
			       ? memfd_create("ktest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING)
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

static int watch_console(struct qemu *qemu)
{
	if (qemu->plugin_fd < 0)
		return watch(qemu, &qemu->console.source, qemu->console.fd, on_console);
	qemu->console_timer = (struct kt_timer){ .fn = on_console_timer, .data = qemu };
	kt_timer_arm(qemu->machine.loop, &qemu->console_timer, kt_now_ns() + CONSOLE_POLL_NS);
	return watch(qemu, &qemu->alarm.source, qemu->alarm.fd, on_alarm);
}

static int watch_all(struct qemu *qemu)
{
	return watch(qemu, &qemu->process, qemu->pidfd, on_process) ?:
	       watch(qemu, &qemu->qmp_source, kt_qmp_fd(qemu->qmp), on_qmp) ?:
	       watch(qemu, &qemu->port.source, qemu->port.fd, on_port) ?:
	       watch(qemu, &qemu->output.source, qemu->output.fd, on_output) ?:
	       watch_console(qemu);
}

static int spawn(struct qemu *qemu, enum kt_qemu_purpose purpose,
		 const struct kt_machine_config *config, struct far_ends *far,
		 struct kt_err *reterr)
{
	char **argv = kt_qemu_argv(purpose, config, &far->fds);
	const int keep[] = { far->fds.qmp,   far->fds.console, far->fds.port,
			     far->fds.ram,   far->fds.gdb,     far->fds.plugin,
			     far->fds.stand, far->fds.alarm,   config->initramfs_fd };
	struct kt_process_spec spec = {
		.argv = (const char *const *)argv,
		.in = -1,
		.out = far->output,
		.err = far->output,
		.keep = keep,
		.n_keep = KT_ARRAY_LEN(keep) - (purpose != KT_QEMU_BOOT),
	};
	int r;

	if (!argv)
		return kt_err_oom(reterr);
	r = kt_process_spawn(&spec, &qemu->pid, &qemu->pidfd, reterr);
	kt_qemu_argv_free(argv);
	return r;
}

/* Makes the channels, starts the child and watches it. The RAM file is open already. */
static int launch(struct qemu *qemu, enum kt_qemu_purpose purpose,
		  const struct kt_machine_config *config, struct kt_err *reterr)
{
	struct far_ends far = {
		.fds = { .qmp = -1,
			 .console = -1,
			 .port = -1,
			 .gdb = -1,
			 .plugin = -1,
			 .stand = -1,
			 .alarm = -1,
			 .ram = qemu->ram_fd,
			 .ram_is_shared = qemu->ram_is_shared },
		.output = -1,
	};
	int r;

	qemu->n_vcpus = kt_machine_n_vcpus(&config->topology);
	qemu->watches_max = kt_machine_watches_max(config->accel);
	qemu->may_be_stale = may_run_stale_code(config);
	qemu->time = config->time;
	qemu->keep = config->keep;
	r = open_channels(qemu, config, &far);
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

/* Waits until QEMU has ended, and reaps it. False when QEMU does not end. */
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
 * Explains an error @r of a channel. If QEMU is gone, the broken channel is only the consequence:
 * the error text then describes the end of QEMU, and the error is -ECHILD if QEMU was killed.
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
	struct qemu *qemu = kt_qemu_of(machine);
	int r = open_ram(qemu, config);

	if (r < 0)
		return kt_err_set(reterr, r, "cannot make the guest's RAM: %m");
	r = launch(qemu, KT_QEMU_BOOT, config, reterr);
	if (r < 0)
		return r;
	r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL)
		    ?: kt_qmp_send(qemu->qmp, "cont", NULL);
	if (r < 0)
		return explain_loss(qemu, kt_err_set(reterr, r, "QMP: %m"), reterr);
	return 0;
}

/*
 * The state does not contain the RAM. With the capability x-ignore-shared QEMU leaves shared memory
 * out when it saves, and does not expect it when it restores: the RAM file has it.
 */
static json_t *capabilities(bool events)
{
	return json_pack("{s[{ss sb}{ss sb}]}", "capabilities", "capability", "x-ignore-shared",
			 "state", 1, "capability", "events", "state", events);
}

/* QEMU opens the file anew through /proc, so that it has a file position of its own. */
static json_t *state_uri(int fd)
{
	return json_pack("{so}", "uri", json_sprintf("file:/proc/%d/fd/%d", (int)getpid(), fd));
}

/* Sets the first stop of stale.c if that is possible and useful. The machine must not run. */
static int begin_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->may_be_stale || !qemu->stale.die)
		return 0;
	return kt_stale_begin(&qemu->stale, qemu->gdb, deadline_ns, reterr);
}

/*
 * Sends all commands without waiting for the answer to each, which would add a scheduling delay per
 * command. QEMU was started without -S, so it lets the guest run when it has restored the state.
 * Only the stops of stale.c are set, and waited for, before that.
 */
static int ask_restore(struct qemu *qemu, int state_fd, uint64_t deadline_ns, struct kt_err *reterr)
{
	int r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL)
			?: kt_qmp_send(qemu->qmp, "migrate-set-capabilities",
				       capabilities(qemu->paused));

	if (r < 0)
		return kt_err_set(reterr, r, "QMP: %m");
	r = begin_guard(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	/* Announcing the machine to a network has timers of the host, which end vCPUs' turns. */
	r = kt_qmp_send(qemu->qmp, "migrate-set-parameters",
			json_pack("{si}", "announce-rounds", 0))
		    ?: kt_qmp_send(qemu->qmp, "migrate-incoming", state_uri(state_fd));
	return r < 0 ? kt_err_set(reterr, r, "QMP: %m") : 0;
}

static int qemu_restore(struct kt_machine *machine, const struct kt_machine_config *config,
			const struct kt_machine_image *image, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = config->ram_fd >= 0;
	qemu->ram_fd =
		fcntl(qemu->ram_is_shared ? config->ram_fd : image->ram_fd, F_DUPFD_CLOEXEC, 3);
	if (qemu->ram_fd < 0)
		return kt_err_set(reterr, -errno, "RAM file: %m");
	qemu->paused = image->devices_only;
	r = launch(qemu, image->devices_only ? KT_QEMU_REOPEN : KT_QEMU_RESTORE, config, reterr);
	if (r < 0)
		return r;
	r = ask_restore(qemu, image->state_fd, deadline_ns, reterr)
		    ?: kt_qmp_wait(qemu->qmp, qemu->paused ? &qemu->migrated : &qemu->resumed,
				   "guest to run", deadline_ns, reterr);
	if (r == 0 && qemu->migration_failed)
		r = kt_err_set(reterr, -EIO, "QEMU could not read the state of the machine");
	if (r < 0)
		return explain_loss(qemu, r, reterr);
	look_after(qemu);
	return 0;
}

static int qemu_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r = qemu->ram_is_shared ? kt_mem_map_file(ret_mem, qemu->ram_fd, qemu->ram_len, reterr)
				    : -EPERM;

	/* A RAM file that is sealed (vmm/memctx.h) cannot be mapped for writing any more. */
	if (r != -EPERM)
		return r;
	return kt_mem_find_in_process(ret_mem, qemu->pid, qemu->ram_fd, qemu->ram_len, reterr);
}

/*
 * Tells the plugin that QEMU is going to stop the machine, which may wait in a host call, or no
 * longer is.
 */
static void set_standing(struct qemu *qemu, bool stands)
{
	uint64_t count = 1;

	if (qemu->stand_fd < 0)
		return;
	if (stands)
		(void)!write(qemu->stand_fd, &count, sizeof(count));
	else
		(void)!read(qemu->stand_fd, &count, sizeof(count));
}

static int qemu_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	if (qemu->at_watch)
		return 0;
	/* QEMU answers "stop" when all vCPU threads have left guest code. */
	qemu->paused = true;
	set_standing(qemu, true);
	r = kt_qmp_execute(qemu->qmp, "stop", NULL, deadline_ns, NULL, reterr);
	set_standing(qemu, false);
	if (r < 0)
		qemu->paused = false;
	return r;
}

/* Hits of watches are reported only if the gdbstub lets the machine run: see debug.c. */
static int let_run(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	if (!qemu->n_watches)
		return kt_qmp_execute(qemu->qmp, "cont", NULL, deadline_ns, NULL, reterr);
	qemu->resumed = false;
	return kt_gdb_continue(qemu->gdb, reterr)
		       ?: kt_qmp_wait(qemu->qmp, &qemu->resumed, "guest to run", deadline_ns,
				      reterr);
}

static int qemu_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	if (qemu->at_watch)
		return 0;
	r = let_run(qemu, deadline_ns, reterr);
	if (r < 0)
		return r;
	qemu->paused = false;
	look_after(qemu);
	return 0;
}

/*
 * Removes the stops before a save. A machine that is saved while it stands at a breakpoint would be
 * restored standing at it, and QEMU does not survive that.
 */
static int end_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr)
{
	bool guards = qemu->may_be_stale && qemu->stale.die;
	int r;

	if (!guards && !qemu->n_watches)
		return 0;
	r = qemu_pause(&qemu->machine, deadline_ns, reterr)
		    ?: kt_qemu_unwatch_all(qemu, deadline_ns, reterr);
	if (r == 0 && guards)
		r = kt_stale_end(&qemu->stale, qemu->gdb, deadline_ns, reterr);
	return r ?: qemu_resume(&qemu->machine, deadline_ns, reterr);
}

static int qemu_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_qmp *qmp = qemu->qmp;
	int r;

	/*
	 * "migrate" waits for the vCPUs before it stops them, in vain if the guest is in a host
	 * call. A machine that is stopped would be restored stopped, if the state told it: see
	 * add_host_calls() of argv.c.
	 */
	r = end_guard(qemu, deadline_ns, reterr);
	if (r == 0 && qemu->stand_fd >= 0)
		r = qemu_pause(machine, deadline_ns, reterr);
	if (r < 0)
		return explain_loss(qemu, r, reterr);
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
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	if (qemu->stale.die)
		return 0;
	qemu->stale.die = hello->die;
	qemu->stale.kprobe_table = hello->kprobe_table;
	if (!qemu->may_be_stale ||
	    !hello->die) /* the restore will begin the guard, or none is possible */
		return 0;
	r = qemu_pause(machine, deadline_ns, reterr) ?:
	    begin_guard(qemu, deadline_ns, reterr) ?:
	    qemu_resume(machine, deadline_ns, reterr);
	return is_gone(r) ? 0 : r;
}

/*
 * The kernel ends QEMU faster than QEMU does. What the guest has sent is in the channels already,
 * and on_process() reads them to the end.
 */
static void qemu_power_off(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);

	qemu->powered_off = true;
	if (qemu->pid > 0)
		(void)kill(qemu->pid, SIGKILL);
}

static uint64_t qemu_clock_ns(struct kt_machine *machine)
{
	const struct qemu *qemu = kt_qemu_of(machine);
	struct timespec now;
	clockid_t clock;

	if (qemu->pid <= 0)
		return 0;
	if (qemu->time == KT_TIME_REAL)
		return kt_now_ns();
	if (clock_getcpuclockid(qemu->pid, &clock) != 0 || clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * KT_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void qemu_mark_steal(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);

	kt_steal_deinit(&qemu->steal);
	kt_steal_read(&qemu->steal, qemu->pid);
}

/* The host cannot steal virtual time. */
static uint64_t qemu_stolen_ns(struct kt_machine *machine)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal now = KT_STEAL_NULL;
	struct qemu *qemu = kt_qemu_of(machine);

	if (qemu->time == KT_TIME_VIRTUAL)
		return 0;
	kt_steal_read(&now, qemu->pid);
	return kt_steal_between(&qemu->steal, &now);
}

/* The sources go first: no event may reach a machine that is half destroyed. */
static void qemu_destroy(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_loop *loop = machine->loop;

	kt_loop_remove(loop, &qemu->process);
	kt_loop_remove(loop, &qemu->qmp_source);
	kt_loop_remove(loop, &qemu->console.source);
	kt_loop_remove(loop, &qemu->port.source);
	kt_loop_remove(loop, &qemu->output.source);
	kt_loop_remove(loop, &qemu->alarm.source);
	kt_timer_disarm(loop, &qemu->console_timer);
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
	(void)kt_close(qemu->alarm.fd);
	(void)kt_close(qemu->stand_fd);
	(void)kt_close(qemu->plugin_fd);
	(void)kt_close(qemu->ram_fd);
	kt_buffer_deinit(&qemu->unsent);
	kt_steal_deinit(&qemu->steal);
	free(qemu);
}

static const struct kt_machine_ops qemu_ops = {
	.name = "qemu",
	.start = qemu_start,
	.restore = qemu_restore,
	.save = qemu_save,
	.save_devices = kt_qemu_save_devices,
	.serve_gdb = kt_qemu_serve_gdb,
	.guard = qemu_guard,
	.memory = qemu_memory,
	.port_write = qemu_port_write,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.registers = kt_qemu_registers,
	.watch = kt_qemu_watch,
	.unwatch = kt_qemu_unwatch,
	.power_off = qemu_power_off,
	.clock_ns = qemu_clock_ns,
	.mark_steal = qemu_mark_steal,
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
	qemu->console = qemu->port = qemu->output = qemu->alarm =
		(struct channel){ .source = KT_SOURCE_NULL, .fd = -1 };
	qemu->pidfd = qemu->ram_fd = qemu->stand_fd = qemu->plugin_fd = -1;
	*ret_machine = &qemu->machine;
	return 0;
}
