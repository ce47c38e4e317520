/* SPDX-License-Identifier: MIT */
#include "framework/session/phase.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "framework/session/session.h"
#include "framework/setup/time.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * A session is in one phase at a time, and each phase has a deadline, which the link holds. A
 * session that ends early (deadline, end of the machine, broken frame) gets a verdict that names
 * the phase; the first such verdict is the only one, because the loop stops with it. What the guest
 * has sent before stays in the outcome.
 */

void kt_session_enter(struct kt_session_state *session, enum kt_phase phase, uint64_t limit_ns)
{
	uint64_t now = kt_now_ns();

	if (session->phase_began_ns)
		session->outcome->phase_ns[session->phase] = now - session->phase_began_ns;
	session->phase = phase;
	session->phase_began_ns = now;
	kt_link_await(session->link, kt_phase_name(phase), limit_ns);
	kt_session_report(session->report_fd, KT_SESSION_PHASE, kt_phase_name(phase));
}

/* A failure has a place in the source and a step; for other verdicts the reason is enough. */
void kt_session_end(struct kt_session_state *session, enum kt_verdict verdict, const char *format,
		    ...)
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

/* A guest that hangs is the test's failure; in other phases it is the harness's error. */
static void end_late_test(struct kt_session_state *session, uint64_t limit_ns)
{
	kt_session_end(session, KT_VERDICT_FAIL, "test timeout: no result within %.3g s%s%s",
		       (double)limit_ns / KT_NSEC_PER_SEC,
		       session->doing[0] ? ": PID 1 was in " : "", session->doing);
}

void kt_session_on_expired(void *data)
{
	struct kt_session_state *session = data;

	if (!session->ended && session->phase == KT_PHASE_RUN)
		end_late_test(session,
			      kt_setup_run_limit_ns(session->setup, session->outcome->test));
}

void kt_session_on_late(void *data, const char *what, uint64_t limit_ns)
{
	struct kt_session_state *session = data;
	double seconds = (double)limit_ns / KT_NSEC_PER_SEC;

	switch (session->phase) {
	case KT_PHASE_BOOT:
	case KT_PHASE_FORK:
		kt_session_end(session, KT_VERDICT_ERROR,
			       "%s timeout: the guest has not reported within %.3g s%s", what,
			       seconds, session->phase == KT_PHASE_BOOT ? " (--boot-timeout)" : "");
		break;
	case KT_PHASE_READY:
		kt_session_end(session, KT_VERDICT_ERROR, "the runner has not let the test begin");
		break;
	case KT_PHASE_RUN:
		if (kt_setup_is_repeatable(session->setup, session->outcome->test))
			kt_session_end(session, KT_VERDICT_ERROR,
				       "the machine has used %.3g s of CPU time, and its own clock "
				       "has not reached the limit of the test",
				       seconds);
		else
			end_late_test(session, limit_ns);
		break;
	case KT_PHASE_TEARDOWN:
	case KT_N_PHASES:
		kt_session_end(session, KT_VERDICT_ERROR,
			       "teardown timeout: the guest has not powered off within %.3g s",
			       seconds);
		break;
	}
}

/*
 * Finds what the kernel has said of its end on the console. It is for people; no verdict depends on
 * it: a kernel whose log level is low, or that triple-faults, says nothing.
 */
static void find_last_words(const struct kt_session_state *session, char *text, size_t room)
{
	static const char *const signs[] = {
		"Kernel panic - not syncing: ", /* kernel/panic.c */
		"reboot: Restarting system",    /* kernel/reboot.c, as the next three */
		"reboot: Power",
		"reboot: System halted",
		"sysrq: Resetting", /* drivers/tty/sysrq.c */
		"sysrq: Power Off",
	};
	KT_FREE char *console = kt_capture_text(&session->outcome->console);
	const char *at = NULL;

	*text = '\0';
	for (size_t i = 0; console && !at && i < KT_ARRAY_LEN(signs); i++)
		at = strstr(console, signs[i]);
	if (at)
		(void)snprintf(text, room, ": %.*s", (int)strcspn(at, "\r\n"), at);
}

/*
 * A machine that ends before RUN is an error of the set-up; from RUN on, a guest that ends, by a
 * panic, a reboot or a power-off, is a failure of the test. A machine that ends for the host's
 * reasons is always an error.
 */
static void explain_death(struct kt_session_state *session, const struct kt_machine_exit *exit)
{
	bool guest_died = exit->reason != KT_EXIT_VMM_ERROR;
	char words[200];

	find_last_words(session, words, sizeof(words));
	if (session->phase < KT_PHASE_RUN)
		kt_session_end(session, KT_VERDICT_ERROR,
			       "the guest did not %s: %s before it reported%s",
			       kt_phase_name(session->phase), exit->detail, words);
	else
		kt_session_end(session, guest_died ? KT_VERDICT_FAIL : KT_VERDICT_ERROR, "%s %s%s",
			       exit->detail,
			       session->phase == KT_PHASE_RUN ? "before the test was done"
							      : "after the test",
			       words);
}

void kt_session_on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct kt_session_state *session = data;

	if (session->ended)
		return;
	if (session->phase != KT_PHASE_TEARDOWN || exit->reason != KT_EXIT_SHUTDOWN)
		explain_death(session, exit);
	else if (kt_link_has_bye(session->link))
		kt_loop_stop(session->loop, 0);
	else
		kt_session_end(session, KT_VERDICT_ERROR,
			       "the guest powered off without saying that it has got the "
			       "acknowledgement of its result");
}
