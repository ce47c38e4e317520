/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of the guest. Its life is one conversation with the host over the port:
 *
 *   1. set_up(): mounts, port, crash handler, forwarded output. PID 1 sends HELLO.
 *   2. wait_run(): the host sends what it wants done before RUN. A template is saved here.
 *   3. RUN: one test or one shell. PID 1 sends the result, and the host acknowledges it.
 *      A machine that was saved before that can be opened, and RUN a shell instead.
 *   4. leave(): PID 1 is alone and has got the acknowledgement, and the host ends the machine.
 *
 * A machine runs one test. Nothing has to be undone after it, but nothing of it may run on while
 * the test is judged. An error before the result goes to the console, since the port may be what is
 * broken.
 */
#include "guest/init/main.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
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

#include "guest/init/devices.h"
#include "guest/init/mounts.h"
#include "guest/init/settle.h"
#include "guest/init/shell.h"
#include "guest/init/sysview.h"
#include "guest/init/update.h"
#include "guest/init/wake.h"
#include "guest/port/activity.h"
#include "guest/port/crash.h"
#include "guest/port/hostcall.h"
#include "guest/port/output.h"
#include "guest/port/port.h"
#include "guest/process/reap.h"
#include "guest/scenario/scenario.h"
#include "guest/scenario/state.h"
#include "guest/test/check.h"
#include "guest/test/ctx.h"
#include "guest/test/kmsg.h"
#include "guest/test/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/run.h"

#define PORT_TIMEOUT_NS    (10 * KT_NSEC_PER_SEC)
#define ACK_TIMEOUT_NS     (30 * KT_NSEC_PER_SEC)
#define TELL_BEFORE_NS     (500 * KT_NSEC_PER_MSEC) /* the limit of a test */
#define CLEANUP_TIMEOUT_NS (3 * KT_NSEC_PER_SEC)
#define BYE_TIMEOUT_MS     5000 /* for the host to end the machine; then PID 1 does */
#define DMESG_TAIL_MAX     ((size_t)4 * KT_FRAME_PAYLOAD_MAX) /* behind the first frame */

/* The state of PID 1. All of it lives until the machine ends. */
struct guest {
	const struct kt_test_node *tests; /* all tests of the binary */
	struct kt_port *port;
	struct kt_output *output;
	struct kt_kmsg *kmsg;
	int wake_fd;               /* from kt_wake_prepare() */
	bool woken;                /* WAKE came before RUN: RUN's own wake data is not used */
	struct kt_run_request run; /* what RUN has asked for */
	int step;                  /* for the crash handler when no test runs: always -1 */
	uint64_t began_ns;         /* CLOCK_MONOTONIC; 0: the test has not begun */
};

bool kt_guest_is_me(void)
{
	return getpid() == 1 && getenv(KT_GUEST_VARIABLE);
}

/*
 * Powers off the kernel's way, which tells every device first. Under TCG that takes three times as
 * long as a whole test.
 */
static __attribute__((noreturn)) void power_off(void)
{
	(void)reboot(RB_POWER_OFF);
	_exit(0); /* panics the kernel, which the host sees */
}

/* The host ends the machine when it gets BYE. Nothing has to be saved: no machine is reused. */
static __attribute__((noreturn)) void leave(struct kt_port *port)
{
	const struct kt_msg_bye bye = {
		.received = kt_port_position(port).received,
		.is_alone = kt_reap_is_alone(),
	};

	if (kt_port_send(port, KT_MSG_BYE, &bye, sizeof(bye)) == 0)
		kt_port_linger(port, BYE_TIMEOUT_MS);
	power_off();
}

/*
 * Ends PID 1 after an error that the host cannot be told over the port: prints it to the console.
 */
static __attribute__((noreturn)) void give_up(const struct kt_err *err)
{
	KT_CLOSE int console = open("/dev/console", O_WRONLY | O_CLOEXEC);

	(void)dprintf(console, "ktest: %s\n", err->text);
	power_off();
}

/* Programs under test expect to reach 127.0.0.1. A kernel without networking has no loopback. */
static void set_up_loopback(void)
{
	KT_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd >= 0)
		(void)ioctl(fd, SIOCSIFFLAGS, &request);
}

