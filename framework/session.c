/* SPDX-License-Identifier: MIT */
#include "framework/session.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "framework/symbol.h"
#include "guest/ctx.h"
#include "guest/main.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/qemu/qemu.h"
#include "wire/hello.h"
#include "wire/message.h"
#include "wire/run.h"

#define DEFAULT_TIMEOUT_MS  10000u /* beyond the duration */
#define DEFAULT_MEMORY_MIB  512u
#define TEARDOWN_TIMEOUT_NS (10 * KT_NSEC_PER_SEC)

/*
 * One loop drives one machine through the phases: boot until HELO, run until RSLT, teardown until
 * the machine is gone. Whatever ends it early (a deadline, a broken frame, the machine's end)
 * becomes a verdict that says so, and the loop stops; what the guest said before is kept.
 */
struct session {
	const struct kt_session_config *config;
	struct kt_outcome *outcome;
	int report_fd;
	struct kt_loop *loop;
	struct kt_machine *machine;
	struct kt_timer deadline;
	struct kt_source signals;
	enum kt_phase phase;
	uint64_t phase_began_ns;
	uint64_t phase_limit_ns;
	struct kt_frame_rx rx;
	struct kt_frame_tx tx;
	int step;    /* running in the guest, -1 outside the steps */
	bool judged; /* the guest's result is in */
};

struct kt_machine_topology kt_session_topology(const struct kt_test *test)
{
	struct kt_topology topology = kt_test_topology(test);

	return (struct kt_machine_topology){
		.numa_nodes = topology.numa_nodes,
		.llcs = topology.llcs,
		.cores = topology.cores,
		.threads = topology.threads,
	};
}

unsigned int kt_session_memory_mib(const struct kt_test *test)
{
	return test->memory_mib ?: DEFAULT_MEMORY_MIB;
}

struct kt_machine_config kt_session_machine_config(const struct kt_session_config *config,
						   const struct kt_test *test, const char *cmdline)
{
	return (struct kt_machine_config){
		.kernel = config->kernel->boot,
		.initramfs_fd = config->image_fd,
		.cmdline = cmdline,
		.topology = kt_session_topology(test),
		.memory_mib = kt_session_memory_mib(test),
		.accel = config->host->accel,
		.qemu = config->host->qemu.path,
		.tcg_single_thread = config->host->tcg_single_thread,
	};
}

uint64_t kt_session_run_limit_ns(const struct kt_session_config *config, const struct kt_test *test)
{
	uint64_t ms = test->timeout_ms ?: kt_test_duration_ms(test) + DEFAULT_TIMEOUT_MS;

	if (config->timeout_ns)
		return config->timeout_ns;
	return (uint64_t)((double)ms * config->timeout_multiplier) * KT_NSEC_PER_MSEC;
}

char *kt_session_cmdline(const struct kt_session_config *config)
{
	/*
	 * A throw-away guest has nothing to protect from itself, and under TCG page table isolation
	 * alone makes a fork() take half as long again. Unknown words of the form KEY=value become
	 * PID 1's environment.
	 */
	return kt_format("console=ttyS0 panic=-1 mitigations=off " KT_GUEST_VARIABLE "=1%s%s",
			 config->append ? " " : "", config->append ?: "");
}

static void report(struct session *session, const char *kind, const char *text)
{
	KT_FREE char *line = kt_format("%s%s\n", kind, text);

	if (line) /* a runner that is gone takes this process with it */
		(void)kt_write_full(session->report_fd, line, strlen(line));
}

static void on_deadline(void *data);

static void enter(struct session *session, enum kt_phase phase, uint64_t limit_ns)
{
	uint64_t now = kt_now_ns();

	if (session->phase_began_ns)
		session->outcome->phase_ns[session->phase] = now - session->phase_began_ns;
	session->phase = phase;
	session->phase_began_ns = now;
	session->phase_limit_ns = limit_ns;
	kt_timer_arm(session->loop, &session->deadline, now + limit_ns);
	report(session, KT_SESSION_PHASE, kt_phase_name(phase));
}

/* Records the verdict of something that the guest did not report, and ends the session. */
__attribute__((format(printf, 3, 4))) static void
end(struct session *session, enum kt_verdict verdict, const char *format, ...)
{
	struct kt_err text;
	va_list ap;

	va_start(ap, format);
	(void)kt_err_vset(&text, 0, format, ap);
	va_end(ap);
	if (verdict == KT_VERDICT_FAIL) {
		const struct kt_test *test = session->outcome->test;
		struct kt_failure failure = {
			.file = (char *)test->file,
			.line = test->line,
			.what = text.text,
			.step = session->step,
			.elapsed_ns = session->phase == KT_PHASE_RUN
					      ? kt_now_ns() - session->phase_began_ns
					      : 0,
		};

		(void)kt_result_add_failure(&session->outcome->result, &failure);
	} else {
		kt_result_merge(&session->outcome->result, verdict, text.text);
	}
	kt_loop_stop(session->loop, 0);
}

