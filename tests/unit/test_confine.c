/* SPDX-License-Identifier: MIT */
/* What a confined process is refused, and what it can still do. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/confine.h"
#include "util/io.h"

UNIT_SUITE(confine);

#define FAILED 99 /* exit status of a child that could not be confined */

static struct kt_confinement confinement;
static struct kt_confine_needs needs;
static char *dir, *writable, *linked, *file, *old; /* file: in linked; old: in dir */
static char network[64];                           /* the namespace of this process */

/* What a child does after it was confined. Returns 0, or the number of what was not as expected. */
typedef int (*body_fn)(void);

static int run(body_fn body, bool confined)
{
	struct kt_err err = KT_ERR_NULL;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (confined && kt_confine(&confinement, &needs, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			_exit(FAILED);
		}
		_exit(body());
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Succeeds in a confined child and not in another: a test that cannot fail proves nothing. */
static void assert_only_confined(body_fn body)
{
	cr_assert(zero(int, run(body, true)));
	cr_assert(ne(int, run(body, false), 0));
}

static void need(enum kt_confine_part part)
{
	if (!(confinement.parts & part))
		cr_skip_test("this host does not allow it");
}

static void begin(void)
{
	static const char *paths[1];
	char template[] = "/tmp/ktest-confine-XXXXXX";

	kt_confinement_init(&confinement);
	cr_assert(gt(int, (int)readlink("/proc/self/ns/net", network, sizeof(network) - 1), 0));
	dir = strdup(mkdtemp(template));
	writable = kt_format("%s/writable", dir);
	linked = kt_format("%s/linked", dir);
	file = kt_format("%s/file", linked);
	old = kt_format("%s/old", dir);
	cr_assert(zero(int, mkdir(writable, 0755) ?: mkdir(linked, 0755)));
	cr_assert(zero(int, close(open(file, O_CREAT | O_CLOEXEC, 0644))));
	cr_assert(zero(int, close(open(old, O_CREAT | O_CLOEXEC, 0644))));
	paths[0] = writable;
	needs = (struct kt_confine_needs){
		.writable = paths, .n_writable = 1, .linked = linked, .writable_fd = -1
	};
}

static void end(void)
{
	kt_confinement_deinit(&confinement);
	(void)kt_remove_all(dir);
	free(dir);
	free(writable);
	free(linked);
	free(file);
	free(old);
}

/* The value of a line of /proc/self/status, as a number of @base. */
static unsigned long long status_line(const char *key, int base)
{
	KT_FREE char *text = NULL;
	const char *at;

	if (kt_file_read("/proc/self/status", 65536, &text, NULL) < 0 || !(at = strstr(text, key)))
		return ~0ull;
	return strtoull(at + strlen(key), NULL, base);
}

static int has_no_privileges(void)
{
	if (status_line("NoNewPrivs:", 10) != 1)
		return 1;
	return status_line("CapEff:", 16) || status_line("CapPrm:", 16) ? 2 : 0;
}

Test(confine, no_privileges, .init = begin, .fini = end)
{
	assert_only_confined(has_no_privileges);
}

static int kept, inherited; /* descriptors of the child's parent */

static int has_lost_descriptors(void)
{
	if (fcntl(kept, F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0)
		return 1;
	return fcntl(inherited, F_GETFD) >= 0 || errno != EBADF ? 2 : 0;
}

/* In both orders of the two, and of what is above and below them. */
Test(confine, inherited_descriptors, .init = begin, .fini = end)
{
	kept = open(old, O_WRONLY | O_CLOEXEC);
	inherited = open(old, O_WRONLY | O_CLOEXEC);
	needs.kept_fds = (const int[]){ -1, kept };
	needs.n_kept_fds = 2;
	assert_only_confined(has_lost_descriptors);
	kept = inherited;
	inherited = needs.kept_fds[1];
	needs.kept_fds = &kept;
	needs.n_kept_fds = 1;
	assert_only_confined(has_lost_descriptors);
}

static int dies_with_its_parent(void)
{
	int signal = 0;

	(void)prctl(PR_GET_PDEATHSIG, &signal);
	return signal != SIGKILL;
}

Test(confine, it_still_dies_with_its_parent, .init = begin, .fini = end)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(kt_confine(&confinement, &needs, NULL) ?: dies_with_its_parent());
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(zero(int, status));
}

/* Each of these fails otherwise, or not at all, in a process that is not confined. */
static int is_refused_calls(void)
{
	if (status_line("Seccomp:", 10) != 2)
		return 1;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) >= 0 || errno != EPERM)
		return 2;
	if (unshare(CLONE_NEWUSER) >= 0 || errno != EPERM)
		return 3;
	if (chown("/nonexistent", (uid_t)-1, (gid_t)-1) >= 0 || errno != EPERM)
		return 4;
	if (syscall(SYS_setns, -1, 0) >= 0 || errno != EPERM)
		return 5;
	if (syscall(SYS_keyctl, 0, -3, 0) >= 0 || errno != EPERM)
		return 6;
	if (syscall(SYS_io_uring_setup, 0, NULL) >= 0 || errno != EPERM)
		return 7;
	if (syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) >= 0 ||
	    errno != EPERM)
		return 8;
	if (syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS)
		return 9;
	return 0;
}

Test(confine, calls_that_change_the_host_are_refused, .init = begin, .fini = end)
{
	need(KT_CONFINE_CALLS);
	assert_only_confined(is_refused_calls);
}

static int mounts(void)
{
	return mount("none", dir, "tmpfs", 0, NULL) < 0 && errno == EPERM ? 0 : 1;
}

