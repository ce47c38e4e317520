/* SPDX-License-Identifier: MIT */
#include "wire/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"

/*
 * The payload of RUN is this struct and n_texts texts, each ended by a NUL: the test, the command,
 * the terminal, and the environment, one text for each variable. An empty text stands for NULL. It
 * is not JSON, because parsing JSON takes ten milliseconds in a guest that was just restored.
 */
struct run_header {
	uint32_t mode;
	uint32_t attempt;
	uint64_t seed;
	uint32_t time_scale_percent;
	uint16_t rows;
	uint16_t columns;
	struct kt_msg_wake wake;
	uint32_t n_texts;
	uint32_t work_type;
	uint64_t limit_ns;
	struct kt_turns turns;
};

_Static_assert(sizeof(struct run_header) == 24 + sizeof(struct kt_msg_wake) + 48, "wire format");

#define N_FIXED_TEXTS 3u    /* test, command, terminal */
#define N_TEXTS_MAX   1024u /* bounds what a malformed message can make the guest allocate */

void kt_run_request_deinit(struct kt_run_request *run)
{
	free(run->storage);
	free((void *)run->environment);
	*run = KT_RUN_REQUEST_NULL;
}

static int add_text(struct kt_buffer *buffer, const char *text)
{
	return kt_buffer_append(buffer, text ?: "", strlen(text ?: "") + 1);
}

int kt_run_request_encode(const struct kt_run_request *run, void **ret_data, size_t *ret_len)
{
	struct run_header header = {
		.mode = run->mode,
		.attempt = run->attempt,
		.seed = run->seed,
		.work_type = run->work_type,
		.time_scale_percent = run->time_scale_percent,
		.limit_ns = run->limit_ns,
		.turns = run->turns,
		.rows = run->rows,
		.columns = run->columns,
		.wake = run->wake,
		.n_texts = N_FIXED_TEXTS,
	};
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer buffer = KT_BUFFER_NULL;
	int r;

	for (const char *const *at = run->environment; at && *at; at++)
		header.n_texts++;
	r = kt_buffer_append(&buffer, &header, sizeof(header)) ?: add_text(&buffer, run->test) ?:
	    add_text(&buffer, run->command) ?: add_text(&buffer, run->terminal);
	for (const char *const *at = run->environment; r == 0 && at && *at; at++)
		r = add_text(&buffer, *at);
	if (r < 0)
		return r;
	*ret_data = kt_steal(buffer.data);
	*ret_len = buffer.len;
	return 0;
}

/* Returns the text at *@at and advances *@at past its NUL; NULL without a NUL before @end. */
static const char *next_text(const char **at, const char *end)
{
	const char *text = *at;
	size_t len = strnlen(text, (size_t)(end - text));

	if (text + len == end)
		return NULL;
	*at = text + len + 1;
	return text;
}

/* Points the members of @run into its storage, which is @len bytes of texts. */
static int decode_texts(struct kt_run_request *run, uint32_t n_texts, size_t len)
{
	const char *at = run->storage, *end = at + len;
	const char **fixed[N_FIXED_TEXTS] = { &run->test, &run->command, &run->terminal };
	const char **environment;

	if (n_texts < N_FIXED_TEXTS || n_texts > N_TEXTS_MAX)
		return -EBADMSG;
	environment = calloc(n_texts - N_FIXED_TEXTS + 1, sizeof(*environment));
	if (!environment)
		return -ENOMEM;
	run->environment = environment;
	for (uint32_t i = 0; i < n_texts; i++) {
		const char *text = next_text(&at, end);

		if (!text || (i >= N_FIXED_TEXTS && !strchr(text, '=')))
			return -EBADMSG;
		if (i < N_FIXED_TEXTS)
			*fixed[i] = *text ? text : NULL;
		else
			environment[i - N_FIXED_TEXTS] = text;
	}
	return at == end ? 0 : -EBADMSG;
}

int kt_run_request_decode(const void *data, size_t len, struct kt_run_request *ret_run,
			  struct kt_err *reterr)
{
	struct run_header header;
	struct kt_run_request run;
	int r;

	if (len < sizeof(header))
		return kt_err_set(reterr, -EBADMSG, "RUN of %zu bytes", len);
	memcpy(&header, data, sizeof(header));
	if (header.mode >= KT_N_RUN_MODES || header.time_scale_percent < 100)
		return kt_err_set(reterr, -EBADMSG, "RUN with mode %u and time scale %u %%",
				  header.mode, header.time_scale_percent);
	run = (struct kt_run_request){
		.mode = (enum kt_run_mode)header.mode,
		.attempt = header.attempt,
		.seed = header.seed,
		.work_type = header.work_type,
		.time_scale_percent = header.time_scale_percent,
		.limit_ns = header.limit_ns,
		.turns = header.turns,
		.rows = header.rows,
		.columns = header.columns,
		.wake = header.wake,
	};
	len -= sizeof(header);
	run.storage = malloc(len + 1);
	if (!run.storage)
		return kt_err_oom(reterr);
	memcpy(run.storage, (const char *)data + sizeof(header), len);
	r = decode_texts(&run, header.n_texts, len);
	if (r < 0) {
		kt_run_request_deinit(&run);
		return kt_err_set(reterr, r, "RUN with malformed texts");
	}
	*ret_run = run;
	return 0;
}