static void on_deadline(void *data)
{
	struct session *session = data;
	double seconds = (double)session->phase_limit_ns / KT_NSEC_PER_SEC;

	switch (session->phase) {
	case KT_PHASE_BOOT:
		end(session, KT_VERDICT_ERROR,
		    "boot timeout: the guest has not reported within %.3g s", seconds);
		break;
	case KT_PHASE_RUN:
		end(session, KT_VERDICT_FAIL, "test timeout: no result within %.3g s", seconds);
		break;
	case KT_PHASE_TEARDOWN:
	case KT_N_PHASES:
		end(session, KT_VERDICT_ERROR,
		    "teardown timeout: the guest has not powered off within %.3g s", seconds);
		break;
	}
}

static void send_frame(struct session *session, enum kt_message type, const void *payload,
		       size_t len)
{
	uint8_t header[KT_FRAME_HEADER_LEN];

	kt_frame_seal(&session->tx, type, payload, (uint32_t)len, header);
	if (kt_machine_port_write(session->machine, header, sizeof(header)) < 0 ||
	    (len && kt_machine_port_write(session->machine, payload, len) < 0))
		end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
}

static void send_run(struct session *session)
{
	const struct kt_session_config *config = session->config;
	KT_FREE char *name = kt_format("KTESTS_TEST_NAME=%s", session->outcome->test->name);
	KT_FREE char *accel = kt_format("KTESTS_ACCEL=%s", kt_accel_name(config->host->accel));
	const char *const environment[] = { "KTESTS=1", "KTESTS_ATTEMPT=1", name, accel, NULL };
	struct timespec now;
	struct kt_run_request run = {
		.mode = KT_RUN_TEST,
		.test = session->outcome->test->name,
		.attempt = 1,
		.time_scale_percent = (uint32_t)KT_MAX(config->timeout_multiplier * 100, 100.0),
		.environment = environment,
	};
	KT_FREE char *text = NULL;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	run.realtime_ns = (uint64_t)now.tv_sec * KT_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	text = name && accel ? kt_run_request_encode(&run) : NULL;
	if (!text) {
		end(session, KT_VERDICT_ERROR, "out of memory");
		return;
	}
	send_frame(session, KT_MSG_RUN, text, strlen(text));
	enter(session, KT_PHASE_RUN, kt_session_run_limit_ns(config, session->outcome->test));
}

/* The machine must be what the test asked for, or nothing that it measures means what it says. */
static bool topology_matches(struct session *session, const struct kt_hello *hello)
{
	struct kt_machine_topology want = kt_session_topology(session->outcome->test);

	if (hello->cpus == want.llcs * want.cores * want.threads && hello->llcs == want.llcs &&
	    hello->cores == want.cores && hello->threads == want.threads &&
	    hello->numa_nodes == want.numa_nodes)
		return true;
	end(session, KT_VERDICT_ERROR,
	    "wrong topology: the test wants %u NUMA nodes, %u LLCs, %u cores each, %u threads each "
	    "(%u CPUs); the guest sees %u, %u, %u, %u (%u CPUs)",
	    want.numa_nodes, want.llcs, want.cores, want.threads,
	    want.llcs * want.cores * want.threads, hello->numa_nodes, hello->llcs, hello->cores,
	    hello->threads, hello->cpus);
	return false;
}

static void on_hello(struct session *session, const struct kt_frame *frame)
{
	struct kt_hello hello;
	struct kt_err err = KT_ERR_NULL;

	if (kt_hello_decode(frame->payload, frame->len, &hello, &err) < 0) {
		end(session, KT_VERDICT_ERROR, "%s", err.text);
		return;
	}
	if (hello.version != KT_WIRE_VERSION) {
		end(session, KT_VERDICT_ERROR,
		    "the guest speaks version %u of the protocol, not %u", hello.version,
		    KT_WIRE_VERSION);
		return;
	}
	if (topology_matches(session, &hello))
		send_run(session);
}

static void copy_live(const struct session *session, int fd, const void *data, size_t len)
{
	if (session->config->no_capture)
		(void)kt_write_full(fd, data, len);
}

static void on_output(struct session *session, const struct kt_frame *frame)
{
	bool is_out = frame->type == KT_MSG_STDOUT;
	struct kt_capture *capture = is_out ? &session->outcome->out : &session->outcome->err;

	(void)kt_capture_append(capture, frame->payload, frame->len);
	copy_live(session, is_out ? STDOUT_FILENO : STDERR_FILENO, frame->payload, frame->len);
}