/* Many workers need many descriptors, and BPF before 5.11 needs locked memory. */
static void set_up_limits(void)
{
	struct rlimit files = { 65536, 65536 }, locked = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_MEMLOCK, &locked);
}

/* The part of the set-up that outlives an EXEC: a newer PID 1 must not do it again. */
static int set_up_system(struct kt_err *reterr)
{
	int r;

	(void)umask(022);
	r = kt_mounts_setup(reterr);
	if (r < 0)
		return r;
	(void)sethostname("ktest", 5);
	(void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	(void)setenv("HOME", "/", 1);
	set_up_loopback();
	set_up_limits();
	return kt_devices_setup(reterr);
}

static int set_up(struct guest *guest, struct kt_err *reterr)
{
	int r;

	(void)prctl(PR_SET_NAME, "ktest-init");
	(void)unsetenv("LD_BIND_NOW"); /* it was meant for PID 1, not for its children */
	r = kt_update_adopt_port(&guest->port, reterr);
	if (r == -ENOENT)
		r = set_up_system(reterr)
			    ?: kt_port_open(kt_now_ns() + PORT_TIMEOUT_NS, &guest->port, reterr);
	r = r ?: kt_crash_install(guest->port, &guest->step, reterr) ?:
	    kt_output_start(guest->port, &guest->output, reterr) ?:
	    kt_kmsg_open(&guest->kmsg, reterr);
	if (r < 0)
		return r;
	kt_crash_set_output(guest->output);
	guest->wake_fd = kt_wake_prepare(reterr);
	return guest->wake_fd < 0 ? guest->wake_fd : 0;
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

static int settle(struct guest *guest, struct kt_err *reterr)
{
	int r;

	kt_settle();
	r = kt_port_send_and_stand(guest->port, KT_MSG_SETTLED);
	return r < 0 ? kt_err_set(reterr, r, "sending SETD: %m") : 0;
}

/* Replaces PID 1 by the /init that FILE frames have brought. Returns only on failure. */
static int exec_newer(struct guest *guest, struct kt_err *reterr)
{
	kt_output_flush(guest->output, kt_now_ns() + CLEANUP_TIMEOUT_NS);
	kt_output_give_back(guest->output);
	return kt_update_exec(guest->port, reterr);
}

/* NULL when the binary has no such test. */
static const struct kt_test *find_test(const struct kt_test_node *tests, const char *name)
{
	for (; name && tests; tests = tests->next) {
		if (!strcmp(tests->test->name, name))
			return tests->test;
	}
	return NULL;
}

/*
 * A dry run of the code between RUN and a test's first instruction. TCG translates each block of
 * instructions when it first runs, which is slow; a machine in the pool has time for it.
 */
static void rehearse(const struct guest *guest)
{
	KT_CLEANUP(kt_run_request_deinit) struct kt_run_request run = KT_RUN_REQUEST_NULL;
	const char *const environment[] = { NULL };
	const struct kt_run_request sent = {
		.test = guest->tests->test->name,
		.environment = environment,
	};
	struct kt_scenario *scenario = NULL;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	struct kt_ctx ctx;
	size_t len;

	if (kt_run_request_encode(&sent, &data, &len) < 0 ||
	    kt_run_request_decode(data, len, &run, &err) < 0)
		return;
	kt_kmsg_begin(guest->kmsg);
	kt_ctx_init(&ctx, find_test(guest->tests, run.test));
	if (kt_scenario_new(&ctx, guest->port, &scenario) == 0)
		(void)kt_scenario_free(scenario);
	kt_ctx_deinit(&ctx);
}

static int wake(struct guest *guest, const struct kt_frame *frame, struct kt_err *reterr)
{
	struct kt_msg_wake message;
	int r;

	if (frame->len != sizeof(message))
		return kt_err_set(reterr, -EPROTO, "WAKE of %u bytes", frame->len);
	memcpy(&message, frame->payload, sizeof(message));
	kt_wake(guest->wake_fd, &message);
	guest->woken = true;
	rehearse(guest);
	r = kt_port_send(guest->port, KT_MSG_WOKE, NULL, 0);
	return r < 0 ? kt_err_set(reterr, r, "sending WOKE: %m") : 0;
}

/*
 * Does what the host asks for until it sends RUN. There is no deadline: a template is saved and
 * restored while this waits, and the host ends a machine that it does not need.
 */
static int wait_run(struct guest *guest, struct kt_err *reterr)
{
	struct kt_frame frame;
	char type[5];

	for (;;) {
		int r = kt_port_receive(guest->port, KT_NSEC_NEVER, &frame, reterr);

		if (r == 0 && frame.type == KT_MSG_RUN)
			return kt_run_request_decode(frame.payload, frame.len, &guest->run, reterr);
		if (r == 0 && frame.type == KT_MSG_SETTLE)
			r = settle(guest, reterr);
		else if (r == 0 && frame.type == KT_MSG_FILE)
			r = kt_update_file(&frame, reterr);
		else if (r == 0 && frame.type == KT_MSG_REMOVE)
			r = kt_update_remove(&frame, reterr);
		else if (r == 0 && frame.type == KT_MSG_EXEC)
			r = exec_newer(guest, reterr);
		else if (r == 0 && frame.type == KT_MSG_WAKE)
			r = wake(guest, &frame, reterr);
		else if (r == 0)
			r = kt_err_set(reterr, -EPROTO, "the host sent '%s' where 'RUN ' was due",
				       kt_frame_type_text(frame.type, type));
		if (r < 0)
			return r;
	}
}

/*
 * Kills what the test has left behind: it must not print any more, nor run while the test is
 * judged. A process that does not die makes the test an ERROR.
 */
static void end_processes(struct kt_result *result)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_reap_all(kt_now_ns() + CLEANUP_TIMEOUT_NS, &result->left_behind, &err) < 0)
		kt_result_merge(result, KT_VERDICT_ERROR, err.text);
}

