/* SPDX-License-Identifier: MIT */
#include "framework/session/session.h"

#include <signal.h>
#include <string.h>

#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/signals.h"

/*
 * The process of one attempt. The runner forks it and reads its report; it owns the event loop and,
 * with the link, the machine. One run of the loop takes the machine through the phases: boot (or
 * fork) until the guest is ready, run until RSLT, teardown until the machine is gone. phase.c holds
 * the phases and what ends them early, protocol.c the conversation with the guest.
 *
 * The outcome is reported in every case, and .post_vm runs in every case: a session that fails
 * merges its error into the outcome and goes on.
 */

void kt_session_report(int report_fd, const char *kind, const char *text)
{
	KT_FREE char *line = kt_format("%s%s\n", kind, text);

	/* Failure needs no handling: this process dies with the runner. */
	if (line)
		(void)kt_write_full(report_fd, line, strlen(line));
}

static void enter(struct session *session, enum kt_phase phase, uint64_t limit_ns)
{
	uint64_t now = kt_now_ns();

	if (session->phase_began_ns)
		session->outcome->phase_ns[session->phase] = now - session->phase_began_ns;
	session->phase = phase;
	session->phase_began_ns = now;
	kt_link_await(session->link, kt_phase_name(phase), limit_ns);
	kt_session_report(session->report_fd, KT_SESSION_PHASE, kt_phase_name(phase));
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
	session->ended = true;
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

static void on_late(void *data, const char *what, uint64_t limit_ns)
{
	struct session *session = data;
	double seconds = (double)limit_ns / KT_NSEC_PER_SEC;

	switch (session->phase) {
	case KT_PHASE_BOOT:
	case KT_PHASE_FORK:
		end(session, KT_VERDICT_ERROR,
		    "%s timeout: the guest has not reported within %.3g s", what, seconds);
		break;
	case KT_PHASE_READY:
		end(session, KT_VERDICT_ERROR, "the runner has not let the test begin");
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
	if (kt_link_send(session->link, type, payload, len) < 0)
		end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
}

static int encode_run(const struct session *session, void **ret_data, size_t *ret_len)
{
	const struct kt_outcome *outcome = session->outcome;
	KT_FREE char *name = kt_format("KTESTS_TEST_NAME=%s", outcome->test->name);
	KT_FREE char *attempt = kt_format("KTESTS_ATTEMPT=%u", outcome->attempt);
	KT_FREE char *accel =
		kt_format("KTESTS_ACCEL=%s", kt_accel_name(session->setup->host.accel));
	KT_FREE char *stress = kt_format("KTESTS_STRESS_CURRENT=%u", outcome->iteration);
	const char *const environment[] = { "KTESTS=1", name, attempt, accel, stress, NULL };
	struct kt_run_request run = {
		.mode = KT_RUN_TEST,
		.test = outcome->test->name,
		.seed = kt_plan_test_seed(outcome->seed, outcome->test),
		.attempt = outcome->attempt,
		.work_type = session->setup->options->work_type,
		.time_scale_percent =
			(uint32_t)KT_MAX(session->setup->timeout_multiplier * 100, 100.0),
		.environment = environment,
	};

	if (!name || !attempt || !accel || !stress)
		return -ENOMEM;
	return kt_link_make_wake(&run.wake) ?: kt_run_request_encode(&run, ret_data, ret_len);
}

static void send_run(struct session *session)
{
	KT_FREE void *data = NULL;
	size_t len;
	int r = encode_run(session, &data, &len);

	if (r < 0) {
		end(session, KT_VERDICT_ERROR, "cannot make RUN: %s", strerror(-r));
		return;
	}
	session->run_began_ns = kt_now_ns();
	session->stolen_ns = kt_machine_stolen_ns(kt_link_machine(session->link));
	enter(session, KT_PHASE_RUN, kt_setup_run_limit_ns(session->setup, session->outcome->test));
	send_frame(session, KT_MSG_RUN, data, len);
}

static void on_go(void *data, uint32_t events)
{
	struct session *session = data;

	(void)events;
	/* At its end there is no runner any more that wants the test. */
	if (read(session->go.fd, &session->wanted_ns, sizeof(session->wanted_ns)) !=
	    (ssize_t)sizeof(session->wanted_ns))
		end(session, KT_VERDICT_ERROR, "the test was not wanted");
	else
		send_run(session);
	kt_loop_remove(session->loop, &session->go);
}

/* What the guest lacks of the test's payloads, if that is not sent already. */
static int send_payloads(struct session *session, bool *ret_sent, struct kt_err *reterr)
{
	const struct kt_image *image = session->setup->image;
	KT_JSON json_t *files = NULL;

	*ret_sent = false;
	if (session->sent_all || !session->packages)
		return 0;
	files = session->template ? json_incref(session->template->files)
				  : kt_image_manifest(image, 0, NULL);
	if (!files)
		return kt_err_oom(reterr);
	*ret_sent = kt_image_differs(image, session->packages, files);
	return kt_image_send_changes(image, session->packages, files, session->link, reterr);
}

/*
 * The guest is what it should be. What waits for its turn does everything ahead that it can, and what is
 * sent files answers when they are there: that is no time of the test.
 */
static void on_up(struct session *session)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_msg_wake wake;
	bool sent;

	if (send_payloads(session, &sent, &err) < 0) {
		end(session, KT_VERDICT_ERROR, "%s", err.text);
	} else if (session->go.fd < 0 && !sent) {
		send_run(session);
	} else if (kt_link_make_wake(&wake) < 0) {
		end(session, KT_VERDICT_ERROR, "no random bytes for the guest");
	} else {
		session->awaits_woke = true;
		send_frame(session, KT_MSG_WAKE, &wake, sizeof(wake));
	}
}

static void on_woke(struct session *session)
{
	session->awaits_woke = false;
	if (session->go.fd < 0) {
		send_run(session);
		return;
	}
	enter(session, KT_PHASE_READY, UINT64_C(3600) * KT_NSEC_PER_SEC);
	if (kt_loop_add(session->loop, &session->go) < 0)
		end(session, KT_VERDICT_ERROR, "cannot wait for the runner");
}

static void check_guest(struct session *session, const struct kt_hello *hello)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_setup_check_topology(session->outcome->test, hello, &err) < 0)
		end(session, KT_VERDICT_ERROR, "%s", err.text);
	else
		on_up(session);
}

