/* SPDX-License-Identifier: MIT */
/* The verdicts of a session, without a machine: its handlers are called with the guest's frames. */
#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

UNIT_SUITE(session);

static const struct kt_test test = { .name = "some", .file = "some.c", .line = 7 };

/* What a timer of the loop hands to the session. */
struct arrival {
	struct kt_session_state *session;
	const struct kt_frame *frame;
};

static void on_arrival(void *data)
{
	struct arrival *arrival = data;

	kt_session_on_frame(arrival->session, arrival->frame);
}

static void on_late(void *data)
{
	kt_loop_stop(data, -ETIMEDOUT);
}

/* The verdict of a session in @phase whose guest sends one frame, which must end the session. */
static enum kt_verdict verdict_after(enum kt_phase phase, enum kt_message type, const void *payload,
				     size_t len)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_session_state session = { .outcome = &outcome, .phase = phase, .step = -1 };
	const struct kt_frame frame = { .type = type, .len = (uint32_t)len, .payload = payload };
	struct arrival arrival = { &session, &frame };
	struct kt_timer now = { .fn = on_arrival, .data = &arrival }, late = { .fn = on_late };
	enum kt_verdict verdict;

	outcome.test = &test;
	session.phase_began_ns = 1;
	cr_assert(zero(int, kt_loop_new(&session.loop)));
	late.data = session.loop;
	kt_timer_arm(session.loop, &now, kt_now_ns());
	kt_timer_arm(session.loop, &late, kt_now_ns() + 5 * KT_NSEC_PER_SEC);
	cr_assert(zero(int, kt_loop_run(session.loop)), "the session has not ended");
	verdict = outcome.result.verdict;
	kt_result_deinit(&outcome.result);
	session.loop = kt_loop_free(session.loop);
	return verdict;
}

Test(session, a_crash_counts_until_the_result_is_there)
{
	const struct kt_msg_crash crash = { .signal = SIGSEGV, .step = UINT32_MAX };

	cr_assert(eq(int, (int)verdict_after(KT_PHASE_BOOT, KT_MSG_CRASH, &crash, sizeof(crash)),
		     KT_VERDICT_ERROR));
	cr_assert(eq(int, (int)verdict_after(KT_PHASE_RUN, KT_MSG_CRASH, &crash, sizeof(crash)),
		     KT_VERDICT_FAIL));
	cr_assert(eq(int,
		     (int)verdict_after(KT_PHASE_TEARDOWN, KT_MSG_CRASH, &crash, sizeof(crash)),
		     KT_VERDICT_PASS));
}

Test(session, other_frames_after_the_result_are_errors)
{
	cr_assert(eq(int, (int)verdict_after(KT_PHASE_TEARDOWN, KT_MSG_RESULT, "", 0),
		     KT_VERDICT_ERROR));
	cr_assert(eq(int, (int)verdict_after(KT_PHASE_TEARDOWN, KT_MSG_WOKE, "", 0),
		     KT_VERDICT_ERROR));
}

/* What a session says to a HELO; the guest that says it would be run otherwise. */
static void expect_refusal(struct kt_hello hello, const char *why)
{
	const struct kt_kernel kernel = { .facts = { .release = "7.3" } };
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	struct kt_session_state session = { .outcome = &outcome, .phase = KT_PHASE_BOOT };

	outcome.test = &test;
	outcome.kernel = &kernel;
	session.awaits_hello = true;
	cr_assert(zero(int, kt_loop_new(&session.loop)));
	kt_session_on_hello(&session, &hello);
	cr_assert(session.ended, "the guest is taken");
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_ERROR));
	cr_assert(ne(ptr, strstr(outcome.result.reason, why), NULL), "%s", outcome.result.reason);
	kt_result_deinit(&outcome.result);
	session.loop = kt_loop_free(session.loop);
}

/* After a boot, and after EXEC, when a newer program looks at a restored machine. */
Test(session, each_hello_is_compared_with_what_the_test_wants)
{
	const struct kt_hello good = {
		.release = "7.3", .cpus = 2, .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1
	};
	struct kt_hello hello = good;

	hello.cpus = hello.cores = 1;
	expect_refusal(hello, "wrong topology");
	hello = good;
	hello.llcs = 2;
	expect_refusal(hello, "wrong topology");
	hello = good;
	(void)strcpy(hello.release, "6.16");
	expect_refusal(hello, "wrong kernel: the guest runs 6.16, not 7.3");
}
