/* SPDX-License-Identifier: MIT */
#include "guest/main.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/crash.h"
#include "guest/ctx.h"
#include "guest/kmsg.h"
#include "guest/mounts.h"
#include "guest/output.h"
#include "guest/port.h"
#include "guest/scenario.h"
#include "guest/shell.h"
#include "guest/sysview.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/run.h"

#define PORT_TIMEOUT_NS    (10 * KT_NSEC_PER_SEC)
#define ACK_TIMEOUT_NS     (30 * KT_NSEC_PER_SEC)
#define CLEANUP_TIMEOUT_MS 3000u

/* Everything PID 1 has. */
struct guest {
	const struct kt_test_node *tests;
	struct kt_port *port;
	struct kt_output *output;
	struct kt_run_request run;
	int step; /* for the last words; -1 outside the steps */
};

bool kt_guest_is_me(void)
{
	return getpid() == 1 && getenv(KT_GUEST_VARIABLE);
}

static __attribute__((noreturn)) void power_off(void)
{
	sync();
	(void)reboot(RB_POWER_OFF);
	_exit(0); /* panics the kernel, which the host sees */
}

/* Nobody can be told over the port: the console is the last resort, for people. */
static __attribute__((noreturn)) void give_up(const struct kt_err *err)
{
	(void)dprintf(STDERR_FILENO, "ktest: %s\n", err->text);
	power_off();
}

static void set_up_loopback(void)
{
	KT_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd >= 0)
		(void)ioctl(fd, SIOCSIFFLAGS, &request);
}

static void set_up_limits(void)
{
	struct rlimit files = { 65536, 65536 }, locked = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_MEMLOCK, &locked);
}

static int set_up(struct guest *guest, struct kt_err *reterr)
{
	int r;

	(void)prctl(PR_SET_NAME, "ktest-init");
	(void)umask(022);
	r = kt_mounts_setup(reterr);
	if (r < 0)
		return r;
	(void)sethostname("ktest", 5);
	(void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	(void)setenv("HOME", "/", 1);
	set_up_loopback();
	set_up_limits();
	r = kt_port_open(kt_now_ns() + PORT_TIMEOUT_NS, &guest->port, reterr);
	if (r < 0)
		return r;
	return kt_crash_install(guest->port, &guest->step, reterr);
}

static int say_hello(struct guest *guest, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	struct kt_hello hello;
	int r = kt_sysview_hello(&hello, reterr);

	if (r < 0)
		return r;
	text = kt_hello_encode(&hello);
	if (!text)
		return kt_err_oom(reterr);
	r = kt_port_send(guest->port, KT_MSG_HELLO, text, strlen(text));
	return r < 0 ? kt_err_set(reterr, r, "sending HELO: %m") : 0;
}

static int wait_run(struct guest *guest, struct kt_err *reterr)
{
	struct kt_frame frame;
	char type[5];
	int r = kt_port_receive(guest->port, KT_NSEC_NEVER, &frame, reterr);

	if (r < 0)
		return r;
	if (frame.type != KT_MSG_RUN)
		return kt_err_set(reterr, -EPROTO, "the host sent '%s' where 'RUN ' was due",
				  kt_frame_type_text(frame.type, type));
	return kt_run_request_decode(frame.payload, frame.len, &guest->run, reterr);
}

/* The machine's clock is as old as its image; the host's is right. */
static void set_clock(uint64_t realtime_ns)
{
	struct timespec now = {
		.tv_sec = (time_t)(realtime_ns / KT_NSEC_PER_SEC),
		.tv_nsec = (long)(realtime_ns % KT_NSEC_PER_SEC),
	};

	if (realtime_ns)
		(void)clock_settime(CLOCK_REALTIME, &now);
}

static const struct kt_test *find_test(const struct kt_test_node *tests, const char *name)
{
	for (; name && tests; tests = tests->next) {
		if (!strcmp(tests->test->name, name))
			return tests->test;
	}
	return NULL;
}

/* Ends every other process, so that nothing holds standard output and all is collected. */
static void kill_everything(void)
{
	sigset_t child;
	struct timespec limit = { .tv_sec = CLEANUP_TIMEOUT_MS / 1000 };

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	(void)kill(-1, SIGKILL);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0 && sigtimedwait(&child, NULL, &limit) < 0)
			return;
	}
}

/* A complaint of the kernel fails the test, unless it is the one that was expected. */
static void judge_kernel_log(struct guest *guest, struct kt_ctx *ctx, struct kt_kmsg *kmsg)
{
	const char *expected = ctx->test->expect_kernel_warning;
	struct kt_where where = { ctx->test->file, ctx->test->line };
	KT_FREE char *text = NULL, *complaint = NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kmsg_read(kmsg, &text, &err) < 0) {
		(void)kt_fail(ctx, where, "%s", err.text);
		return;
	}
	complaint = kt_kmsg_complaint(text);
	if (complaint && !(expected && strstr(complaint, expected)))
		(void)kt_fail(ctx, where, "the kernel complained: %s", complaint);
	else if (expected && !complaint)
		(void)kt_fail_values(ctx, where, "the kernel complains", expected, "nothing");
	if (ctx->result.verdict == KT_VERDICT_FAIL)
		(void)kt_port_send(guest->port, KT_MSG_DMESG, text,
				   KT_MIN(strlen(text), (size_t)KT_FRAME_PAYLOAD_MAX));
}

