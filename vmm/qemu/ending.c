/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/ending.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/steal.h"
#include "vmm/qemu/channels.h"
#include "vmm/qemu/state.h"

/*
 * The exit status of QEMU says nothing about the guest: the events that came before it do, and what
 * QEMU has said.
 */

#define REAP_LIMIT_NS (60 * KT_NSEC_PER_SEC)

bool kt_qemu_is_gone(int r)
{
	return r == -EPIPE || r == -ECONNRESET;
}

/* The first line of QEMU's output names the cause. */
static int said_len(const struct qemu *qemu)
{
	return (int)KT_MIN(strcspn(qemu->said, "\n"), (size_t)300);
}

/* QEMU itself failed. */
static void explain_failure(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	exit->killed = WIFSIGNALED(status);
	(void)snprintf(exit->detail, sizeof(exit->detail), "QEMU %s %d%s%s%s%s%.*s",
		       exit->killed ? "was killed by signal" : "ended with status",
		       exit->killed ? WTERMSIG(status) : WEXITSTATUS(status),
		       exit->killed && WTERMSIG(status) == SIGKILL
			       ? ", perhaps by the host's OOM killer (see dmesg)"
			       : "",
		       *reason ? " after " : "", reason, qemu->n_said ? ": " : "", said_len(qemu),
		       qemu->said);
}

/* The machine could not go on, and stop.c has killed QEMU. */
static void explain_surrender(const struct qemu *qemu, struct kt_machine_exit *exit)
{
	(void)snprintf(exit->detail, sizeof(exit->detail), "QEMU was ended: %s%s%.*s",
		       qemu->given_up, qemu->n_said ? ": " : "", said_len(qemu), qemu->said);
}

void kt_qemu_explain_exit(const struct qemu *qemu, int status, struct kt_machine_exit *exit)
{
	const char *reason = qemu->shutdown_reason;

	if (qemu->panicked || !strcmp(reason, "guest-panic")) {
		exit->reason = KT_EXIT_PANIC;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest's kernel panicked");
	} else if (qemu->powered_off || !strcmp(reason, "guest-shutdown")) {
		exit->reason = KT_EXIT_SHUTDOWN;
		(void)snprintf(exit->detail, sizeof(exit->detail), "the guest powered off");
	} else if (!strcmp(reason, "guest-reset")) {
		exit->reason = KT_EXIT_RESET;
		(void)snprintf(exit->detail, sizeof(exit->detail),
			       "the guest reset itself (a panic, a reboot or a triple fault)");
	} else {
		exit->reason = KT_EXIT_VMM_ERROR;
		if (*qemu->given_up)
			explain_surrender(qemu, exit);
		else
			explain_failure(qemu, status, exit);
	}
}

/* Waits until QEMU has ended, and reaps it. False when QEMU does not end. */
static bool reap(struct qemu *qemu, int *ret_status)
{
	uint64_t deadline_ns = kt_now_ns() + REAP_LIMIT_NS;

	if (qemu->pid <= 0 || kt_steal_poll(qemu->pidfd, deadline_ns, qemu->pid) <= 0)
		return false;
	kt_loop_remove(qemu->machine.loop, &qemu->process);
	while (waitpid(qemu->pid, ret_status, 0) < 0 && errno == EINTR)
		;
	qemu->pid = 0;
	return true;
}

int kt_qemu_explain_loss(struct qemu *qemu, int r, struct kt_err *reterr)
{
	struct kt_machine_exit exit = { 0 };
	int status = 0;
	bool ended = kt_qemu_is_gone(r) && reap(qemu, &status);

	(void)kt_qmp_dispatch(qemu->qmp);
	kt_qemu_read_output(qemu);
	if (ended) {
		kt_qemu_explain_exit(qemu, status, &exit);
		return kt_err_set(reterr, exit.killed ? -ECHILD : r, "%s", exit.detail);
	}
	qemu->said[strcspn(qemu->said, "\n")] = '\0';
	return qemu->n_said ? kt_err_prefix(reterr, r, "QEMU says \"%.300s\"", qemu->said) : r;
}
