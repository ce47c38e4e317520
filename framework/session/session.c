/* SPDX-License-Identifier: MIT */
#include "framework/session/session.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#include "framework/outcome/advice.h"
#include "framework/session/capsule.h"
#include "framework/session/confine.h"
#include "framework/session/freeze.h"
#include "framework/session/kernel_memory.h"
#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "framework/session/snapshots.h"
#include "framework/setup/devices.h"
#include "framework/setup/limits.h"
#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/signals.h"
#include "vmm/rendezvous.h"

/*
 * The process of one attempt. The runner forks it and reads its report; it owns the event loop and,
 * with the link, the machine. One run of the loop takes the machine through the phases: boot (or
 * fork) until the guest is ready, run until RSLT, teardown until the machine is gone. phase.c holds
 * the phases and what ends them early, protocol.c the conversation with the guest.
 *
 * The outcome is reported in every case, and .post_vm runs unless the test was skipped: a session
 * that fails merges its error into the outcome and goes on.
 */

#define LAST_EVENTS_MAX 1000 /* that are taken from a machine that stands */

void kt_session_report(int report_fd, const char *kind, const char *text)
{
	KT_FREE char *line = kt_format("%s%s\n", kind, text);

	/* Failure needs no handling: this process dies with the runner. */
	if (line)
		(void)kt_write_full(report_fd, line, strlen(line));
}

/*
 * Waits until the runner lets this session go on, or ends it. There is no deadline: a user may stop
 * a run for days. If the runner dies, the kernel kills this process.
 */
static int wait_continue(const struct kt_session_state *session)
{
	struct pollfd waiting = { .fd = session->signals.fd, .events = POLLIN };
	int signal;

	do {
		(void)poll(&waiting, 1, -1);
		signal = kt_signals_take(&session->signals);
	} while (!signal || signal == SIGTSTP);
	return signal;
}

/*
 * A paused machine's clock stands still, and so does that of this process: no deadline moves on. A
 * machine that cannot be paused or resumed is one that has ended, which the loop finds out.
 */
static int pause_machine(const struct kt_session_state *session)
{
	struct kt_machine *machine = kt_link_machine(session->link);
	uint64_t began_ns = kt_now_ns();
	int signal;

	(void)kt_machine_pause(machine, began_ns + KT_RENDEZVOUS_NS, NULL);
	kt_session_report(session->report_fd, KT_SESSION_PAUSED, "");
	signal = wait_continue(session);
	kt_clock_skip(kt_now_ns() - began_ns);
	(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
	return signal;
}

static void on_signal(void *data, uint32_t events)
{
	struct kt_session_state *session = data;
	int signal = kt_signals_take(&session->signals);

	(void)events;
	if (signal == SIGTSTP)
		signal = pause_machine(session);
	if (signal && signal != SIGCONT)
		kt_session_end(session, KT_VERDICT_ERROR, "the run was interrupted");
}

static const struct kt_link_events link_events = {
	.hello = kt_session_on_hello,
	.frame = kt_session_on_frame,
	.console = kt_session_on_console,
	.broken = kt_session_on_broken,
	.exited = kt_session_on_exited,
	.late = kt_session_on_late,
	.expired = kt_session_on_expired,
	.stopped = kt_session_on_stopped,
};

static int set_up(struct kt_session_state *session, struct kt_err *reterr)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT };

	int r = kt_loop_new(&session->loop);

	session->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = session };
	if (r == 0)
		r = kt_signals_watch(session->loop, &session->signals, signals,
				     KT_ARRAY_LEN(signals));
	return r < 0 ? kt_advise(reterr, kt_err_set(reterr, r, "cannot set up the session: %m"))
		     : 0;
}

/* .post_vm may look at the memory of a guest that has panicked, and a capsule may hold it. */
static struct kt_machine_config machine_of(const struct kt_session_state *session)
{
	struct kt_machine_config machine =
		kt_setup_machine(session->setup, session->outcome->kernel, session->outcome->test);

	machine.keep = session->outcome->test->post_vm ||
		       session->setup->options->capsule != KT_CAPSULE_NEVER;
	return machine;
}

static int boot(struct kt_session_state *session, struct kt_err *reterr)
{
	struct kt_machine_config machine = machine_of(session);

	KT_CLOSE int initramfs_fd = -1;
	int r = kt_devices_add(session->outcome->kernel, &machine, &initramfs_fd, reterr);

	session->awaits_hello = true;
	return r ?: kt_machine_start(kt_link_machine(session->link), &machine, reterr);
}

/*
 * The guest said HELO before it was saved, and the template has a copy. If its files have changed
 * since, it is sent the newer ones and starts its program anew, which says HELO again.
 */
