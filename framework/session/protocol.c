/* SPDX-License-Identifier: MIT */
#include "framework/session/protocol.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/select/plan.h"
#include "framework/session/capsule.h"
#include "framework/session/freeze.h"
#include "framework/session/kernel_memory.h"
#include "framework/session/look.h"
#include "framework/session/phase.h"
#include "framework/session/session.h"
#include "framework/session/snapshots.h"
#include "framework/session/symbol.h"
#include "framework/setup/time.h"
#include "guest/test/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"
#include "wire/message.h"
#include "wire/run.h"

#define TEARDOWN_TIMEOUT_NS (10 * KT_NSEC_PER_SEC)
#define READY_TIMEOUT_NS    (3600 * KT_NSEC_PER_SEC) /* ends a session whose runner hangs */

/*
 * The order of frames: HELO; FILE for the payloads that the guest lacks; WAKE and WOKE if the
 * session waits for the runner or files were sent; RUN; STEP, STEN and output; RSLT, which is
 * answered by RACK. Output and logs may come at any time. A frame out of order, or of the wrong
 * length, ends the session with an ERROR: the guest is not trusted.
 */

void kt_session_send(struct kt_session_state *session, enum kt_message type, const void *payload,
		     size_t len)
{
	if (kt_link_send(session->link, type, payload, len) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
}

/* A repeatable guest has nothing of this moment: its random pool follows from the seed. */
static int make_wake(const struct kt_session_state *session, struct kt_msg_wake *ret_wake)
{
	const struct kt_outcome *outcome = session->outcome;
	uint64_t seed = kt_plan_test_seed(outcome->seed, outcome->test);

	if (!kt_setup_is_repeatable(session->setup, outcome->test))
		return kt_link_make_wake(ret_wake);
	*ret_wake = (struct kt_msg_wake){ .realtime_ns = 0 };
	memcpy(ret_wake->entropy, &seed, sizeof(seed));
	return 0;
}

/*
 * A repeatable guest must not know which round of a stress run it is: its seed alone repeats it.
 * Everything about the test comes with RUN, and nothing with the kernel's command line or the
 * image: a template serves all tests of its machine.
 */
static int encode_run(const struct kt_session_state *session, void **ret_data, size_t *ret_len)
{
	const struct kt_outcome *outcome = session->outcome;
	bool repeatable = kt_setup_is_repeatable(session->setup, outcome->test);
	KT_FREE char *name = kt_format("KTESTS_TEST_NAME=%s", outcome->test->name);
	KT_FREE char *attempt = kt_format("KTESTS_ATTEMPT=%u", outcome->attempt);
	KT_FREE char *accel =
		kt_format("KTESTS_ACCEL=%s", kt_accel_name(session->setup->host.accel));
	KT_FREE char *time = kt_format("KTESTS_TIME=%s",
				       kt_time_name(kt_setup_time(session->setup, outcome->test)));
	KT_FREE char *stress =
		kt_format("KTESTS_STRESS_CURRENT=%u", repeatable ? 1 : outcome->iteration);
	const char *trace = session->setup->options->trace_sched ? KT_TRACE_VARIABLE "=1" : NULL;
	const char *const environment[] = { "KTESTS=1", name,   attempt, accel,
					    time,       stress, trace,   NULL };
	struct kt_run_request run = {
		.mode = KT_RUN_TEST,
		.test = outcome->test->name,
		.seed = kt_plan_test_seed(outcome->seed, outcome->test),
		.attempt = outcome->attempt,
		.turns = kt_setup_turns(session->setup,
					kt_plan_test_seed(outcome->seed, outcome->test)),
		.work_type = session->setup->options->work_type,
		.limit_ns = kt_setup_run_limit_ns(session->setup, session->outcome->test),
		.time_scale_percent = (uint32_t)KT_MAX(
			kt_setup_multiplier(session->setup, outcome->test) * 100, 100.0),
		.environment = environment,
	};

	if (!name || !attempt || !accel || !time || !stress)
		return -ENOMEM;
	return make_wake(session, &run.wake) ?: kt_run_request_encode(&run, ret_data, ret_len);
}

/* The time that the host steals counts from here, as does the deadline of the test. */
static void send_run(struct kt_session_state *session)
{
	KT_FREE void *data = NULL;
	size_t len;
	int r = encode_run(session, &data, &len);

	if (r < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "cannot make RUN: %s", strerror(-r));
		return;
	}
	session->run_began_ns = kt_now_ns();
	kt_machine_mark_steal(kt_link_machine(session->link));
	kt_session_enter(session, KT_PHASE_RUN,
			 kt_setup_patience_ns(session->setup, session->outcome->test));
	kt_session_send(session, KT_MSG_RUN, data, len);
}

void kt_session_on_go(void *data, uint32_t events)
{
	struct kt_session_state *session = data;

	(void)events;
	/* A runner that no longer wants the test closes its end of the pipe. */
	if (read(session->go.fd, &session->wanted_ns, sizeof(session->wanted_ns)) !=
	    (ssize_t)sizeof(session->wanted_ns))
		kt_session_end(session, KT_VERDICT_ERROR, "the test was not wanted");
	else
		send_run(session);
	kt_loop_remove(session->loop, &session->go);
}

