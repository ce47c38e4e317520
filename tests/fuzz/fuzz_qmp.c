/* SPDX-License-Identifier: MIT */
/* Answers and events of QEMU over QMP; the messages of the input come one before each command. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/qemu/qmp.h"

static void on_event(void *owner, const char *event, const json_t *data)
{
	bool *stopped = owner;

	KT_FUZZ_ASSERT(event);
	(void)json_string_value(json_object_get(data, "reason"));
	*stopped = *stopped || !strcmp(event, "STOP");
}

static void execute(struct kt_qmp *qmp, struct kt_fuzz_peer *peer)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *value = NULL;
	int r;

	kt_fuzz_peer_say(peer);
	r = kt_qmp_execute(qmp, "query-status", NULL, 0, &value, &err);
	KT_FUZZ_ASSERT(r == 0 || (err.text[0] && !value));
	json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_fuzz_peer peer;
	bool stopped = false;
	struct kt_err err = KT_ERR_NULL;
	struct kt_qmp *qmp;

	KT_FUZZ_ASSERT(kt_qmp_new(kt_fuzz_peer_open(&peer, data, size), on_event, &stopped, &qmp) ==
		       0);
	kt_fuzz_peer_say(&peer);
	(void)kt_qmp_dispatch(qmp);
	execute(qmp, &peer);
	(void)kt_qmp_send(qmp, "stop", NULL);
	kt_fuzz_peer_say(&peer);
	if (kt_qmp_wait(qmp, &stopped, "stop", 0, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	execute(qmp, &peer);
	kt_fuzz_peer_close(&peer);
	(void)kt_qmp_dispatch(qmp);
	(void)kt_qmp_free(qmp);
	return 0;
}
