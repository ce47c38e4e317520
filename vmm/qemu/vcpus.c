/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/vcpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"
#include "util/io.h"

/*
 * QEMU names its threads (argv.c: debug-threads): "CPU 0/TCG", "CPU 0/KVM", and "ALL CPUs/TCG"
 * where one thread executes all. A thread that is parked waits for a condition: it sleeps in
 * futex(2). One that executes guest code runs, or sleeps in ioctl(2) of KVM.
 */

/* The state of a thread, behind its name in brackets, which may hold any character. */
static bool sleeps(int dir_fd, const char *tid)
{
	KT_FREE char *file = kt_format("%s/stat", tid), *text = NULL;
	const char *end;

	if (!file || kt_file_read_at(dir_fd, file, 1024, &text, NULL) < 0)
		return false;
	end = strrchr(text, ')');
	return end && !strncmp(end, ") S", 3);
}

/* A host that does not tell in which system call it is leaves this to the state. */
static bool is_parked(int dir_fd, const char *tid)
{
	KT_FREE char *file = kt_format("%s/syscall", tid), *text = NULL;
	long number;

	if (!sleeps(dir_fd, tid))
		return false;
	if (!file || kt_file_read_at(dir_fd, file, 256, &text, NULL) < 0)
		return true;
	return sscanf(text, "%ld", &number) == 1 && number == SYS_futex;
}

static void tell_thread(int dir_fd, const char *tid, struct kt_rendezvous *rendezvous)
{
	KT_FREE char *file = kt_format("%s/comm", tid), *name = NULL;
	unsigned int first = 0, n = rendezvous->n_vcpus;

	if (!file || kt_file_read_at(dir_fd, file, 64, &name, NULL) < 0)
		return;
	if (sscanf(name, "CPU %u/", &first) == 1)
		n = 1;
	else if (strncmp(name, "ALL CPUs/", 9) != 0)
		return;
	for (unsigned int i = first; is_parked(dir_fd, tid) && i < first + n; i++)
		kt_rendezvous_arrive(rendezvous, i);
}

void kt_vcpus_tell_parked(pid_t pid, struct kt_rendezvous *rendezvous)
{
	KT_FREE char *path = kt_format("/proc/%d/task", (int)pid);
	DIR *dir = path ? opendir(path) : NULL;

	if (!dir)
		return;
	for (struct dirent *ent; (ent = readdir(dir));)
		if (ent->d_name[0] != '.')
			tell_thread(dirfd(dir), ent->d_name, rendezvous);
	(void)closedir(dir);
}