static void on_step(struct session *session, const struct kt_frame *frame)
{
	struct kt_msg_step step;
	char index[16];

	if (frame->len != sizeof(step)) {
		end(session, KT_VERDICT_ERROR, "malformed frame: a step of %u bytes", frame->len);
		return;
	}
	memcpy(&step, frame->payload, sizeof(step));
	session->step = frame->type == KT_MSG_STEP_BEGIN ? (int)KT_MIN(step.index, 65535u) : -1;
	if (session->step >= 0) {
		(void)snprintf(index, sizeof(index), "%d", session->step);
		report(session, KT_SESSION_STEP, index);
	}
}

static void on_result(struct session *session, const struct kt_frame *frame)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_result result;

	if (kt_result_decode(frame->payload, frame->len, &result, &err) < 0) {
		end(session, KT_VERDICT_ERROR, "%s", err.text);
		return;
	}
	kt_result_deinit(&session->outcome->result);
	session->outcome->result = result;
	session->judged = true;
	session->step = -1;
	send_frame(session, KT_MSG_RESULT_ACK, NULL, 0);
	enter(session, KT_PHASE_TEARDOWN, TEARDOWN_TIMEOUT_NS);
}

static void describe_crash(const struct kt_msg_crash *crash, char *text, size_t room)
{
	size_t len = (size_t)snprintf(text, room, "PID 1 crashed: signal %u (%s)", crash->signal,
				      strsignal((int)crash->signal));

	if (crash->signal == SIGSEGV || crash->signal == SIGBUS)
		len += (size_t)snprintf(text + len, room - len, " at address 0x%" PRIx64,
					crash->fault_address);
	for (uint32_t i = 0; i < crash->n_frames && len < room; i++) {
		char name[128];

		kt_symbol_describe(crash->frames[i], name, sizeof(name));
		len += (size_t)snprintf(text + len, room - len, "%s%s", i ? " < " : " in ", name);
	}
}

static void on_crash(struct session *session, const struct kt_frame *frame)
{
	struct kt_msg_crash crash;
	char text[1200];

	if (frame->len != sizeof(crash)) {
		end(session, KT_VERDICT_ERROR, "malformed frame: last words of %u bytes",
		    frame->len);
		return;
	}
	memcpy(&crash, frame->payload, sizeof(crash));
	crash.n_frames = KT_MIN(crash.n_frames, KT_CRASH_FRAMES_MAX);
	describe_crash(&crash, text, sizeof(text));
	end(session, session->phase == KT_PHASE_BOOT ? KT_VERDICT_ERROR : KT_VERDICT_FAIL, "%s",
	    text);
}

static void on_frame(struct session *session, const struct kt_frame *frame)
{
	char type[5];

	switch (frame->type) {
	case KT_MSG_STDOUT:
	case KT_MSG_STDERR:
		on_output(session, frame);
		return;
	case KT_MSG_DMESG:
		(void)kt_capture_append(&session->outcome->dmesg, frame->payload, frame->len);
		return;
	case KT_MSG_CRASH:
		on_crash(session, frame);
		return;
	}
	if (frame->type == KT_MSG_HELLO && session->phase == KT_PHASE_BOOT)
		on_hello(session, frame);
	else if ((frame->type == KT_MSG_STEP_BEGIN || frame->type == KT_MSG_STEP_END) &&
		 session->phase == KT_PHASE_RUN)
		on_step(session, frame);
	else if (frame->type == KT_MSG_RESULT && session->phase == KT_PHASE_RUN)
		on_result(session, frame);
	else
		end(session, KT_VERDICT_ERROR, "the guest sent '%s' in phase %s",
		    kt_frame_type_text(frame->type, type), kt_phase_name(session->phase));
}

static bool has_ended(const struct session *session)
{
	return session->outcome->result.verdict != KT_VERDICT_PASS && !session->judged;
}

static void on_port(void *data, const uint8_t *bytes, size_t len)
{
	struct session *session = data;
	struct kt_err err = KT_ERR_NULL;
	struct kt_frame frame;
	int r;

	while (!has_ended(session)) {
		r = kt_frame_rx_take(&session->rx, &bytes, &len, &frame, &err);
		if (r < 0)
			end(session, KT_VERDICT_ERROR, "%s", err.text);
		if (r <= 0)
			return;
		on_frame(session, &frame);
	}
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct session *session = data;

	(void)kt_capture_append(&session->outcome->console, bytes, len);
	if (session->config->verbose)
		copy_live(session, STDERR_FILENO, bytes, len);
}

