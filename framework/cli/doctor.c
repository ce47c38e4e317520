/* SPDX-License-Identifier: MIT */
#include "framework/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "framework/kernel/kernel.h"
#include "framework/options/value.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/confine.h"
#include "util/io.h"
#include "util/memory.h"
#include "vmm/host.h"

/* Below these a note says so. Each is what a few ordinary tests need at once. */
#define LOW_MEMORY_MIB      1024u
#define LOW_DISK_MIB        1024u /* a kernel and its templates */
#define LOW_DESCRIPTORS     1024u
#define SESSION_DESCRIPTORS 9u /* as in main.c */

/*
 * A finding is a line "GRADE  WHAT  TEXT", and below it the command that mends it. The examination
 * changes nothing but what any run changes: the cache's directory, and the measurements of the host
 * in it. A fault is something without which no test runs; a note says what is slower or missing.
 */

enum grade {
	OK,
	NOTE,
	FAULT,
};

struct examination {
	unsigned int n[FAULT + 1]; /* findings by grade */
	bool tcg;                  /* machines are emulated */
};

__attribute__((format(printf, 5, 6))) static void found(struct examination *exam, enum grade grade,
							const char *what, const char *mend,
							const char *format, ...)
{
	static const char *const names[] = { [OK] = "ok", [NOTE] = "note", [FAULT] = "FAULT" };
	va_list args;

	(void)printf("%-5s  %-7s  ", names[grade], what);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf("\n");
	if (mend)
		(void)printf("%16smend: %s\n", "", mend);
	exam->n[grade]++;
}

static void examine_host(struct examination *exam)
{
	uint64_t host = kt_meminfo_mib("MemTotal:"), usable = kt_memory_mib();
	uint64_t free_mib = KT_MIN(kt_meminfo_mib("MemAvailable:"), usable);
	bool low = free_mib < LOW_MEMORY_MIB;
	KT_FREE char *limit =
		usable < host ? kt_format("; cgroups limit this to %" PRIu64 " MiB", usable) : NULL;

	found(exam, low ? NOTE : OK, "host",
	      low ? "end other programs, or run fewer machines at once: --memory-budget 512M, -j 1"
		  : NULL,
	      "%u CPUs; %" PRIu64 " MiB of memory, %" PRIu64 " MiB of them available%s",
	      kt_online_cpus(), host, free_mib, limit ?: "");
}

static void examine_kvm(struct examination *exam, const struct kt_host *host)
{
	const char *mend = NULL;

	exam->tcg = host->accel == KT_ACCEL_TCG;
	/* What other reasons want done, they say themselves. */
	if (access("/dev/kvm", F_OK) < 0)
		mend = "modprobe kvm_intel or kvm_amd, and virtualisation enabled in the firmware; "
		       "in a virtual machine, its host must allow nesting; in a container, "
		       "--device /dev/kvm";
	if (exam->tcg)
		found(exam, NOTE, "KVM", mend,
		      "%s: machines are emulated, ten times slower, but in virtual time",
		      host->accel_text);
	else
		found(exam, OK, "KVM", NULL, "accel: %s", host->accel_text);
}

static void examine_qemu(struct examination *exam, const struct kt_host *host)
{
	const struct kt_qemu_program *qemu = &host->qemu;
	bool saves = kt_qemu_can_save(qemu);

	if (!*qemu->path) {
		found(exam, NOTE, "QEMU", "apt-get install qemu-system-x86",
		      "there is none: --vmm qemu and virtual time are not to be had");
		return;
	}
	found(exam, saves ? OK : NOTE, "QEMU",
	      saves ? NULL : "install version 8.2 or newer (Debian 12: from backports)",
	      "%s, version %u.%u%s", qemu->path, qemu->major, qemu->minor,
	      saves ? "" : ": it cannot fork machines, each test boots one");
	if (exam->tcg && !host->repeatable)
		found(exam, NOTE, "plugin",
		      "a QEMU that is built with --enable-plugins, as Debian's is",
		      "this QEMU does not load ktest's plugin: one seed is not one run");
	else if (exam->tcg)
		found(exam, OK, "plugin", NULL, "QEMU loads it: one seed is one run");
}

/* What is lacking is no fault: machines run all the same. */
static void examine_confinement(struct examination *exam, const struct kt_host *host)
{
	bool unsafe = host->vmm == KT_VMM_QEMU && !host->qemu.sandbox;
	struct kt_confinement confinement;
	char text[256];

	kt_confinement_init(&confinement);
	kt_confinement_describe(&confinement, text, sizeof(text));
	found(exam, strchr(text, ';') || unsafe ? NOTE : OK, "confine", NULL,
	      "a session gives up: %s%s", text, unsafe ? "; this QEMU has no -sandbox" : "");
	kt_confinement_deinit(&confinement);
}

static void examine_machines(struct examination *exam, const struct kt_options *options)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_host host;
	int r = kt_host_probe(options->accel, options->vmm, options->qemu, &host, &err);

	if (r < 0) {
		found(exam, FAULT, "machine",
		      r == -ENOENT ? "apt-get install qemu-system-x86" : NULL, "%s", err.text);
		return;
	}
	examine_kvm(exam, &host);
	examine_qemu(exam, &host);
	examine_confinement(exam, &host);
	if (*host.note)
		found(exam, NOTE, "machine", NULL, "%s", host.note);
}