/*
 * Sends those of the test's payloads that the guest lacks, compared with the template's files or,
 * after a boot, with the initramfs, and removes files that other tests have brought into the
 * template. *@ret_sent: files were sent.
 */
static int send_payloads(struct kt_session_state *session, bool *ret_sent, struct kt_err *reterr)
{
	const struct kt_image *image = session->setup->image;
	KT_JSON json_t *files = NULL;
	int r = 0;

	*ret_sent = false;
	files = session->template ? json_incref(session->template->files)
				  : kt_image_manifest(image, KT_PACKAGES_NONE, NULL);
	if (!files)
		return kt_err_oom(reterr);
	if (!session->sent_all) {
		*ret_sent = kt_image_differs(image, session->packages, files);
		r = kt_image_send_changes(image, session->packages, files, session->link, reterr);
	}
	return r ?: kt_image_send_removals(image, session->packages, files, session->link, reterr);
}

/* The guest is ready: the test begins now, or when the runner says so. */
static void wait_go(struct kt_session_state *session)
{
	if (session->go.fd < 0) {
		send_run(session);
		return;
	}
	kt_session_enter(session, KT_PHASE_READY, READY_TIMEOUT_NS);
	if (kt_loop_add(session->loop, &session->go) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "cannot wait for the runner");
}

/*
 * The guest is booted or restored, and fits the test. RUN starts the clock of the test, so it is
 * sent only when nothing else is left to do. A guest that waits for the runner, or that is
 * receiving files, is sent WAKE; it answers WOKE when it has taken everything before WAKE. A
 * repeatable guest, whose clock stands still, always goes the same way: without.
 */
static void on_up(struct kt_session_state *session)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_msg_wake wake;
	bool sent;

	if (send_payloads(session, &sent, &err) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "%s", err.text);
	} else if (kt_setup_is_repeatable(session->setup, session->outcome->test)) {
		wait_go(session);
	} else if (session->go.fd < 0 && !sent) {
		send_run(session);
	} else if (make_wake(session, &wake) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "no random bytes for the guest");
	} else {
		session->awaits_woke = true;
		kt_session_send(session, KT_MSG_WAKE, &wake, sizeof(wake));
	}
}

static void on_woke(struct kt_session_state *session)
{
	session->awaits_woke = false;
	wait_go(session);
}

void kt_session_check_guest(struct kt_session_state *session, const struct kt_hello *hello)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_setup_check_guest(session->outcome->kernel, session->outcome->test, hello, &err) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "%s", err.text);
	else
		on_up(session);
}

static void refuse_frame(struct kt_session_state *session, uint32_t type)
{
	char text[5];

	kt_session_end(session, KT_VERDICT_ERROR, "the guest sent '%s' in phase %s",
		       kt_frame_type_text(type, text), kt_phase_name(session->phase));
}

void kt_session_on_hello(void *data, const struct kt_hello *hello)
{
	struct kt_session_state *session = data;

	if (session->ended)
		return;
	if (!session->awaits_hello) {
		refuse_frame(session, KT_MSG_HELLO);
		return;
	}
	session->awaits_hello = false;
	kt_session_check_guest(session, hello);
}

/* --no-capture: what the guest prints is also printed here at once. */
static void copy_live(const struct kt_session_state *session, int fd, const void *data, size_t len)
{
	if (session->setup->options->no_capture)
		(void)kt_write_full(fd, data, len);
}

/* The captures are memfds that the runner holds too: they outlive this process. */
static void on_output(struct kt_session_state *session, const struct kt_frame *frame)
{
	bool is_out = frame->type == KT_MSG_STDOUT;
	struct kt_capture *capture = is_out ? &session->outcome->out : &session->outcome->err;

	(void)kt_capture_append(capture, frame->payload, frame->len);
	copy_live(session, is_out ? STDOUT_FILENO : STDERR_FILENO, frame->payload, frame->len);
}

/* The index is only reported, but it comes from the guest: it is bounded. */
static void on_step(struct kt_session_state *session, const struct kt_frame *frame)
{
	struct kt_msg_step step;
	char index[16];

	if (frame->len != sizeof(step)) {
		kt_session_end(session, KT_VERDICT_ERROR, "malformed frame: a step of %u bytes",
			       frame->len);
		return;
	}
	memcpy(&step, frame->payload, sizeof(step));
	if (frame->type == KT_MSG_STEP_END)
		kt_session_look_at_step(session, step.index);
	session->step = frame->type == KT_MSG_STEP_BEGIN ? (int)KT_MIN(step.index, 65535u) : -1;
	if (session->step >= 0) {
		(void)snprintf(index, sizeof(index), "%d", session->step);
		kt_session_report(session->report_fd, KT_SESSION_STEP, index);
	}
}