static void refuse_frame(struct session *session, uint32_t type)
{
	char text[5];

	end(session, KT_VERDICT_ERROR, "the guest sent '%s' in phase %s",
	    kt_frame_type_text(type, text), kt_phase_name(session->phase));
}

static void on_hello(void *data, const struct kt_hello *hello)
{
	struct session *session = data;

	if (session->ended)
		return;
	if (!session->awaits_hello) {
		refuse_frame(session, KT_MSG_HELLO);
		return;
	}
	session->awaits_hello = false;
	check_guest(session, hello);
}

static void copy_live(const struct session *session, int fd, const void *data, size_t len)
{
	if (session->setup->options->no_capture)
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
		kt_session_report(session->report_fd, KT_SESSION_STEP, index);
	}
}

static void on_result(struct session *session, const struct kt_frame *frame)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_result result;
	uint64_t elapsed_ns;

	if (kt_result_decode(frame->payload, frame->len, &result, &err) < 0) {
		end(session, KT_VERDICT_ERROR, "%s", err.text);
		return;
	}
	kt_result_deinit(&session->outcome->result);
	session->outcome->result = result;
	kt_outcome_judge_host(session->outcome,
			      kt_machine_stolen_ns(kt_link_machine(session->link)) -
				      session->stolen_ns,
			      kt_now_ns() - session->run_began_ns);
	session->judged = true;
	session->step = -1;
	/* The guest's clock may run ahead of the host's. */
	elapsed_ns = kt_now_ns() - session->wanted_ns;
	session->outcome->begin_ns =
		elapsed_ns - KT_MIN(elapsed_ns, session->outcome->result.since_begin_ns);
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