/*
 * Sends the text in as many frames as it takes. A very long log loses its middle: its beginning has
 * the cause, and its end the complaint.
 */
static void send_kernel_log(struct guest *guest, const char *text)
{
	size_t len = strlen(text), head = KT_MIN(len, (size_t)KT_FRAME_PAYLOAD_MAX);

	(void)kt_port_send(guest->port, KT_MSG_DMESG, text, head);
	text += head;
	len -= head;
	if (len > DMESG_TAIL_MAX) {
		KT_FREE char *mark = kt_format("#(%zu bytes left out)\n", len - DMESG_TAIL_MAX);

		if (mark)
			(void)kt_port_send(guest->port, KT_MSG_DMESG, mark, strlen(mark));
		text += len - DMESG_TAIL_MAX;
		len = DMESG_TAIL_MAX;
	}
	while (len) {
		size_t n = KT_MIN(len, (size_t)KT_FRAME_PAYLOAD_MAX);

		(void)kt_port_send(guest->port, KT_MSG_DMESG, text, n);
		text += n;
		len -= n;
	}
}

/* A complaint may be among records that were never read, so a pass becomes INCONCLUSIVE. */
static void judge_lost_records(struct guest *guest, struct kt_ctx *ctx)
{
	if (kt_kmsg_has_lost(guest->kmsg))
		kt_result_merge(&ctx->result, KT_VERDICT_INCONCLUSIVE,
				"records of the kernel's log were overwritten before they were "
				"read; a complaint may be among them");
}

/* A complaint of the kernel fails the test, unless it is the one that was expected. */
static void judge_kernel_log(struct guest *guest, struct kt_ctx *ctx)
{
	const char *expected = ctx->test->expect_kernel_warning;
	struct kt_where where = { ctx->test->file, ctx->test->line };
	KT_FREE char *text = NULL, *complaint = NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kmsg_read(guest->kmsg, &text, &err) < 0) {
		(void)kt_fail(ctx, where, "%s", err.text);
		return;
	}
	complaint = text ? kt_kmsg_complaint(text) : NULL;
	if (complaint && !(expected && strstr(complaint, expected)))
		(void)kt_fail(ctx, where, "the kernel complained: %s", complaint);
	else if (expected && !complaint)
		(void)kt_fail_values(ctx, where, "the kernel complains", expected, "nothing");
	judge_lost_records(guest, ctx);
	if (text && ctx->result.verdict == KT_VERDICT_FAIL)
		send_kernel_log(guest, text);
}

