/* SPDX-License-Identifier: MIT */
#include "framework/cli/verifier.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/cli/exit_status.h"
#include "framework/cli/shell.h"
#include "framework/declaration/registry.h"
#include "framework/outcome/capture.h"
#include "framework/report/verifier_log.h"
#include "framework/setup/limits.h"
#include "framework/setup/object.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/result.h"

/*
 * `ktests verifier`: loads an object on each kernel and shows what the verifier says. The command
 * is this program's own `load --verify`, run by a shell session of a guest. The session runs in a
 * child, whose standard streams are a file that this process reads; report/verifier_log shortens
 * the log.
 */
#define LOG_LINES  100u
#define OUTPUT_MAX ((size_t)64 << 20)
#define LOAD_TIMEOUT_NS                                                                            \
	(120 * KT_NSEC_PER_SEC) /* a million instructions take the verifier some seconds */

/* ---- what ------------------------------------------------------------------------------------ */

int kt_verified_init(struct kt_verified *verified, const char *name, struct kt_err *reterr)
{
	const struct kt_scheduler_node *at = kt_scheduler_registry();
	char path[PATH_MAX];

	*verified = (struct kt_verified){ .test = { .name = "verifier" } };
	while (at && strcmp(at->scheduler->name, name))
		at = at->next;
	if (at) {
		verified->scheduler = *at->scheduler;
	} else if (realpath(name, path)) {
		verified->path = strdup(path);
		if (!verified->path)
			return kt_err_oom(reterr);
		verified->scheduler = (struct kt_scheduler){
			.name = "verified",
			.file = name,
			.object = verified->path,
		};
	} else {
		return kt_err_set(reterr, -EINVAL,
				  "'%s' is neither a scheduler of this binary nor a file",
				  name);
	}
	if (!verified->scheduler.object)
		return kt_err_set(reterr, -EINVAL,
				  "scheduler %s is a program, which loads its own object; give the "
				  "path of that",
				  name);
	verified->test.scheduler = &verified->scheduler;
	return 0;
}

void kt_verified_deinit(struct kt_verified *verified)
{
	free(verified->path);
}

/* ---- how ------------------------------------------------------------------------------------- */

static int put_quoted(FILE *out, const char *text)
{
	(void)fputs(" '", out);
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*text, out);
	}
	return fputc('\'', out);
}

/* The loader is a command of this very program, which is /init there. */
static char *make_command(const struct kt_scheduler *scheduler)
{
	const char *slash = strrchr(scheduler->object, '/');
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	(void)fprintf(out, "exec /init load --verify " KT_SCHEDULER_DIR "/%s/%s", scheduler->name,
		      slash ? slash + 1 : scheduler->object);
	for (const char *const *at = scheduler->args; at && *at; at++)
		(void)put_quoted(out, *at);
	return fclose(out) ? NULL : text;
}

/* In a process of its own: a shell writes to standard output. */
static int run_in_guest(struct kt_setup *setup, const struct kt_kernel *kernel,
			const struct kt_test *test, const char *command, int out)
{
	struct kt_err err = KT_ERR_NULL;
	int status = 0;

	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO);
	if (kt_shell_run(setup, kernel, test, command, &status, &err) < 0) {
		(void)dprintf(STDERR_FILENO, "%s\n", err.text);
		return KT_EXIT_STATUS_HARNESS;
	}
	return status;
}

/* Kills the process after @limit_ns: a shell session has no deadline of its own. */
static void await_end(pid_t pid, uint64_t limit_ns, int *ret_status)
{
	struct pollfd waiting = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (waiting.fd >= 0 && kt_poll(&waiting, 1, kt_now_ns() + limit_ns) == 0) {
		(void)fprintf(stderr, "no answer within %.3g s; ended\n",
			      (double)limit_ns / KT_NSEC_PER_SEC);
		(void)kill(pid, SIGKILL); /* its machine goes with it */
	}
	(void)kt_close(waiting.fd);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
}

static pid_t start_in_guest(struct kt_setup *setup, const struct kt_kernel *kernel,
			    const struct kt_test *test, const char *command, int out)
{
	pid_t parent = getpid(), pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(KT_EXIT_STATUS_HARNESS);
	_exit(run_in_guest(setup, kernel, test, command, out));
}