static void on_frame(void *data, const struct kt_frame *frame)
{
	struct session *session = data;

	if (session->ended)
		return;
	switch (frame->type) {
	case KT_MSG_STDOUT:
	case KT_MSG_STDERR:
		on_output(session, frame);
		return;
	case KT_MSG_DMESG:
		(void)kt_capture_append(&session->outcome->dmesg, frame->payload, frame->len);
		return;
	case KT_MSG_SCX_LOG:
		(void)kt_capture_append(&session->outcome->scx_log, frame->payload, frame->len);
		return;
	case KT_MSG_SCX_DUMP:
		(void)kt_capture_append(&session->outcome->scx_dump, frame->payload, frame->len);
		return;
	case KT_MSG_CRASH:
		on_crash(session, frame);
		return;
	}
	if (frame->type == KT_MSG_WOKE && session->awaits_woke)
		on_woke(session);
	else if ((frame->type == KT_MSG_STEP_BEGIN || frame->type == KT_MSG_STEP_END) &&
		 session->phase == KT_PHASE_RUN)
		on_step(session, frame);
	else if (frame->type == KT_MSG_RESULT && session->phase == KT_PHASE_RUN)
		on_result(session, frame);
	else
		refuse_frame(session, frame->type);
}

static void on_broken(void *data, const char *why)
{
	struct session *session = data;

	if (!session->ended)
		end(session, KT_VERDICT_ERROR, "%s", why);
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct session *session = data;

	(void)kt_capture_append(&session->outcome->console, bytes, len);
	if (session->setup->options->verbose)
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

static void explain_death(struct session *session, const struct kt_machine_exit *exit)
{
	bool guest_died = exit->reason == KT_EXIT_RESET || exit->reason == KT_EXIT_PANIC;
	char panic[200];

	find_panic(session, panic, sizeof(panic));
	if (session->phase < KT_PHASE_RUN)
		end(session, KT_VERDICT_ERROR, "the guest did not %s: %s before it reported%s",
		    kt_phase_name(session->phase), exit->detail, panic);
	else
		end(session, guest_died ? KT_VERDICT_FAIL : KT_VERDICT_ERROR, "%s %s%s",
		    exit->detail,
		    session->phase == KT_PHASE_RUN ? "before the test was done" : "after the test",
		    panic);
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct session *session = data;

	if (session->ended)
		return;
	if (session->phase == KT_PHASE_TEARDOWN && exit->reason == KT_EXIT_SHUTDOWN)
		kt_loop_stop(session->loop, 0);
	else
		explain_death(session, exit);
}

static void on_signal(void *data, uint32_t events)
{
	struct kt_session_state *session = data;

	(void)events;
	kt_session_end(session, KT_VERDICT_ERROR, "the run was interrupted");
}

static const struct kt_link_events link_events = {
	.hello = kt_session_on_hello,
	.frame = kt_session_on_frame,
	.console = kt_session_on_console,
	.broken = kt_session_on_broken,
	.exited = kt_session_on_exited,
	.late = kt_session_on_late,
};

static int watch_signals(struct kt_session_state *session)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

	session->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = session };
	return kt_signals_watch(session->loop, &session->signals, signals, KT_ARRAY_LEN(signals));
}

static int boot(struct kt_session_state *session, struct kt_err *reterr)
{
	struct kt_machine_config machine =
		kt_setup_machine(session->setup, session->outcome->kernel, session->outcome->test);

	session->awaits_hello = true;
	return kt_machine_start(kt_link_machine(session->link), &machine, reterr);
}

/*
 * The guest said HELO before it was saved, and the template has a copy. If its files have changed
 * since, it is sent the newer ones and starts its program anew, which says HELO again.
 */
