/* SPDX-License-Identifier: MIT */
#include "framework/session/look.h"

#include <stdio.h>

#include "framework/session/kernel_memory.h"
#include "util/clock.h"
#include "vmm/rendezvous.h"

/*
 * Values are printed once: at the end of the hold of a step, while its workers live and a scheduler
 * is attached, or else when the guest has sent its result. The vCPUs stand still meanwhile. What
 * cannot be shown makes the test an ERROR.
 */

static void note_failure(struct kt_session_state *session, const char *text)
{
	kt_result_merge(&session->outcome->result, KT_VERDICT_ERROR, text);
}

static void look(struct kt_session_state *session)
{
	struct kt_machine *machine = kt_link_machine(session->link);
	struct kt_err err = KT_ERR_NULL;
	struct kt_inspect *inspect;
	int r;

	session->looked = true;
	r = kt_machine_pause(machine, kt_now_ns() + KT_RENDEZVOUS_NS, &err)
		    ?: kt_session_inspect(session, &inspect, &err);
	if (r == 0) {
		kt_inspect_refresh(inspect);
		session->n_unseen = session->setup->look(inspect, session->setup->options);
		(void)fflush(stdout);
	} else {
		(void)fprintf(stderr, "ktests: %s\n", err.text);
		session->n_unseen = 1;
	}
	(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
}

/* The step that is asked for, by default the last one. */
static unsigned int wanted_step(const struct kt_session_state *session)
{
	const struct kt_step *steps = session->outcome->test->steps;
	unsigned int n = 0;

	if (session->setup->options->step_given)
		return session->setup->options->step;
	while (steps && !steps[n].end)
		n++;
	return n ? n - 1 : 0;
}

void kt_session_look_at_step(struct kt_session_state *session, unsigned int index)
{
	if (session->setup->look && !session->looked && index == wanted_step(session))
		look(session);
}

void kt_session_look_at_end(struct kt_session_state *session)
{
	if (session->setup->look && !session->looked)
		look(session);
	if (session->n_unseen)
		note_failure(session, "not all paths could be shown");
}