/*
 * What explores begins with the steps or .run: to load a scheduler takes longer than most tests,
 * and is not what they are about.
 */
static void begin_exploration(const struct kt_run_request *run)
{
	if (kt_hostcall_served() && run->turns.policy != KT_TURNS_RANDOM)
		(void)kt_hostcall_seed(&run->turns);
}

/*
 * The test itself, in this order: steps or .run; end of all workers and payloads; their reports are
 * checked; .check; the scheduler is detached, which may fail the test too. After a failed step or
 * .run the checks are skipped, but not the tear-down.
 */
static void run_body(struct guest *guest, struct kt_ctx *ctx)
{
	struct kt_scenario *scenario = NULL;
	int r = kt_scenario_new(ctx, guest->port, &scenario);

	if (r < 0) {
		kt_result_merge(&ctx->result, KT_VERDICT_ERROR, "out of memory in the guest");
		return;
	}
	ctx->began_ns = guest->began_ns = kt_now_ns();
	kt_activity_begin("the start of the scheduler", -1, NULL);
	r = kt_scenario_begin(scenario);
	begin_exploration(&guest->run);
	kt_activity_begin(".run", -1, NULL);
	if (r == 0 && ctx->test->steps)
		r = kt_scenario_run(scenario, ctx->test);
	else if (r == 0)
		r = kt_ctx_call(ctx, ctx->test->run, "run");
	kt_activity_begin("the teardown", -1, NULL);
	kt_scenario_tear_down(scenario); /* after this all workers have reported */
	kt_activity_begin(".check", -1, NULL);
	if (r == 0)
		kt_check_reports(ctx, &scenario->live.reports);
	if (r == 0)
		(void)kt_ctx_call(ctx, ctx->test->check, "check");
	kt_activity_begin("the end of the scheduler", -1, NULL);
	kt_scheduler_set_finish(&scenario->schedulers);
	ctx->result.duration_ns = kt_elapsed_ns(ctx);
	ctx->result.scenario = kt_scenario_report(scenario);
	(void)kt_scenario_free(scenario);
}

/*
 * Scales the RCU stall timeout by the factor of a slow machine: otherwise a long dump with
 * interrupts off is reported as a stall. 21 s is the kernel's default, 300 s its limit
 * (kernel/rcu/tree_stall.h).
 */
static void scale_stall_timeout(unsigned int percent)
{
	KT_FREE char *text = kt_format("%u", KT_MIN(21 * percent / 100, 300u));

	if (text)
		(void)kt_file_write("/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout", text);
}

/* From here on the machine's course follows from the seed, and the host counts the guest's time. */
static void begin_schedule(const struct kt_run_request *run)
{
	struct kt_turns turns = run->turns;

	if (!kt_hostcall_served())
		return;
	(void)kt_hostcall_limit(run->limit_ns);
	turns.policy = KT_TURNS_RANDOM;
	(void)kt_hostcall_seed(&turns);
}

/* In the thread of the output. The host shows the text if the test does not end in time. */
static void tell_activity(void *data)
{
	const struct guest *guest = data;
	KT_FREE char *text = kt_activity_text();

	if (text)
		(void)kt_port_send(guest->port, KT_MSG_DOING, text,
				   KT_MIN(strlen(text), (size_t)KT_DOING_MAX));
}

/* A trace that was asked for and cannot be had is an error, not a silence. */
static void judge_trace(struct kt_ctx *ctx, int r, const struct kt_err *err)
{
	if (r < 0)
		kt_result_merge(&ctx->result, KT_VERDICT_ERROR, err->text);
}