static void examine_facts(struct examination *exam, const char *release,
			  const struct kt_kernel_facts *facts, const char *more)
{
	if (!facts->btf)
		found(exam, NOTE, "kernel", "ktests kernel fetch",
		      "%s%s: it has no BTF, so tests of schedulers and kernel memory are skipped",
		      release, more);
	else if (!facts->sched_ext)
		found(exam, NOTE, "kernel", "ktests kernel fetch",
		      "%s%s: it has no sched_ext, so tests of BPF schedulers are skipped", release,
		      more);
	else if (facts->n_broken_kfuncs)
		found(exam, NOTE, "kernel", "ktests kernel fetch (another version)",
		      "%s%s: its BTF describes %zu kfuncs wrongly, as %s; schedulers that call "
		      "them are skipped",
		      release, more, facts->n_broken_kfuncs, facts->broken_kfuncs[0]);
	else
		found(exam, OK, "kernel", NULL, "%s%s: sched_ext, and its BTF is sound", release,
		      more);
}

static void examine_release(struct examination *exam, const char *release, const char *chosen)
{
	KT_CLEANUP(kt_kernel_deinit) struct kt_kernel kernel = KT_KERNEL_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kernel_resolve(release, &kernel, &err) < 0)
		found(exam, NOTE, "kernel", "ktests cache prune, and ktests kernel fetch", "%s",
		      err.text);
	else
		examine_facts(exam, release, &kernel.facts,
			      !strcmp(release, chosen) ? " (default)" : "");
}

/* Those of the cache, and the one that --kernel or KTESTS_KERNEL names. */
static void examine_kernels(struct examination *exam, const struct kt_options *options)
{
	KT_CLEANUP(kt_kernel_deinit) struct kt_kernel kernel = KT_KERNEL_NULL;
	const char *spec = options->kernels.n ? options->kernels.at[0] : NULL;
	struct kt_err err = KT_ERR_NULL;
	char **releases = NULL;

	if (kt_kernel_resolve(spec, &kernel, &err) < 0) {
		found(exam, FAULT, "kernel", spec ? NULL : "ktests kernel fetch", "%s", err.text);
		return;
	}
	if (spec)
		examine_facts(exam, kernel.facts.release, &kernel.facts, " (asked for)");
	if (kt_kernel_list(&releases, &err) < 0) {
		found(exam, NOTE, "kernel", NULL, "%s", err.text);
		return;
	}
	for (char **at = releases; *at; at++)
		examine_release(exam, *at, spec ? "" : kernel.facts.release);
	kt_kernel_list_free(releases);
}

/* Whether files in @dir can be locked, which some network file systems refuse. */
static bool has_locks(const char *dir)
{
	KT_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
}

static void examine_cache(struct examination *exam)
{
	KT_FREE char *dir = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct statvfs disk;
	uint64_t free_mib;

	if (kt_cache_path("", &dir, &err) < 0) {
		found(exam, FAULT, "cache", "XDG_CACHE_HOME=DIRECTORY, one that can be written",
		      "%s", err.text);
		return;
	}
	if (access(dir, W_OK | X_OK) < 0)
		found(exam, NOTE, "cache", "XDG_CACHE_HOME=DIRECTORY, one that can be written",
		      "'%s' cannot be written: templates are made anew in each run", dir);
	else if (!has_locks(dir))
		found(exam, NOTE, "cache", "XDG_CACHE_HOME=DIRECTORY, on a local file system",
		      "'%s' has no locks: runs do not share a budget", dir);
	if (statvfs(dir, &disk) < 0)
		return;
	free_mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
	found(exam, free_mib < LOW_DISK_MIB ? NOTE : OK, "cache",
	      free_mib < LOW_DISK_MIB ? "ktests cache prune, or XDG_CACHE_HOME=DIRECTORY" : NULL,
	      "'%s' has %" PRIu64 " MiB; %" PRIu64 " MiB are free there", dir,
	      kt_cache_disk_bytes(dir) >> 20, free_mib);
}

static void examine_limits(struct examination *exam)
{
	struct rlimit files = { 0 };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	found(exam, files.rlim_max < LOW_DESCRIPTORS ? NOTE : OK, "limits",
	      files.rlim_max < LOW_DESCRIPTORS ? "ulimit -n 4096" : NULL,
	      "%" PRIu64 " descriptors, so about %" PRIu64 " machines at once",
	      (uint64_t)files.rlim_max, (uint64_t)files.rlim_max / SESSION_DESCRIPTORS);
}

enum kt_exit_status kt_doctor_command(const struct kt_options *options)
{
	struct examination exam = { .tcg = false };

	examine_host(&exam);
	examine_machines(&exam, options);
	examine_kernels(&exam, options);
	examine_cache(&exam);
	examine_limits(&exam);
	(void)printf("%s: %u fault%s, %u note%s\n",
		     exam.n[FAULT] ? "tests cannot run here" : "tests can run here", exam.n[FAULT],
		     exam.n[FAULT] == 1 ? "" : "s", exam.n[NOTE], exam.n[NOTE] == 1 ? "" : "s");
	return exam.n[FAULT] ? KT_EXIT_STATUS_HARNESS : KT_EXIT_STATUS_OK;
}
