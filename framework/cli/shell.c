/* SPDX-License-Identifier: MIT */
#include "framework/cli/shell.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "framework/cli/prompt.h"
#include "framework/outcome/capture.h"
#include "framework/run/group.h"
#include "framework/setup/limits.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/signals.h"
#include "util/terminal.h"
#include "vmm/link.h"
#include "wire/hello.h"
#include "wire/json.h"
#include "wire/result.h"
#include "wire/run.h"

#define TEARDOWN_TIMEOUT_NS (10 * KT_NSEC_PER_SEC)

/*
 * The subcommand "shell": standard input becomes STDIN frames, STDOUT and STDERR frames become
 * output, and the exit status of the guest's shell becomes that of this process. It is a session of
 * its own kind: no test runs, so no frame of a test means anything here, and while the shell runs
 * there is no deadline, because the user decides how long.
 *
 * In interactive use the terminal is raw from RUN on. It must be restored on every way out. Ctrl-]
 * opens the prompt of the host (prompt.h), which gets what is typed until it is closed.
 */
struct shell {
	struct kt_setup *setup;         /* NULL in the machine of a capsule */
	const struct kt_kernel *kernel; /* likewise */
	const struct kt_options *options;
	const char *command; /* for --exec; NULL: interactive */
	struct kt_loop *loop;
	struct kt_link *link; /* owns the machine */
	struct kt_source input;
	struct kt_source signals;
	struct kt_capture console;
	struct kt_terminal terminal;
	struct kt_prompt prompt;
	struct kt_packages packages; /* packages of the image that a booted guest is sent */
	bool booted;                 /* RUN was sent */
	int status; /* of the guest's shell; negative: @err says why there is none */
	struct kt_err err;
};

static const struct kt_test default_test = { .name = "shell" };

/* Ends the loop; kt_shell_run() returns @code and @text. */
static void fail(struct shell *shell, int code, const char *text)
{
	shell->status = kt_err_set(&shell->err, code, "%s", text);
	kt_loop_stop(shell->loop, 0);
}

static void send_frame(struct shell *shell, enum kt_message type, const void *payload, size_t len)
{
	if (kt_link_send(shell->link, type, payload, len) < 0)
		fail(shell, -ENOMEM, "out of memory");
}

/* Bytes for the guest, up to the key that opens the prompt; returns how many were taken. */
static size_t take_for_guest(struct shell *shell, const char *bytes, size_t n)
{
	const char *key = shell->terminal.changed ? memchr(bytes, KT_TERMINAL_ESCAPE, n) : NULL;
	size_t len = key ? (size_t)(key - bytes) : n;

	if (len)
		send_frame(shell, KT_MSG_STDIN, bytes, len);
	if (!key)
		return n;
	kt_prompt_open(&shell->prompt);
	return len + 1;
}

static size_t take_for_prompt(struct shell *shell, const char *bytes)
{
	if (kt_prompt_put(&shell->prompt, *bytes))
		send_frame(shell, KT_MSG_STDIN, bytes, 1);
	return 1;
}

static void on_input(void *data, uint32_t events)
{
	struct shell *shell = data;
	char bytes[KT_STDIO_CHUNK_MAX];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
	size_t used;

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* At the prompt, Ctrl-D. The end of input comes again then. */
	if (n <= 0 && shell->prompt.open) {
		kt_prompt_close(&shell->prompt);
		return;
	}
	if (n <= 0) {
		kt_loop_remove(shell->loop, &shell->input);
		send_frame(shell, KT_MSG_STDIN, bytes, 0); /* empty: end of file */
		return;
	}
	for (size_t at = 0; at < (size_t)n; at += used)
		used = shell->prompt.open ? take_for_prompt(shell, bytes + at)
					  : take_for_guest(shell, bytes + at, (size_t)n - at);
}

/* The prompt exists only where somebody can type. */
static void take_terminal(struct shell *shell)
{
	if (isatty(STDIN_FILENO))
		(void)fputs("ktests: Ctrl-] looks into the guest's kernel (? helps)\n", stderr);
	kt_terminal_set(&shell->terminal, KT_TERMINAL_RAW);
}