/* Runs the requested test and moves its result to *@ret_result. */
static void run_test(struct guest *guest, struct kt_result *ret_result)
{
	const struct kt_test *test = find_test(guest->tests, guest->run.test);
	struct kt_err err = KT_ERR_NULL;
	struct kt_ctx ctx;

	if (!test) {
		kt_result_merge(ret_result, KT_VERDICT_ERROR,
				"the guest's binary does not hold this test");
		return;
	}
	begin_schedule(&guest->run);
	kt_kmsg_begin(guest->kmsg);
	kt_ctx_init(&ctx, test);
	ctx.seed = guest->run.seed;
	ctx.work_type = guest->run.work_type < KT_N_WORK_TYPES
				? (enum kt_work_type)guest->run.work_type
				: KT_WORK_NONE;
	ctx.time_scale_percent = guest->run.time_scale_percent;
	ctx.limit_ns = guest->run.limit_ns;
	if (ctx.limit_ns)
		kt_output_call_at(guest->output,
				  kt_now_ns() + ctx.limit_ns -
					  KT_MIN(ctx.limit_ns / 8, TELL_BEFORE_NS),
				  tell_activity, guest);
	scale_stall_timeout(ctx.time_scale_percent);
	kt_crash_watch_step(&ctx.step);
	judge_trace(&ctx, kt_trace_begin(&err), &err);
	run_body(guest, &ctx);
	kt_activity_begin("the end of the trace", -1, NULL);
	judge_trace(&ctx, kt_trace_end(guest->port, ctx.began_ns, &err), &err);
	kt_activity_begin("the end of the test's processes", -1, NULL);
	end_processes(&ctx.result);
	kt_ctx_take_children(&ctx);
	kt_activity_begin("the look at the kernel's log", -1, NULL);
	judge_kernel_log(guest, &ctx);
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
	end_processes(result);
}

/*
 * Waits for RACK, and returns 0. A machine that was saved meanwhile can be opened later: it gets
 * files and RUN for a shell instead, and this returns 1. Other frames that arrive are skipped, such
 * as terminal input.
 */
static int await_ack(struct guest *guest, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct kt_frame frame;
	int r;

	for (;;) {
		r = kt_port_receive(guest->port, deadline_ns, &frame, reterr);
		if (r < 0 || frame.type == KT_MSG_RESULT_ACK)
			return r;
		if (frame.type == KT_MSG_FILE)
			r = kt_update_file(&frame, reterr);
		else if (frame.type == KT_MSG_RUN)
			return kt_run_request_decode(frame.payload, frame.len, &guest->run, reterr)
				       ?: 1;
		if (r < 0)
			return r;
	}
}

/* Sends the result and waits for its acknowledgement; returns as await_ack(). */
static int send_result(struct guest *guest, struct kt_result *result, struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_now_ns() + ACK_TIMEOUT_NS;
	KT_FREE void *data = NULL;
	size_t len;
	int r;

	if (kt_hostcall_served())
		result->turns = kt_hostcall_turns();
	if (guest->began_ns)
		result->since_begin_ns = kt_now_ns() - guest->began_ns;
	if (kt_result_encode(result, &data, &len) < 0)
		return kt_err_oom(reterr);
	r = kt_port_send(guest->port, KT_MSG_RESULT, data, len);
	if (r < 0)
		return kt_err_set(reterr, r, "sending RSLT: %m");
	return await_ack(guest, deadline_ns, reterr);
}

/* Does what RUN has asked for, and tells the result; returns as await_ack(). */
static int serve_run(struct guest *guest, struct kt_err *reterr)
{
	struct kt_result result = KT_RESULT_NULL;
	int r;

	if (!guest->woken)
		kt_wake(guest->wake_fd, &guest->run.wake);
	for (const char *const *at = guest->run.environment; *at; at++)
		(void)putenv((char *)*at); /* not copied: the request is never freed */
	if (guest->run.mode == KT_RUN_TEST)
		run_test(guest, &result);
	else
		run_shell(guest, &result);
	guest->woken = true; /* a shell in an opened capsule keeps the guest's time */
	kt_output_flush(guest->output, kt_now_ns() + CLEANUP_TIMEOUT_NS);
	r = send_result(guest, &result, reterr);
	kt_result_deinit(&result);
	return r;
}

static int serve(struct guest *guest, struct kt_err *reterr)
{
	int r = wait_run(guest, reterr);

	if (r < 0)
		return r;
	do
		r = serve_run(guest, reterr);
	while (r > 0);
	return r;
}

void kt_guest_main(const struct kt_test_node *tests)
{
	struct guest guest = { .tests = tests, .run = KT_RUN_REQUEST_NULL, .step = -1 };
	struct kt_err err = KT_ERR_NULL;

	if (set_up(&guest, &err) < 0 || say_hello(&guest, &err) < 0 || serve(&guest, &err) < 0)
		give_up(&err);
	leave(guest.port);
}
