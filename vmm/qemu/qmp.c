/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/steal.h"

#define LINE_MAX_LEN (1u << 20) /* bytes of one message */
#define READ_LEN     16384u     /* bytes for which room is made before a read */

/*
 * Every message is one line of JSON: the greeting, an event, or the answer to a command. An answer
 * carries the id of its command. kt_qmp_execute() numbers its commands and waits for the answer to
 * its own number: one that comes after the command was given up has another number and is dropped.
 * The commands of kt_qmp_send() share one id, which is no number, and of their answers only the
 * first error is kept.
 */
struct kt_qmp {
	int fd;
	kt_qmp_event_fn on_event;
	void *owner;
	struct kt_buffer in; /* received bytes that are not a complete line yet */
	json_int_t last_id;  /* number of the last command of kt_qmp_execute() */
	bool awaited;        /* that command waits for its answer */
	json_t *answer;      /* to that command, not taken yet; owned */
	json_t *error;       /* of the first command of kt_qmp_send() that failed; owned */
	pid_t pid;           /* of QEMU; 0: not known */
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

void kt_qmp_set_pid(struct kt_qmp *qmp, pid_t pid)
{
	qmp->pid = pid;
}

struct kt_qmp *kt_qmp_free(struct kt_qmp *qmp)
{
	if (!qmp)
		return NULL;
	(void)kt_close(qmp->fd);
	json_decref(qmp->answer);
	json_decref(qmp->error);
	kt_buffer_deinit(&qmp->in);
	free(qmp);
	return NULL;
}

int kt_qmp_fd(const struct kt_qmp *qmp)
{
	return qmp->fd;
}

/* Sorts a message: event, awaited answer, late answer, or error of a command that was only sent. */
static void handle_message(struct kt_qmp *qmp, const char *line)
{
	json_t *message = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));
	json_t *error = json_object_get(message, "error"), *id = json_object_get(message, "id");

	if (event) {
		qmp->on_event(qmp->owner, event, json_object_get(message, "data"));
	} else if (json_is_integer(id)) {
		if (qmp->awaited && json_integer_value(id) == qmp->last_id && !qmp->answer)
			qmp->answer = json_incref(message);
	} else if (error && !qmp->error) {
		qmp->error = json_incref(error);
	}
	json_decref(message); /* the greeting is none of these, and is dropped */
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

/*
 * One send(2) takes all: commands are far smaller than the socket's buffer, which QEMU keeps empty.
 */
static int send_text(int fd, const char *text, size_t len)
{
	ssize_t n;

	do
		n = send(fd, text, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (size_t)n == len ? 0 : -EAGAIN;
}

/* @id and @arguments are consumed. */
static int send_command(const struct kt_qmp *qmp, const char *command, json_t *id,
			json_t *arguments)
{
	json_t *message =
		json_pack("{ss so so*}", "execute", command, "id", id, "arguments", arguments);
	KT_FREE char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text)
		return -ENOMEM;
	return send_text(qmp->fd, text, strlen(text)) ?: send_text(qmp->fd, "\n", 1);
}

int kt_qmp_send(struct kt_qmp *qmp, const char *command, json_t *arguments)
{
	return send_command(qmp, command, json_string("sent"), arguments);
}

static int fail(const char *command, const json_t *error, struct kt_err *reterr)
{
	return kt_err_set(reterr, -EREMOTEIO, "QMP%s%s: %s", command ? " " : "", command ?: "",
			  json_string_value(json_object_get(error, "desc")) ?: "failed");
}

static int take_answer(struct kt_qmp *qmp, const char *command, json_t **ret_value,
		       struct kt_err *reterr)
{
	json_t *answer = kt_steal(qmp->answer);
	const json_t *error = json_object_get(answer, "error");
	int r = 0;

	if (error)
		r = fail(command, error, reterr);
	else if (ret_value)
		*ret_value = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return r;
}

/* Waits for bytes and handles them. -ETIMEDOUT, or -EPIPE when QEMU is gone. */
static int wait_more(struct kt_qmp *qmp, uint64_t deadline_ns)
{
	int r = kt_steal_poll(qmp->fd, deadline_ns, qmp->pid);

	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? r : kt_qmp_dispatch(qmp);
}

int kt_qmp_wait(struct kt_qmp *qmp, const bool *done, const char *what, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	while (!*done) {
		int r = wait_more(qmp, deadline_ns);

		if (qmp->error)
			return fail(NULL, qmp->error, reterr);
		if (r < 0 && !*done)
			return kt_err_set(reterr, r, "waiting for QEMU's %s: %m", what);
	}
	return 0;
}

int kt_qmp_execute(struct kt_qmp *qmp, const char *command, json_t *arguments, uint64_t deadline_ns,
		   json_t **ret_value, struct kt_err *reterr)
{
	int r = send_command(qmp, command, json_integer(++qmp->last_id), arguments);

	if (r < 0)
		return kt_err_set(reterr, r, "QMP '%s': %m", command);
	qmp->awaited = true;
	while (!qmp->answer && r >= 0)
		r = wait_more(qmp, deadline_ns);
	qmp->awaited = false;
	if (!qmp->answer)
		return kt_err_set(reterr, r, "QMP '%s': %s: %m", command,
				  r == -ETIMEDOUT ? "no answer" : "QEMU went away");
	return take_answer(qmp, command, ret_value, reterr);
}
