/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/qemu/qmp.h"

UNIT_SUITE(qmp);

#define SOON (kt_now_ns() + 50 * KT_NSEC_PER_MSEC)

static void on_event(void *owner, const char *event, const json_t *data)
{
	(void)data;
	*(bool *)owner = !strcmp(event, "STOP");
}

static bool stopped;

static struct kt_qmp *new_qmp(int *ret_qemu)
{
	struct kt_qmp *qmp;
	int ends[2];

	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)));
	cr_assert(zero(int, kt_qmp_new(ends[0], on_event, &stopped, &qmp)));
	*ret_qemu = ends[1];
	return qmp;
}

static void say(int qemu, const char *text)
{
	cr_assert(eq(long, write(qemu, text, strlen(text)), (long)strlen(text)));
}

/* The next command gets what QEMU answered to it, whenever the late answer arrives. */
static void expect_second(struct kt_qmp *qmp)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *value = NULL;

	cr_assert(zero(int, kt_qmp_execute(qmp, "second", NULL, SOON, &value, &err)), "%s",
		  err.text);
	cr_assert(eq(str, (char *)json_string_value(value), "of the second"));
	json_decref(value);
}

static void give_up_first(struct kt_qmp *qmp)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_qmp_execute(qmp, "first", NULL, kt_now_ns(), NULL, &err), -ETIMEDOUT));
	cr_assert(strstr(err.text, "'first': no answer") != NULL, "%s", err.text);
}

Test(qmp, a_late_answer_is_not_the_next_commands)
{
	int qemu;
	struct kt_qmp *qmp = new_qmp(&qemu);

	give_up_first(qmp);
	say(qemu, "{\"return\": \"of the first\", \"id\": 1}\n"
		  "{\"return\": \"of the second\", \"id\": 2}\n");
	expect_second(qmp);
	(void)kt_qmp_free(qmp);
	(void)close(qemu);
}

Test(qmp, a_late_answer_between_two_commands)
{
	int qemu;
	struct kt_qmp *qmp = new_qmp(&qemu);

	give_up_first(qmp);
	say(qemu, "{\"return\": \"of the first\", \"id\": 1}\n");
	cr_assert(zero(int, kt_qmp_dispatch(qmp)));
	say(qemu, "{\"return\": \"of the second\", \"id\": 2}\n");
	expect_second(qmp);
	(void)kt_qmp_free(qmp);
	(void)close(qemu);
}

/* The error of a command that was given up is not that of a command that was only sent. */
Test(qmp, a_late_error)
{
	struct kt_err err = KT_ERR_NULL;
	int qemu;
	struct kt_qmp *qmp = new_qmp(&qemu);

	give_up_first(qmp);
	cr_assert(zero(int, kt_qmp_send(qmp, "stop", NULL)));
	say(qemu, "{\"error\": {\"desc\": \"of the first\"}, \"id\": 1}\n{\"event\": \"STOP\"}\n");
	cr_assert(zero(int, kt_qmp_wait(qmp, &stopped, "stop", SOON, &err)), "%s", err.text);
	stopped = false;
	say(qemu, "{\"error\": {\"desc\": \"cannot stop\"}, \"id\": \"sent\"}\n");
	cr_assert(eq(int, kt_qmp_wait(qmp, &stopped, "stop", SOON, &err), -EREMOTEIO));
	cr_assert(strstr(err.text, "cannot stop") != NULL, "%s", err.text);
	(void)kt_qmp_free(qmp);
	(void)close(qemu);
}

/* What QEMU is sent has an id in each command, and no number twice. */
Test(qmp, commands_are_numbered)
{
	char heard[512] = "";
	int qemu;
	struct kt_qmp *qmp = new_qmp(&qemu);

	give_up_first(qmp);
	cr_assert(zero(int, kt_qmp_send(qmp, "stop", NULL)));
	say(qemu, "{\"return\": \"of the second\", \"id\": 2}\n");
	expect_second(qmp);
	cr_assert(gt(long, read(qemu, heard, sizeof(heard) - 1), 0));
	cr_assert(eq(str, heard,
		     "{\"execute\":\"first\",\"id\":1}\n"
		     "{\"execute\":\"stop\",\"id\":\"sent\"}\n"
		     "{\"execute\":\"second\",\"id\":2}\n"));
	(void)kt_qmp_free(qmp);
	(void)close(qemu);
}