static char *collect(struct kt_setup *setup, const struct kt_kernel *kernel,
		     const struct kt_test *test, const char *command, int *ret_status)
{
	KT_CLOSE int out = memfd_create("ktest-verifier", MFD_CLOEXEC);
	pid_t pid = out < 0 ? -1 : start_in_guest(setup, kernel, test, command, out);
	char *text = NULL;
	int status = 0;

	if (pid < 0)
		return NULL;
	await_end(pid, kt_setup_boot_limit_ns(setup, test) + LOAD_TIMEOUT_NS, &status);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : KT_EXIT_STATUS_HARNESS;
	text = calloc(1, OUTPUT_MAX + 1);
	if (text && pread(out, text, OUTPUT_MAX, 0) < 0)
		text[0] = '\0';
	return text;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static bool begins(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

/* "processed 63 insns (limit 1000000) max_states_per_insn 1 total_states 5 peak_states 5 ..." */
static void print_program(const char *line, const char *stats)
{
	unsigned int insns = 0, processed = 0, per_insn = 0, total = 0, peak = 0;
	char name[128] = "";

	if (sscanf(line, "program %127[^:]: verified %u", name, &insns) != 2)
		return;
	(void)sscanf(stats,
		     "processed %u insns (limit %*u) max_states_per_insn %u total_states %u "
		     "peak_states %u",
		     &processed, &per_insn, &total, &peak);
	(void)printf("  %-28s %8u %8u %8u %8u\n", name, insns, total, peak, per_insn);
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

static void print_programs(const char *text)
{
	(void)printf("  %-28s %8s %8s %8s %8s\n", "program", "insns", "states", "peak", "per insn");
	for (const char *line = text; *line; line = next_line(line)) {
		if (begins(line, "program "))
			print_program(line, next_line(line));
	}
}

static void print_failure(const char *text)
{
	KT_FREE char *collapsed = kt_verifier_log_collapse(text);
	const char *tail;

	if (!collapsed)
		return;
	kt_text_sanitize(collapsed);
	tail = kt_text_tail(collapsed, LOG_LINES);
	if (tail != collapsed)
		(void)printf("  the last %u lines:\n", LOG_LINES);
	for (const char *line = tail; *line; line = next_line(line))
		(void)printf("  %.*s\n", (int)strcspn(line, "\n"), line);
}

static enum kt_verdict verify_on(struct kt_setup *setup, const struct kt_kernel *kernel,
				 const struct kt_verified *verified, const char *command)
{
	KT_FREE char *obstacle = kt_setup_obstacle(setup, kernel, &verified->test);
	KT_FREE char *fault = kt_setup_fault(setup, kernel, &verified->test);
	KT_FREE char *text = NULL;
	int status = 0;

	(void)printf("kernel %s: ", kernel->facts.release);
	if (obstacle) {
		(void)printf("skipped: %s\n", obstacle);
		return KT_VERDICT_SKIP;
	}
	if (fault) {
		(void)printf("it cannot be verified: %s\n", fault);
		return KT_VERDICT_ERROR;
	}
	text = collect(setup, kernel, &verified->test, command, &status);
	if (status == 0 && text) {
		(void)printf("the verifier accepts it\n");
		print_programs(text);
		return KT_VERDICT_PASS;
	}
	(void)printf("%s\n", status == 1 ? "the verifier refuses it" : "it was not verified");
	print_failure(text ?: "out of memory");
	return status == 1 ? KT_VERDICT_FAIL : KT_VERDICT_ERROR;
}

int kt_verifier_command(struct kt_setup *setup, const struct kt_verified *verified)
{
	KT_FREE char *command = make_command(&verified->scheduler);
	enum kt_verdict worst = KT_VERDICT_SKIP;

	for (size_t i = 0; command && i < setup->n_kernels; i++) {
		enum kt_verdict verdict = verify_on(setup, &setup->kernels[i], verified, command);

		worst = KT_MAX(worst, verdict);
	}
	if (!command || worst == KT_VERDICT_ERROR)
		return KT_EXIT_STATUS_HARNESS;
	return worst == KT_VERDICT_FAIL   ? KT_EXIT_STATUS_FAILED
	       : worst == KT_VERDICT_SKIP ? KT_EXIT_STATUS_SKIPPED
					  : KT_EXIT_STATUS_OK;
}