static int watch_input(struct shell *shell)
{
	int r;

	shell->input = (struct kt_source){
		.fd = STDIN_FILENO,
		.events = EPOLLIN,
		.fn = on_input,
		.data = shell,
	};
	r = kt_loop_add(shell->loop, &shell->input);
	if (r == -EPERM) { /* epoll refuses regular files and /dev/null: always readable */
		shell->input.fd = -1;
		on_input(shell, 0);
		r = 0;
	}
	return r;
}

/*
 * A booted guest lacks the files of its packages. It handles FILE frames before the RUN behind
 * them.
 */
static void send_packages(struct shell *shell)
{
	const struct kt_image *image = shell->setup->image;
	KT_JSON json_t *files = kt_image_manifest(image, KT_PACKAGES_NONE, NULL);
	struct kt_err err = KT_ERR_NULL;

	if (!files || kt_image_send_changes(image, shell->packages, files, shell->link, &err) < 0)
		fail(shell, -ENOMEM, err.text);
}

/* The deadline ends here; the terminal becomes raw, and input flows. */
static void send_run(struct shell *shell)
{
	struct winsize size = kt_terminal_size(STDIN_FILENO);
	const char *const environment[] = { "KTESTS=1", NULL };
	struct kt_run_request run = {
		.mode = shell->command ? KT_RUN_EXEC : KT_RUN_SHELL,
		.command = shell->command,
		.terminal = getenv("TERM") ?: "vt100",
		.rows = size.ws_row,
		.columns = size.ws_col,
		.attempt = 1,
		.time_scale_percent = 100,
		.environment = environment,
	};
	KT_FREE void *data = NULL;
	size_t len;

	if (kt_link_make_wake(&run.wake) < 0 || kt_run_request_encode(&run, &data, &len) < 0) {
		fail(shell, -ENOMEM, "out of memory");
		return;
	}
	shell->booted = true;
	kt_link_await_nothing(shell->link);
	send_frame(shell, KT_MSG_RUN, data, len);
	if (!shell->command)
		take_terminal(shell);
	if (watch_input(shell) < 0)
		fail(shell, -EIO, "cannot read standard input");
}

/* The guest powers off when it has RACK. */
static void on_result(struct shell *shell, const struct kt_frame *frame)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_result result;

	if (kt_result_decode(frame->payload, frame->len, &result, &err) < 0) {
		fail(shell, -EBADMSG, err.text);
		return;
	}
	kt_loop_remove(shell->loop, &shell->input);
	shell->status = result.exit_status;
	if (result.verdict != KT_VERDICT_PASS)
		shell->status =
			kt_err_set(&shell->err, -EREMOTEIO, "guest: %s", result.reason ?: "error");
	kt_result_deinit(&result);
	send_frame(shell, KT_MSG_RESULT_ACK, NULL, 0);
	kt_link_await(shell->link, "power off", TEARDOWN_TIMEOUT_NS);
}

static void on_hello(void *data, const struct kt_hello *hello)
{
	(void)hello;
	send_packages(data);
	send_run(data);
}

/* When nothing reads the output any more, the shell ends as one that SIGPIPE has killed. */
static void put_output(struct shell *shell, int fd, const struct kt_frame *frame)
{
	if (kt_write_full(fd, frame->payload, frame->len) != -EPIPE)
		return;
	shell->status = 128 + SIGPIPE;
	kt_loop_stop(shell->loop, 0);
}

static void on_frame(void *data, const struct kt_frame *frame)
{
	struct shell *shell = data;

	switch (frame->type) {
	case KT_MSG_STDOUT:
		put_output(shell, STDOUT_FILENO, frame);
		break;
	case KT_MSG_STDERR:
		put_output(shell, STDERR_FILENO, frame);
		break;
	case KT_MSG_RESULT:
		on_result(shell, frame);
		break;
	default: /* frames about steps and logs belong to tests */
		break;
	}
}

