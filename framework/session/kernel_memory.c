/* SPDX-License-Identifier: MIT */
#include "framework/session/kernel_memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "framework/setup/time.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/kernel_access.h"
#include "vmm/rendezvous.h"
#include "wire/kernel_op.h"

/*
 * Most tests never ask for the kernel's memory, so the session looks for the kernel when it is
 * first asked. A request by a host call finds the vCPUs standing still already. Otherwise a cold
 * batch stops the machine, once for all of it.
 */

static int give_memory(void *source, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	const struct kt_session_state *session = source;

	if (!session->link)
		return kt_err_set(reterr, -ENXIO, "there is no machine");
	return kt_machine_memory(kt_link_machine(session->link), ret_mem, reterr);
}

static void note(void *data, const char *line)
{
	(void)data;
	(void)fprintf(stderr, "ktests: %s\n", line);
}

/* @loop: NULL: only kt_session_inspect() looks for the kernel. */
static int make_context(struct kt_session_state *session, struct kt_loop *loop)
{
	KT_FREE char *cache = NULL;
	struct kt_memctx_config config = {
		.memory = give_memory,
		.source = session,
		.loop = loop,
		.note = loop ? note : NULL,
	};

	/* Without a cache it only takes longer. */
	(void)kt_cache_path("inspect", &cache, NULL);
	config.cache = cache;
	return kt_memctx_new(&config, &session->memctx);
}

int kt_session_attach(struct kt_session_state *session, struct kt_err *reterr)
{
	return make_context(session, session->loop) < 0 ? kt_err_oom(reterr) : 0;
}

int kt_session_inspect(struct kt_session_state *session, struct kt_inspect **ret_inspect,
		       struct kt_err *reterr)
{
	int r;

	if (!session->memctx && make_context(session, NULL) < 0)
		return kt_err_oom(reterr);
	r = kt_memctx_try(session->memctx, reterr);
	if (r == 0)
		*ret_inspect = kt_memctx_inspect(session->memctx);
	return r;
}

void kt_session_forget_kernel(struct kt_session_state *session)
{
	session->memctx = kt_memctx_free(session->memctx);
}

static void fail_all(struct kt_kop_reply *reply, int code, const char *text)
{
	for (uint32_t i = 0; i < reply->n; i++)
		(void)kt_kop_answer_fail(&reply->answers[i], code, text);
}

/* Serves while the machine is as it has to be for that. */
static void serve(struct kt_session_state *session, const struct kt_kop_request *request,
		  bool stands, struct kt_kop_reply *reply)
{
	struct kt_machine *machine = kt_link_machine(session->link);
	bool pause = request->cold && !stands;
	struct kt_err err = KT_ERR_NULL;
	struct kt_inspect *inspect;
	int r = kt_session_inspect(session, &inspect, &err);

	if (r == 0 && pause)
		r = kt_machine_pause(machine, kt_now_ns() + KT_RENDEZVOUS_NS, &err);
	if (r < 0) {
		fail_all(reply, r, err.text);
		return;
	}
	kt_kernel_access_serve(inspect, stands || pause, request, reply);
	/* A machine that cannot go on has ended, which the loop finds out. */
	if (pause)
		(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
}

static int answer(struct kt_session_state *session, const struct kt_kop_request *request)
{
	bool stands = kt_setup_is_repeatable(session->setup, session->outcome->test);
	struct kt_kop_reply reply;
	KT_FREE void *data = NULL;
	size_t len;
	int r = kt_kop_reply_new(request, &reply);

	if (r < 0)
		return r;
	serve(session, request, stands, &reply);
	r = kt_kop_reply_encode(&reply, &data, &len);
	kt_kop_reply_deinit(&reply);
	if (r == 0)
		kt_session_send(session, KT_MSG_KERNEL_REPLY, data, len);
	return r;
}

void kt_session_on_kernel_request(struct kt_session_state *session, const struct kt_frame *frame)
{
	struct kt_kop_request request;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kop_request_decode(frame->payload, frame->len, &request, &err) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "malformed frame: %s", err.text);
		return;
	}
	if (answer(session, &request) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
	kt_kop_request_deinit(&request);
}

/* ---- .post_vm ---- */

static int serve_post_vm(void *data, const struct kt_kop_request *request,
			 struct kt_kop_reply *ret_reply, struct kt_err *reterr)
{
	struct kt_session_state *session = data;

	if (!session->link)
		return kt_err_set(reterr, -ENXIO, "the machine has no memory any more");
	if (kt_kop_reply_new(request, ret_reply) < 0)
		return kt_err_oom(reterr);
	serve(session, request, true, ret_reply);
	return 0;
}

struct kt_kernel_service kt_session_kernel_service(struct kt_session_state *session)
{
	return (struct kt_kernel_service){ serve_post_vm, session };
}
