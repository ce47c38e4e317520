/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define LINE_MAX_LEN (1u << 20)
#define READ_LEN     16384u

/*
 * Every message is one line of JSON. Commands carry a number as id; an answer with another one
 * belongs to a command whose answer nobody waits for, and is dropped.
 */
struct kt_qmp {
	int fd;
	kt_qmp_event_fn on_event;
	void *owner;
	struct kt_buffer in; /* read, and not a whole line yet */
	json_int_t last_id;
	json_t *answer; /* to the command being executed */
};

int kt_qmp_new(int fd, kt_qmp_event_fn on_event, void *owner, struct kt_qmp **ret_qmp)
{
	struct kt_qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp)
		return -ENOMEM;
	qmp->fd = fd;
	qmp->on_event = on_event;
	qmp->owner = owner;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	*ret_qmp = qmp;
	return 0;
}

struct kt_qmp *kt_qmp_free(struct kt_qmp *qmp)
{
	if (!qmp)
		return NULL;
	(void)kt_close(qmp->fd);
	json_decref(qmp->answer);
	kt_buffer_deinit(&qmp->in);
	free(qmp);
	return NULL;
}

int kt_qmp_fd(const struct kt_qmp *qmp)
{
	return qmp->fd;
}

static void handle_message(struct kt_qmp *qmp, const char *line)
{
	json_t *message = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));

	if (event) {
		qmp->on_event(qmp->owner, event, json_object_get(message, "data"));
	} else if (json_integer_value(json_object_get(message, "id")) == qmp->last_id &&
		   !qmp->answer) {
		qmp->answer = json_incref(message);
	}
	json_decref(message); /* the greeting goes too */
}

static void handle_lines(struct kt_qmp *qmp)
{
	size_t used;

	while ((used = kt_buffer_line(&qmp->in))) {
		handle_message(qmp, qmp->in.data);
		kt_buffer_consume(&qmp->in, used);
	}
}

int kt_qmp_dispatch(struct kt_qmp *qmp)
{
	for (;;) {
		ssize_t n;

		if (qmp->in.len > LINE_MAX_LEN)
			return -EMSGSIZE;
		if (kt_buffer_reserve(&qmp->in, READ_LEN) < 0)
			return -ENOMEM;
		n = read(qmp->fd, qmp->in.data + qmp->in.len, READ_LEN);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		qmp->in.len += (size_t)n;
		handle_lines(qmp);
	}
}

static int send_command(struct kt_qmp *qmp, const char *command, json_t *arguments)
{
	json_t *message = json_pack("{ss sI so*}", "execute", command, "id", ++qmp->last_id,
				    "arguments", arguments);
	KT_FREE char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text)
		return -ENOMEM;
	/* Commands are far smaller than the socket's buffer, which QEMU keeps empty. */
	return kt_write_full(qmp->fd, text, strlen(text)) ?: kt_write_full(qmp->fd, "\n", 1);
}

int kt_qmp_send(struct kt_qmp *qmp, const char *command)
{
	return send_command(qmp, command, NULL);
}

static int take_answer(struct kt_qmp *qmp, const char *command, json_t **ret_value,
		       struct kt_err *reterr)
{
	json_t *answer = kt_steal(qmp->answer);
	const json_t *error = json_object_get(answer, "error");
	int r = 0;

	if (error)
		r = kt_err_set(reterr, -EREMOTEIO, "QMP '%s': %s", command,
			       json_string_value(json_object_get(error, "desc")) ?: "failed");
	else if (ret_value)
		*ret_value = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return r;
}

int kt_qmp_execute(struct kt_qmp *qmp, const char *command, json_t *arguments, uint64_t deadline_ns,
		   json_t **ret_value, struct kt_err *reterr)
{
	int r = send_command(qmp, command, arguments);

	if (r < 0)
		return kt_err_set(reterr, r, "QMP '%s': %m", command);
	while (!qmp->answer) {
		struct pollfd waiting = { .fd = qmp->fd, .events = POLLIN };

		r = kt_poll(&waiting, 1, deadline_ns);
		if (r == 0)
			return kt_err_set(reterr, -ETIMEDOUT,
					  "QMP '%s': timed out waiting for QEMU", command);
		if (r > 0)
			r = kt_qmp_dispatch(qmp);
		if (r < 0 && !qmp->answer)
			return kt_err_set(reterr, r, "QMP '%s': QEMU went away: %m", command);
	}
	return take_answer(qmp, command, ret_value, reterr);
}