/* The guest powers off only when it has RACK, so a result is never lost on the way. */
static void on_result(struct kt_session_state *session, const struct kt_frame *frame)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_result result;
	uint64_t elapsed_ns;

	if (kt_result_decode(frame->payload, frame->len, &result, &err) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "%s", err.text);
		return;
	}
	/* The guest's result replaces the empty one; the session merges into it from here on. */
	kt_result_deinit(&session->outcome->result);
	session->outcome->result = result;
	kt_session_look_at_end(session);
	kt_outcome_judge_host(session->outcome,
			      kt_machine_stolen_ns(kt_link_machine(session->link)),
			      kt_now_ns() - session->run_began_ns);
	session->step = -1;
	kt_session_keep_result(session);
	if (session->outcome->test->post_vm)
		kt_link_keep(session->link);
	/* The guest's clock may run ahead of the host's. */
	elapsed_ns = kt_now_ns() - session->wanted_ns;
	session->outcome->begin_ns =
		elapsed_ns - KT_MIN(elapsed_ns, session->outcome->result.since_begin_ns);
	kt_session_send(session, KT_MSG_RESULT_ACK, NULL, 0);
	kt_session_enter(session, KT_PHASE_TEARDOWN, TEARDOWN_TIMEOUT_NS);
}

/* PID 1 is this program, so the frames of its stack have names in this program's symbol table. */
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

/*
 * A crash during the boot is an ERROR, because no test runs yet; a crash during the test is a FAIL.
 * After the result, the verdict is known, and the session ends.
 */
static void on_crash(struct kt_session_state *session, const struct kt_frame *frame)
{
	struct kt_msg_crash crash;
	char text[1200];

	if (frame->len != sizeof(crash)) {
		kt_session_end(session, KT_VERDICT_ERROR, "malformed frame: last words of %u bytes",
			       frame->len);
		return;
	}
	if (session->phase == KT_PHASE_TEARDOWN) {
		kt_loop_stop(session->loop, 0);
		return;
	}
	memcpy(&crash, frame->payload, sizeof(crash));
	crash.n_frames = KT_MIN(crash.n_frames, KT_CRASH_FRAMES_MAX);
	describe_crash(&crash, text, sizeof(text));
	kt_session_end(session,
		       session->phase == KT_PHASE_BOOT ? KT_VERDICT_ERROR : KT_VERDICT_FAIL, "%s",
		       text);
}

/* Untrusted text, of which only what fits is kept. */
static void on_doing(struct kt_session_state *session, const struct kt_frame *frame)
{
	size_t len = KT_MIN((size_t)frame->len, (size_t)KT_DOING_MAX);

	memcpy(session->doing, frame->payload, len);
	session->doing[len] = '\0';
	kt_text_sanitize(session->doing);
}

void kt_session_on_frame(void *data, const struct kt_frame *frame)
{
	struct kt_session_state *session = data;

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
	case KT_MSG_TRACE:
		(void)kt_capture_append(&session->outcome->trace, frame->payload, frame->len);
		return;
	case KT_MSG_SCX_LOG:
		(void)kt_capture_append(&session->outcome->scx_log, frame->payload, frame->len);
		return;
	case KT_MSG_SCX_DUMP:
		(void)kt_capture_append(&session->outcome->scx_dump, frame->payload, frame->len);
		return;
	case KT_MSG_DOING:
		on_doing(session, frame);
		return;
	case KT_MSG_CRASH:
		on_crash(session, frame);
		return;
	}
	/* The other frames are allowed in one state each. */
	if (frame->type == KT_MSG_WOKE && session->awaits_woke)
		on_woke(session);
	else if ((frame->type == KT_MSG_STEP_BEGIN || frame->type == KT_MSG_STEP_END) &&
		 session->phase == KT_PHASE_RUN)
		on_step(session, frame);
	else if (frame->type == KT_MSG_KERNEL_REQUEST && session->phase == KT_PHASE_RUN)
		kt_session_on_kernel_request(session, frame);
	else if (frame->type == KT_MSG_SNAPSHOT_REQUEST && session->phase == KT_PHASE_RUN)
		kt_session_on_snapshot_request(session, frame);
	else if (frame->type == KT_MSG_WATCH_REQUEST && session->phase == KT_PHASE_RUN)
		kt_session_on_watch_request(session, frame);
	else if (frame->type == KT_MSG_RESULT && session->phase == KT_PHASE_RUN)
		on_result(session, frame);
	else
		refuse_frame(session, frame->type);
}

void kt_session_on_broken(void *data, const char *why)
{
	struct kt_session_state *session = data;

	if (session->ended)
		return;
	if (session->phase == KT_PHASE_RUN && kt_link_fault(session->link) == -ECONNRESET)
		kt_session_end(session, KT_VERDICT_FAIL,
			       "%s before the test was done: the test has executed this program in "
			       "its place (exec without fork)",
			       why);
	else
		kt_session_end(session, KT_VERDICT_ERROR, "%s", why);
}

void kt_session_on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct kt_session_state *session = data;

	(void)kt_capture_append(&session->outcome->console, bytes, len);
	if (session->setup->options->verbose)
		copy_live(session, STDERR_FILENO, bytes, len);
}
