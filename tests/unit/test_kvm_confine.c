/* SPDX-License-Identifier: MIT */
/* What the thread of a vCPU may do, and what ends its process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "vmm/kvm/confine.h"

UNIT_SUITE(kvm_confine);

static void *run(void *data)
{
	void (*fn)(void) = *(void (**)(void))data;

	if (kt_kvm_confine(NULL) < 0)
		_exit(99);
	fn();
	return NULL;
}

/* The status of a child, one thread of which is confined and does @fn. */
static int status_of(void (*fn)(void))
{
	pthread_t thread;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (pthread_create(&thread, NULL, run, &fn) || pthread_join(thread, NULL))
			_exit(98);
		/* The other threads are not confined. */
		_exit(socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? 97 : 0);
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return status;
}

static bool is_killed(void (*fn)(void))
{
	int status = status_of(fn);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void on_kick(int signal)
{
	(void)signal;
}

static void work(void)
{
	uint64_t one = 1;
	int fd = eventfd(0, EFD_CLOEXEC);
	void *memory = malloc(1 << 20);

	(void)signal(SIGRTMIN, on_kick);
	if (!memory || write(fd, &one, sizeof(one)) < 0 || read(fd, &one, sizeof(one)) < 0 ||
	    pthread_kill(pthread_self(), SIGRTMIN) || close(fd) < 0)
		_exit(1);
	free(memory);
	if (ioctl(-1, KVM_RUN, 0) == 0 || errno != EBADF)
		_exit(2);
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
		_exit(3);
}

static void connect_out(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void execute(void)
{
	(void)execl("/bin/true", "true", NULL);
}

static void push_input(void)
{
	char byte = 0;

	(void)ioctl(0, 0x5412 /* TIOCSTI */, &byte);
}

static void make_process(void)
{
	(void)fork();
}

Test(kvm_confine, a_vcpu_does_its_work)
{
	cr_assert(zero(int, status_of(work)));
}

Test(kvm_confine, whatever_else_it_does_kills_the_process)
{
	cr_assert(is_killed(connect_out), "a socket");
	cr_assert(is_killed(execute), "another program");
	cr_assert(is_killed(push_input), "an ioctl that is not KVM's");
	cr_assert(is_killed(make_process), "a child");
}
