/* SPDX-License-Identifier: MIT */
/* The verdicts of a session, without a machine: its handlers are called with the guest's frames. */
#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/cleanup.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
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
	hello.memory_nodes = 1;
	expect_refusal(hello, "1 more of memory alone");
	hello = good;
	hello.cores = 0;
	hello.llc_cores[0] = 2;
	expect_refusal(hello, "the guest sees 1 NUMA nodes, 1 LLCs, 2 cores");
	hello = good;
	(void)strcpy(hello.release, "6.16");
	expect_refusal(hello, "wrong kernel: the guest runs 6.16, not 7.3");
}

/* ---- the end, with a guest that follows a script -------------------------------------------- */

/*
 * In place of QEMU. say() sends the frames that replace the two %s as the guest, hear() waits until
 * the guest has got a frame without payload, power_off() ends the machine as a guest would.
 */
#define SCRIPT                                                                                     \
	"#!/usr/bin/env python3\n"                                                                 \
	"import os, re, sys\n"                                                                     \
	"def channel(name):\n"                                                                     \
	"    return int(re.search(r',id=%%s,fd=(\\d+)' %% name, ' '.join(sys.argv)).group(1))\n"   \
	"port, qmp = channel('bulk'), channel('qmp')\n"                                            \
	"result, bye = bytes.fromhex('%s'), bytes.fromhex('%s')\n"                                 \
	"def say(frame): os.write(port, frame)\n"                                                  \
	"def hear(): os.read(port, 16)\n"                                                          \
	"def power_off():\n"                                                                       \
	"    os.write(qmp, b'{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-shutdown\"}}\\n" \
	"')\n"                                                                                     \
	"    sys.exit(0)\n"                                                                        \
	"%s\n"                                                                                     \
	"hear()\n" /* until the host ends the machine */

static char *frame_hex(struct kt_frame_tx *tx, enum kt_message type, const void *payload,
		       size_t len)
{
	char *hex = calloc(2, KT_FRAME_HEADER_LEN + len + 1);
	uint8_t frame[256];

	cr_assert(lt(sz, KT_FRAME_HEADER_LEN + len, sizeof(frame)));
	kt_frame_seal(tx, type, payload, (uint32_t)len, frame);
	memcpy(frame + KT_FRAME_HEADER_LEN, payload, len);
	for (size_t i = 0; i < KT_FRAME_HEADER_LEN + len; i++)
		(void)sprintf(hex + 2 * i, "%02x", frame[i]);
	return hex;
}

static char *make_script(const void *bye, size_t bye_len, const char *course)
{
	const struct kt_result pass = KT_RESULT_NULL;
	struct kt_frame_tx tx = { 0 };
	KT_FREE char *result_hex = NULL, *bye_hex = NULL;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(zero(int, kt_result_encode(&pass, &data, &len)));
	result_hex = frame_hex(&tx, KT_MSG_RESULT, data, len);
	bye_hex = frame_hex(&tx, KT_MSG_BYE, bye, bye_len);
	return kt_format(SCRIPT, result_hex, bye_hex, course);
}

static const struct kt_link_events session_events = {
	.hello = kt_session_on_hello,
	.frame = kt_session_on_frame,
	.console = kt_session_on_console,
	.broken = kt_session_on_broken,
	.exited = kt_session_on_exited,
	.late = kt_session_on_late,
};

/* Runs a session from RUN on, whose guest passes and then ends in its own way. */
static void run_script(struct kt_outcome *outcome, const void *bye, size_t bye_len,
		       const char *course)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG("", -1);
	const struct kt_options options = { .verbose = false };
	const struct kt_setup setup = { .options = &options };
	struct kt_session_state session = { .outcome = outcome, .setup = &setup, .step = -1 };
	KT_FREE char *script = make_script(bye, bye_len, course);
	struct kt_err err = KT_ERR_NULL;
	char path[64];

	*outcome = KT_OUTCOME_NULL;
	outcome->test = &test;
	write_qemu(path, script);
	config.qemu = path;
	session.phase = KT_PHASE_RUN;
	session.phase_began_ns = session.run_began_ns = session.wanted_ns = kt_now_ns();
	session.report_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cr_assert(zero(int, kt_loop_new(&session.loop)));
	cr_assert(zero(int, kt_link_new(session.loop, KT_VMM_QEMU, &session_events, &session,
					&session.link, &err)));
	cr_assert(zero(int, kt_machine_start(kt_link_machine(session.link), &config, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kt_loop_run(session.loop)));
	session.link = kt_link_free(session.link);
	session.loop = kt_loop_free(session.loop);
	(void)close(session.report_fd);
	(void)unlink(path);
}

static void expect_error(const void *bye, size_t bye_len, const char *course, const char *why)
{
	struct kt_outcome outcome;

	run_script(&outcome, bye, bye_len, course);
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_ERROR), "%s", course);
	cr_assert(ne(ptr, strstr(outcome.result.reason, why), NULL), "%s", outcome.result.reason);
	kt_result_deinit(&outcome.result);
}

Test(session, a_guest_that_waits_for_the_acknowledgement_may_go)
{
	const struct kt_msg_bye bye = { .received = 1, .is_alone = 1 };
	const struct kt_msg_bye later = { .received = 3, .is_alone = 1 };
	struct kt_outcome outcome;

	run_script(&outcome, &bye, sizeof(bye), "say(result); hear(); say(bye)");
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_PASS));
	/* A shell may have got input behind RACK. */
	run_script(&outcome, &later, sizeof(later), "say(result); hear(); say(bye)");
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_PASS));
	/* It powers off by itself if the host is slow. */
	run_script(&outcome, &bye, sizeof(bye), "say(result); hear(); say(bye); power_off()");
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_PASS));
}

Test(session, a_guest_that_does_not_wait_for_the_acknowledgement_is_an_error)
{
	const struct kt_msg_bye bye = { .received = 0, .is_alone = 1 };

	expect_error(&bye, sizeof(bye), "say(result); say(bye)", "without waiting for RACK");
	expect_error(&bye, sizeof(bye), "say(result); hear(); say(bye)",
		     "without waiting for RACK");
	expect_error(&bye, sizeof(bye), "say(result); power_off()", "without saying");
	expect_error(&bye, 0, "say(result); hear(); say(bye)", "BYE of 0 bytes");
}

Test(session, a_guest_that_goes_while_processes_run_is_an_error)
{
	const struct kt_msg_bye bye = { .received = 1, .is_alone = 0 };

	expect_error(&bye, sizeof(bye), "say(result); hear(); say(bye)",
		     "while processes of the test still ran");
}