static void on_broken(void *data, const char *why)
{
	fail(data, -EBADMSG, why);
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct shell *shell = data;

	(void)kt_capture_append(&shell->console, bytes, len);
	if (shell->options->verbose)
		(void)kt_write_full(STDERR_FILENO, bytes, len);
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct shell *shell = data;

	if (exit->reason != KT_EXIT_SHUTDOWN || !shell->booted)
		fail(shell, -EIO, exit->detail);
	else
		kt_loop_stop(shell->loop, 0);
}

static void on_late(void *data, const char *what, uint64_t limit_ns)
{
	struct shell *shell = data;

	(void)what;
	(void)limit_ns;
	fail(shell, -ETIMEDOUT,
	     shell->booted ? "the guest does not power off" : "the guest has not booted in time");
}

/*
 * SIGWINCH changes the size of the guest's terminal; any other signal ends the shell with 128 + N.
 */
static void on_signal(void *data, uint32_t events)
{
	struct shell *shell = data;
	int signal = kt_signals_take(&shell->signals);

	(void)events;
	if (!signal)
		return;
	if (signal == SIGWINCH) {
		struct winsize size = kt_terminal_size(STDIN_FILENO);
		struct kt_msg_window window = { .rows = size.ws_row, .columns = size.ws_col };

		if (shell->booted && !shell->command)
			send_frame(shell, KT_MSG_WINDOW, &window, sizeof(window));
		return;
	}
	shell->status = 128 + signal;
	kt_loop_stop(shell->loop, 0);
}

static const struct kt_link_events link_events = {
	.hello = on_hello,
	.frame = on_frame,
	.console = on_console,
	.broken = on_broken,
	.exited = on_exited,
	.late = on_late,
};

static int watch_signals(struct shell *shell)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };

	shell->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = shell };
	return kt_signals_watch(shell->loop, &shell->signals, signals, KT_ARRAY_LEN(signals));
}

/* What every shell needs before its machine. */
static int prepare(struct shell *shell, enum kt_vmm vmm, struct kt_err *reterr)
{
	int r = kt_loop_new(&shell->loop);

	if (r == 0)
		r = watch_signals(shell);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set up the shell: %m");
	r = kt_capture_init(&shell->console, "ktest-console", reterr)
		    ?: kt_link_new(shell->loop, vmm, &link_events, shell, &shell->link, reterr);
	shell->prompt.options = shell->options;
	shell->prompt.terminal = &shell->terminal;
	shell->prompt.link = shell->link;
	return r;
}

/* A shell's image has busybox in addition, so the guest always lacks files and gets EXEC. */
static int restore(struct shell *shell, const struct kt_test *test,
		   const struct kt_template *template, struct kt_err *reterr)
{
	struct kt_machine_config machine = kt_setup_machine(shell->setup, shell->kernel, test);
	int r;

	r = kt_template_restore(template, shell->link, &machine,
				kt_now_ns() + KT_TEMPLATE_RESTORE_NS, reterr);
	if (r == 0)
		r = kt_image_send_changes(shell->setup->image,
					  kt_cargo_packages(&shell->setup->cargo, test),
					  template->files, shell->link, reterr);
	if (r == 0)
		send_frame(shell, KT_MSG_EXEC, NULL, 0);
	return r;
}

static int boot(struct shell *shell, const struct kt_test *test, struct kt_err *reterr)
{
	struct kt_machine_config machine;
	int r = kt_setup_initramfs(shell->setup, reterr);

	if (r < 0)
		return r;
	machine = kt_setup_machine(shell->setup, shell->kernel, test);
	shell->packages = kt_cargo_packages(&shell->setup->cargo, test);
	return kt_machine_start(kt_link_machine(shell->link), &machine, reterr);
}

static int start(struct shell *shell, const struct kt_test *test, struct kt_err *reterr)
{
	KT_FREE char *fault = kt_setup_fault(shell->setup, shell->kernel, test);
	struct kt_group *group = NULL;
	int r;

	if (fault)
		return kt_err_set(reterr, -EINVAL, "%s", fault);
	r = prepare(shell, shell->setup->host.vmm, reterr);
	if (r < 0)
		return r;
	kt_link_await(shell->link, "boot", kt_setup_boot_limit_ns(shell->setup, test));
	if (!kt_group_get(&group, shell->setup, shell->kernel, test))
		return kt_err_oom(reterr);
	if (group->state == KT_GROUP_NEW)
		kt_group_look(group, shell->setup, 1, NULL);
	/* A template is used if there is one. Making one for a single shell would not pay. */
	r = group->state == KT_GROUP_READY ? restore(shell, test, &group->template, reterr)
					   : boot(shell, test, reterr);
	kt_groups_free(group);
	return r;
}