/* The kernel's own words about its end, for people; no verdict hangs on them. */
static void find_panic(const struct session *session, char *text, size_t room)
{
	static const char sign[] = "Kernel panic - not syncing: ";
	KT_FREE char *console = kt_capture_text(&session->outcome->console);
	const char *at = console ? strstr(console, sign) : NULL;

	*text = '\0';
	if (at)
		(void)snprintf(text, room, ": %.*s", (int)strcspn(at, "\r\n"), at);
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct session *session = data;
	bool orderly = exit->reason == KT_EXIT_SHUTDOWN;
	bool guest_died = exit->reason == KT_EXIT_RESET || exit->reason == KT_EXIT_PANIC;

	char panic[200];

	if (has_ended(session))
		return;
	find_panic(session, panic, sizeof(panic));
	if (session->phase == KT_PHASE_TEARDOWN && orderly)
		kt_loop_stop(session->loop, 0);
	else if (session->phase == KT_PHASE_BOOT)
		end(session, KT_VERDICT_ERROR, "the guest did not boot: %s before it reported%s",
		    exit->detail, panic);
	else
		end(session, guest_died ? KT_VERDICT_FAIL : KT_VERDICT_ERROR, "%s %s%s",
		    exit->detail,
		    session->phase == KT_PHASE_RUN ? "before the test was done" : "after the test",
		    panic);
}

static void on_signal(void *data, uint32_t events)
{
	struct session *session = data;

	(void)events;
	end(session, KT_VERDICT_ERROR, "the run was interrupted");
}

static const struct kt_machine_events machine_events = {
	.port = on_port,
	.console = on_console,
	.exited = on_exited,
};

static int watch_signals(struct session *session)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	session->signals = (struct kt_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.fn = on_signal,
		.data = session,
	};
	return session->signals.fd < 0 ? -errno : kt_loop_add(session->loop, &session->signals);
}

static int start_machine(struct session *session, struct kt_err *reterr)
{
	const struct kt_session_config *config = session->config;
	const struct kt_test *test = session->outcome->test;
	KT_FREE char *cmdline = kt_session_cmdline(config);
	struct kt_machine_config machine_config = kt_session_machine_config(config, test, cmdline);
	int r;

	if (!cmdline)
		return kt_err_oom(reterr);
	r = kt_qemu_new(session->loop, &machine_events, session, &session->machine, reterr);
	return r < 0 ? r : kt_machine_start(session->machine, &machine_config, reterr);
}

static void drive(struct session *session)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	enter(session, KT_PHASE_BOOT, session->config->boot_timeout_ns);
	r = start_machine(session, &err);
	if (r < 0) {
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, err.text);
		return;
	}
	r = kt_loop_run(session->loop);
	if (r < 0)
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, strerror(-r));
	session->outcome->phase_ns[session->phase] = kt_now_ns() - session->phase_began_ns;
}

/* The host's part of the test, whatever came before. */
static void run_post_vm(struct session *session)
{
	struct kt_outcome *outcome = session->outcome;
	KT_FREE char *out = NULL, *err = NULL, *console = NULL;
	struct kt_vm_view view;
	struct kt_ctx ctx;

	if (!outcome->test->post_vm)
		return;
	out = kt_capture_text(&outcome->out);
	err = kt_capture_text(&outcome->err);
	console = kt_capture_text(&outcome->console);
	view = (struct kt_vm_view){ .out = out ?: "", .err = err ?: "", .console = console ?: "" };
	kt_ctx_init(&ctx, outcome->test);
	ctx.view = &view;
	ctx.result = outcome->result;
	(void)kt_ctx_call(&ctx, outcome->test->post_vm, "post_vm");
	outcome->result = ctx.result;
	ctx.result = KT_RESULT_NULL;
	kt_ctx_deinit(&ctx);
}

int kt_session_main(const struct kt_session_config *config, struct kt_outcome *outcome,
		    int report_fd)
{
	struct session session = {
		.config = config,
		.outcome = outcome,
		.report_fd = report_fd,
		.step = -1,
	};
	KT_FREE char *text = NULL;

	session.deadline = (struct kt_timer){ .fn = on_deadline, .data = &session };
	if (kt_loop_new(&session.loop) < 0 || watch_signals(&session) < 0)
		kt_result_merge(&outcome->result, KT_VERDICT_ERROR, "cannot set up the session");
	else
		drive(&session);
	session.machine = kt_machine_destroy(session.machine);
	run_post_vm(&session);
	text = kt_outcome_encode(outcome);
	if (text)
		report(&session, KT_SESSION_OUTCOME, text);
	kt_frame_rx_deinit(&session.rx);
	session.loop = kt_loop_free(session.loop);
	return text ? 0 : 1;
}