static int restore(struct kt_session_state *session, struct kt_err *reterr)
{
	const struct kt_template *template = session->template;
	struct kt_machine_config machine = machine_of(session);
	const struct kt_image *image = session->setup->image;
	int r;

	r = kt_template_restore(template, session->link, &machine,
				kt_now_ns() + KT_TEMPLATE_RESTORE_NS, reterr);
	if (r < 0)
		return r;
	if (!kt_image_differs(image, KT_PACKAGES_NONE, template->files)) {
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

/*
 * Runs the loop from the first phase to the end of the machine. A restored guest may have been
 * refused, and the session ended, before the loop begins.
 */
static void drive(struct kt_session_state *session)
{
	uint64_t send_ns = kt_setup_send_limit_ns(session->setup, session->packages);
	struct kt_err err = KT_ERR_NULL;
	int r = kt_link_new(session->loop, session->setup->host.vmm, &link_events, session,
			    &session->link, &err);

	if (r == 0 && session->setup->look)
		r = kt_session_attach(session, &err);
	if (r == 0 && session->template) {
		kt_session_enter(session, KT_PHASE_FORK, KT_TEMPLATE_RESTORE_NS + send_ns);
		r = restore(session, &err);
	} else if (r == 0) {
		/* The base files are in the initramfs, so only those of the packages are sent. */
		send_ns -= kt_setup_send_limit_ns(session->setup, KT_PACKAGES_NONE);
		kt_session_enter(session, KT_PHASE_BOOT,
				 kt_setup_boot_limit_ns(session->setup, session->outcome->test) +
					 send_ns);
		r = boot(session, &err);
	}
	/* No byte of the guest has been read yet. */
	if (r == 0 && !session->outcome->test->post_vm)
		r = kt_confine_programs(&session->setup->confinement, &err);
	if (r < 0) {
		(void)kt_advise(&err, r);
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, err.text);
		return;
	}
	r = session->ended ? 0 : kt_loop_run(session->loop);
	if (r < 0)
		kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, strerror(-r));
	session->outcome->phase_ns[session->phase] = kt_now_ns() - session->phase_began_ns;
}

/*
 * .post_vm may look at the machine's memory, and so does who writes a capsule: its vCPUs stand
 * still from here on. What is on its way from the machine is taken first; a machine that has ended
 * has nothing more to say.
 */
static void still_machine(struct kt_session_state *session)
{
	if (!session->link ||
	    !(session->outcome->test->post_vm || kt_session_wants_capsule(session)))
		return;
	kt_link_await_nothing(session->link);
	(void)kt_machine_pause(kt_link_machine(session->link), kt_now_ns() + KT_RENDEZVOUS_NS,
			       NULL);
	for (int i = 0; i < LAST_EVENTS_MAX; i++) {
		if (kt_loop_step(session->loop, kt_now_ns()) < 0)
			break;
	}
}

/*
 * Calls the test's .post_vm, on the host and whatever the verdict is so far. Only a test that does
 * not apply, as to a machine that lacks something, has left nothing to look at.
 */
static void run_post_vm(struct kt_session_state *session)
{
	struct kt_outcome *outcome = session->outcome;
	KT_FREE char *out = NULL, *err = NULL, *console = NULL, *log = NULL, *dump = NULL;
	struct kt_freeze_view *freeze = NULL;
	struct kt_vm_view view;
	struct kt_ctx ctx;

	if (!outcome->test->post_vm || outcome->result.verdict == KT_VERDICT_SKIP)
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
		.freeze = freeze = kt_session_freeze_view(session),
	};
	kt_ctx_init(&ctx, outcome->test);
	ctx.view = &view;
	ctx.kernel.service = kt_session_kernel_service(session);
	ctx.snapshots = kt_session_snapshot_service(session);
	/* .post_vm adds to the result of the guest; the context borrows it meanwhile. */
	ctx.result = outcome->result;
	kt_session_report(session->report_fd, KT_SESSION_POST_VM, "");
	/* Nothing is written to the channels any more. Children expect the default action. */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)kt_ctx_call(&ctx, outcome->test->post_vm, "post_vm");
	(void)signal(SIGPIPE, SIG_IGN);
	kt_ctx_take_children(&ctx);
	outcome->result = ctx.result;
	ctx.result = KT_RESULT_NULL;
	kt_ctx_deinit(&ctx);
	kt_session_free_view(freeze);
}

int kt_session_main(const struct kt_session *spec)
{
	struct kt_outcome *outcome = spec->outcome;
	struct kt_session_state session = {
		.setup = spec->setup,
		.template = spec->template,
		.template_id = spec->template_id,
		.outcome = outcome,
		.report_fd = spec->report_fd,
		.wanted_ns = spec->wanted_ns,
		.step = -1,
		.packages = kt_cargo_packages(&spec->setup->cargo, outcome->test),
	};
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;

	session.go = (struct kt_source){
		.fd = spec->go_fd,
		.events = EPOLLIN,
		.fn = kt_session_on_go,
		.data = &session,
	};
	if (kt_session_confine(&session, &err) < 0 || set_up(&session, &err) < 0)
		kt_result_merge(&outcome->result, KT_VERDICT_ERROR, err.text);
	else
		drive(&session);
	still_machine(&session);
	kt_session_end_freeze(&session);
	run_post_vm(&session);
	kt_session_forget_snapshots(&session);
	kt_session_keep_end(&session);
	kt_session_forget_kernel(&session);
	if (session.link)
		outcome->machine = kt_machine_figures(kt_link_machine(session.link));
	session.link = kt_link_free(session.link);
	text = kt_outcome_encode(outcome);
	if (text)
		kt_session_report(session.report_fd, KT_SESSION_OUTCOME, text);
	session.loop = kt_loop_free(session.loop);
	return text ? 0 : 1;
}