Test(confine, nothing_is_mounted, .init = begin, .fini = end)
{
	need(KT_CONFINE_CALLS);
	cr_assert(zero(int, run(mounts, true)));
}

static int is_refused_files(void)
{
	KT_FREE char *there = kt_format("%s/new", dir), *here = kt_format("%s/new", writable);
	KT_FREE char *name = kt_format("%s/link", writable);
	int fd = open(here, O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, "x", 1) != 1)
		return 1;
	if (open(there, O_CREAT | O_RDWR | O_CLOEXEC, 0644) >= 0 || errno != EACCES)
		return 2;
	if (open(old, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 3;
	if (unlink(file) >= 0 || errno != EACCES)
		return 4;
	if (confinement.landlock >= 2 && link(file, name) < 0)
		return 5;
	return open(file, O_RDONLY | O_CLOEXEC) < 0 ? 6 : 0;
}

Test(confine, only_the_named_files_are_written, .init = begin, .fini = end)
{
	need(KT_CONFINE_FILES);
	assert_only_confined(is_refused_files);
}

static int opens_descriptor(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", needs.writable_fd);
	return open(path, O_RDWR | O_CLOEXEC) < 0;
}

Test(confine, a_named_descriptor_is_opened_for_writing, .init = begin, .fini = end)
{
	int ram = open(file, O_RDWR | O_CLOEXEC);

	need(KT_CONFINE_FILES);
	needs.writable_fd = ram;
	needs.kept_fds = &needs.writable_fd;
	needs.n_kept_fds = 1;
	cr_assert(zero(int, run(opens_descriptor, true)));
	(void)close(ram);
	/* Landlock has no rule for a memfd, and does not look at it. */
	needs.writable_fd = memfd_create("ram", MFD_CLOEXEC);
	cr_assert(zero(int, run(opens_descriptor, true)));
	(void)close(needs.writable_fd);
}

static int opens_file_and_device(void)
{
	if (open(old, O_WRONLY | O_CLOEXEC) < 0)
		return 1;
	return open("/dev/zero", O_RDWR | O_CLOEXEC) < 0 ? 2 : 0;
}

/* As /dev/kvm is: a rule for a file must not have the rights of a directory. */
Test(confine, a_named_file_and_device_are_written, .init = begin, .fini = end)
{
	const char *paths[] = { old, "/dev/zero" };

	need(KT_CONFINE_FILES);
	cr_assert(eq(int, run(opens_file_and_device, true), 1));
	needs.writable = paths;
	needs.n_writable = KT_ARRAY_LEN(paths);
	cr_assert(zero(int, run(opens_file_and_device, true)));
}

static int cannot_signal(void)
{
	return kill(getppid(), 0) < 0 && errno == EPERM ? 0 : 1;
}

Test(confine, processes_outside_get_no_signal, .init = begin, .fini = end)
{
	if (confinement.landlock < 6)
		cr_skip_test("this kernel's Landlock does not know signals");
	assert_only_confined(cannot_signal);
}

static int has_no_network(void)
{
	char now[64] = "";

	if (readlink("/proc/self/ns/net", now, sizeof(now) - 1) < 0 || !strcmp(now, network))
		return 1;
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 2 : 0;
}

Test(confine, no_network, .init = begin, .fini = end)
{
	need(KT_CONFINE_NETWORK);
	need(KT_CONFINE_CALLS);
	assert_only_confined(has_no_network);
}

static int keeps_all(void)
{
	return has_no_network() != 1 || is_refused_files() != 2;
}

Test(confine, what_is_kept_is_kept, .init = begin, .fini = end)
{
	needs.keeps = KT_CONFINE_FILES | KT_CONFINE_NETWORK;
	cr_assert(zero(int, run(keeps_all, true)));
}

static void *do_nothing(void *data)
{
	return data;
}

static int executes(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return errno == EPERM ? 1 : 2;
	if (pid == 0) {
		(void)execl("/bin/grep", "grep", "-q", "CapEff:.0000000000000000",
			    "/proc/self/status", NULL);
		_exit(127);
	}
	(void)waitpid(pid, &status, 0);
	return status ? 3 : 0;
}

static int starts_no_program(void)
{
	pthread_t thread;

	if (kt_confine_programs(&confinement, NULL) < 0)
		return 1;
	if (execl("/bin/true", "true", NULL) >= 0 || errno != EPERM)
		return 2;
	if (executes() != 1)
		return 3;
	return pthread_create(&thread, NULL, do_nothing, NULL) || pthread_join(thread, NULL);
}

Test(confine, programs_have_no_privileges_either, .init = begin, .fini = end)
{
	cr_assert(zero(int, run(executes, true)));
}

Test(confine, threads_start_and_programs_do_not, .init = begin, .fini = end)
{
	need(KT_CONFINE_CALLS);
	cr_assert(zero(int, run(starts_no_program, true)));
}

Test(confine, what_holds_is_told)
{
	struct kt_confinement poor = KT_CONFINEMENT_NULL;
	char text[256];

	poor.parts = KT_CONFINE_PRIVILEGES | KT_CONFINE_CALLS;
	kt_confinement_describe(&poor, text, sizeof(text));
	cr_assert(eq(str, text, "privileges, calls; this host does not allow: files, network"));
	poor.parts |= KT_CONFINE_FILES | KT_CONFINE_NETWORK;
	kt_confinement_describe(&poor, text, sizeof(text));
	cr_assert(eq(str, text, "privileges, calls, files, network"));
}