/* The end of the console often says why a guest did not start; --verbose has shown it already. */
static void show_console(const struct shell *shell)
{
	KT_FREE char *text = kt_capture_text(&shell->console);

	if (!text || shell->options->verbose)
		return;
	kt_text_sanitize(text);
	(void)fputs(kt_text_tail(text, 20), stderr);
}

/* Runs the loop of a shell that has started with @r, and releases what it owns. */
static int finish(struct shell *shell, int r, int *ret_status, struct kt_err *reterr)
{
	if (r == 0)
		r = kt_loop_run(shell->loop);
	kt_terminal_restore(&shell->terminal);
	kt_prompt_deinit(&shell->prompt);
	shell->link = kt_link_free(shell->link);
	if (r == 0 && shell->status < 0) {
		show_console(shell);
		r = kt_err_set(reterr, shell->status, "%s", shell->err.text);
	}
	*ret_status = shell->status;
	kt_capture_deinit(&shell->console);
	if (shell->loop)
		kt_signals_unwatch(shell->loop, &shell->signals);
	shell->loop = kt_loop_free(shell->loop);
	return r;
}

int kt_shell_run(struct kt_setup *setup, const struct kt_kernel *kernel, const struct kt_test *test,
		 const char *command, int *ret_status, struct kt_err *reterr)
{
	struct shell shell = {
		.setup = setup,
		.kernel = kernel,
		.options = setup->options,
		.command = command,
		.input = KT_SOURCE_NULL,
		.signals = KT_SOURCE_NULL,
		.console = KT_CAPTURE_NULL,
		.terminal = KT_TERMINAL_NULL,
		.prompt = KT_PROMPT_NULL,
	};

	return finish(&shell, start(&shell, test ?: &default_test, reterr), ret_status, reterr);
}

/* The program of the guest is of another build, perhaps, and stays. */
static int send_shell(struct shell *shell, const struct kt_image *image, struct kt_err *reterr)
{
	KT_JSON json_t *files = kt_image_manifest(image, KT_PACKAGES_NONE, NULL);

	if (!files)
		return kt_err_oom(reterr);
	(void)json_object_del(files, "/bin/busybox");
	return kt_image_send_changes(image, KT_PACKAGES_NONE, files, shell->link, reterr);
}

/* The frames wait in the port until the machine, which is restored paused, runs and PID 1 reads. */
static int reopen(struct shell *shell, const struct kt_shell_capsule *capsule,
		  struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_now_ns() + KT_TEMPLATE_RESTORE_NS;
	struct kt_machine *machine;
	int r = prepare(shell, capsule->config->vmm, reterr);

	if (r < 0)
		return r;
	machine = kt_link_machine(shell->link);
	kt_link_set_position(shell->link, capsule->position);
	r = kt_machine_restore(machine, capsule->config, capsule->image, deadline_ns, reterr)
		    ?: send_shell(shell, capsule->files, reterr);
	if (r == 0)
		send_run(shell);
	return r ?: kt_machine_resume(machine, deadline_ns, reterr);
}

int kt_shell_reopen(const struct kt_shell_capsule *capsule, const char *command, int *ret_status,
		    struct kt_err *reterr)
{
	struct shell shell = {
		.options = capsule->options,
		.command = command,
		.input = KT_SOURCE_NULL,
		.signals = KT_SOURCE_NULL,
		.console = KT_CAPTURE_NULL,
		.terminal = KT_TERMINAL_NULL,
		.prompt = KT_PROMPT_NULL,
	};

	return finish(&shell, reopen(&shell, capsule, reterr), ret_status, reterr);
}
