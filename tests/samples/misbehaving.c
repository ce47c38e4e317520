/* SPDX-License-Identifier: MIT */
/*
 * A scheduler program that misbehaves in the way that its argument names. A child attaches the
 * scheduler: /init of a guest is also the loader.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t is_told_to_end;

static void on_term(int signal)
{
	(void)signal;
	is_told_to_end = 1;
}

static int attach(void)
{
	pid_t pid = fork();

	if (pid == 0)
		(void)execl("/init", "/init", "load", "fifo.bpf.o", NULL);
	return pid < 0 ? -1 : 0;
}

/* The kernel enables the scheduler while this waits. */
static void await_term(void)
{
	while (!is_told_to_end)
		(void)pause();
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "complains")) {
		(void)puts("a scheduler with a banner");
		(void)fputs("error: there is no such device\n", stderr);
		return 1;
	}
	if (!strcmp(how, "sleeps")) {
		(void)fputs("waiting for a device\n", stderr);
		(void)signal(SIGTERM, on_term);
		await_term();
		return 0;
	}
	(void)signal(SIGTERM, strcmp(how, "ignores_term") ? on_term : SIG_IGN);
	if (attach() < 0)
		return 2;
	if (!strcmp(how, "stops"))
		(void)raise(SIGSTOP);
	await_term();
	if (!strcmp(how, "crashes_at_term"))
		(void)raise(SIGSEGV);
	(void)fputs("cannot clean up\n", stderr);
	return 3;
}