static void run_body(struct guest *guest, struct kt_ctx *ctx)
{
	struct kt_scenario *scenario = NULL;
	int r = kt_scenario_new(ctx, guest->port, &scenario);

	if (r < 0) {
		kt_result_merge(&ctx->result, KT_VERDICT_ERROR, "out of memory in the guest");
		return;
	}
	ctx->began_ns = kt_now_ns();
	if (ctx->test->steps)
		r = kt_scenario_run(scenario, ctx->test->steps);
	else
		r = kt_ctx_call(ctx, ctx->test->run, "run");
	if (r == 0)
		(void)kt_ctx_call(ctx, ctx->test->check, "check");
	ctx->result.duration_ns = kt_elapsed_ns(ctx);
	ctx->result.steps = kt_scenario_report(scenario);
	(void)kt_scenario_free(scenario);
}

static void run_test(struct guest *guest, struct kt_result *ret_result)
{
	const struct kt_test *test = find_test(guest->tests, guest->run.test);
	struct kt_kmsg *kmsg = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_ctx ctx;

	if (!test || kt_kmsg_open(test->name, &kmsg, &err) < 0) {
		kt_result_merge(ret_result, KT_VERDICT_ERROR,
				test ? err.text : "the guest's binary does not hold this test");
		return;
	}
	kt_ctx_init(&ctx, test);
	ctx.seed = guest->run.seed;
	ctx.time_scale_percent = guest->run.time_scale_percent;
	kt_crash_watch_step(&ctx.step);
	run_body(guest, &ctx);
	kill_everything();
	judge_kernel_log(guest, &ctx, kmsg);
	kmsg = kt_kmsg_close(kmsg);
	kt_crash_watch_step(&guest->step);
	*ret_result = ctx.result;
	ctx.result = KT_RESULT_NULL;
	kt_ctx_deinit(&ctx);
}

static void run_shell(struct guest *guest, struct kt_result *result)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (guest->run.terminal)
		(void)setenv("TERM", guest->run.terminal, 1);
	(void)setenv("PS1", "ktest# ", 1);
	if (guest->run.mode == KT_RUN_SHELL)
		r = kt_shell_interactive(guest->port, &guest->run, &result->exit_status, &err);
	else
		r = kt_shell_exec(guest->port, &guest->run, &result->exit_status, &err);
	if (r < 0)
		kt_result_merge(result, KT_VERDICT_ERROR, err.text);
	kill_everything();
}

static int send_result(struct guest *guest, const struct kt_result *result, struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_now_ns() + ACK_TIMEOUT_NS;
	KT_FREE char *text = kt_result_encode(result);
	struct kt_frame frame;
	int r;

	if (!text)
		return kt_err_oom(reterr);
	r = kt_port_send(guest->port, KT_MSG_RESULT, text, strlen(text));
	if (r < 0)
		return kt_err_set(reterr, r, "sending RSLT: %m");
	do
		r = kt_port_receive(guest->port, deadline_ns, &frame, reterr);
	while (r == 0 && frame.type != KT_MSG_RESULT_ACK);
	return r;
}

static int serve(struct guest *guest, struct kt_err *reterr)
{
	struct kt_result result = KT_RESULT_NULL;
	struct kt_err err = KT_ERR_NULL;
	int r;

	r = wait_run(guest, reterr);
	if (r < 0)
		return r;
	set_clock(guest->run.realtime_ns);
	for (const char *const *at = guest->run.environment; *at; at++)
		(void)putenv((char *)*at); /* lives as long as PID 1 */
	r = kt_output_start(guest->port, &guest->output, reterr);
	if (r < 0)
		return r;
	kt_crash_set_output(guest->output);
	if (guest->run.mode == KT_RUN_TEST)
		run_test(guest, &result);
	else
		run_shell(guest, &result);
	kt_crash_set_output(NULL);
	if (kt_output_stop(guest->output, kt_now_ns() + CLEANUP_TIMEOUT_MS * KT_NSEC_PER_MSEC,
			   &err) < 0)
		kt_result_merge(&result, KT_VERDICT_ERROR, err.text);
	r = send_result(guest, &result, reterr);
	kt_result_deinit(&result);
	return r;
}

void kt_guest_main(const struct kt_test_node *tests)
{
	struct guest guest = { .tests = tests, .run = KT_RUN_REQUEST_NULL, .step = -1 };
	struct kt_err err = KT_ERR_NULL;

	if (set_up(&guest, &err) < 0 || say_hello(&guest, &err) < 0 || serve(&guest, &err) < 0)
		give_up(&err);
	power_off();
}