static int restore(struct kt_session_state *session, struct kt_err *reterr)
{
	const struct kt_template *template = session->template;
	struct kt_machine_config machine =
		kt_setup_machine(session->setup, session->outcome->kernel, session->outcome->test);
	const struct kt_image *image = session->setup->image;
	int r;

	r = kt_template_restore(template, session->link, &machine,
				kt_now_ns() + KT_TEMPLATE_RESTORE_NS, reterr);
	if (r < 0)
		return r;
	if (!kt_image_differs(image, 0, template->files)) {
		kt_session_check_guest(session, &template->hello);
		return 0;
	}
	session->awaits_hello = true;
	session->sent_all = true;
	r = kt_image_send_changes(image, session->packages, template->files, session->link, reterr);
	if (r == 0)
		kt_session_send(session, KT_MSG_EXEC, NULL, 0);
	return r;
}

static void drive(struct kt_session_state *session)
{
	uint64_t send_ns = kt_setup_send_limit_ns(session->setup, session->packages);
	struct kt_err err = KT_ERR_NULL;
	int r = kt_link_new(session->loop, &link_events, session, &session->link, &err);

	if (r == 0 && session->template) {
		kt_session_enter(session, KT_PHASE_FORK, KT_TEMPLATE_RESTORE_NS + send_ns);
		r = restore(session, &err);
	} else if (r == 0) {
		kt_session_enter(session, KT_PHASE_BOOT,
				 session->setup->options->boot_timeout_ns + send_ns);
		r = boot(session, &err);
	}
	if (r < 0) {
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, err.text);
		return;
	}
	r = session->ended ? 0 : kt_loop_run(session->loop);
	if (r < 0)
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, strerror(-r));
	session->outcome->phase_ns[session->phase] = kt_now_ns() - session->phase_began_ns;
}

/* Calls the test's .post_vm, on the host and whatever the verdict is so far. */
static void run_post_vm(struct kt_session_state *session)
{
	struct kt_outcome *outcome = session->outcome;
	KT_FREE char *out = NULL, *err = NULL, *console = NULL, *log = NULL, *dump = NULL;
	struct kt_vm_view view;
	struct kt_ctx ctx;

	if (!outcome->test->post_vm)
		return;
	out = kt_capture_text(&outcome->out);
	err = kt_capture_text(&outcome->err);
	console = kt_capture_text(&outcome->console);
	log = kt_capture_text(&outcome->scx_log);
	dump = kt_capture_text(&outcome->scx_dump);
	view = (struct kt_vm_view){
		.out = out ?: "",
		.err = err ?: "",
		.console = console ?: "",
		.scheduler_log = log ?: "",
		.scheduler_dump = dump ?: "",
	};
	kt_ctx_init(&ctx, outcome->test);
	ctx.view = &view;
	ctx.result = outcome->result;
	(void)kt_ctx_call(&ctx, outcome->test->post_vm, "post_vm");
	kt_ctx_take_children(&ctx);
	outcome->result = ctx.result;
	ctx.result = KT_RESULT_NULL;
	kt_ctx_deinit(&ctx);
}

int kt_session_main(const struct kt_session *spec)
{
	struct kt_outcome *outcome = spec->outcome;
	struct kt_session_state session = {
		.setup = spec->setup,
		.template = spec->template,
		.outcome = outcome,
		.report_fd = spec->report_fd,
		.wanted_ns = spec->wanted_ns,
		.step = -1,
		.packages = kt_cargo_packages(&spec->setup->cargo, outcome->test),
	};
	KT_FREE char *text = NULL;

	session.go = (struct kt_source){
		.fd = spec->go_fd,
		.events = EPOLLIN,
		.fn = kt_session_on_go,
		.data = &session,
	};
	if (kt_loop_new(&session.loop) < 0 || watch_signals(&session) < 0)
		kt_result_merge(&outcome->result, KT_VERDICT_ERROR, "cannot set up the session");
	else
		drive(&session);
	session.link = kt_link_free(session.link);
	run_post_vm(&session);
	text = kt_outcome_encode(outcome);
	if (text)
		kt_session_report(session.report_fd, KT_SESSION_OUTCOME, text);
	session.loop = kt_loop_free(session.loop);
	return text ? 0 : 1;
}
