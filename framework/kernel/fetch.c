/* SPDX-License-Identifier: MIT */
#include "framework/kernel/fetch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/kernel/index.h"
#include "framework/kernel/kernel.h"
#include "util/buffer.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"

/*
 * apt does the work: it checks signatures and downloads. It runs on a private tree in the cache
 * (package lists, archives, an empty package status, one source), so the host's apt is neither
 * changed nor locked. All steps happen under the lock "kernels".
 *
 * Without a version the kernel must have consistent sched_ext BTF, which only the downloaded kernel
 * tells. A release that was found inconsistent is remembered as an empty file
 * "inconsistent-RELEASE" in the private tree, so that it is not downloaded again.
 */
#define DEFAULT_SUITE     "trixie-backports"
#define KEYRING           "/usr/share/keyrings/debian-archive-keyring.gpg"
#define INDEX_TIMEOUT_NS  (300 * KT_NSEC_PER_SEC)
#define STALL_TIMEOUT_NS  (120 * KT_NSEC_PER_SEC) /* of a download that makes no progress */
#define FULL_BYTES        (1u << 20)              /* a disk with less is full */
#define UNPACK_TIMEOUT_NS (600 * KT_NSEC_PER_SEC) /* of each package */
#define QUERY_TIMEOUT_NS  (60 * KT_NSEC_PER_SEC)  /* of a query without the network */

struct fetch {
	const struct kt_kernel_fetch_options *options;
	char *apt;     /* the private tree */
	int use_fd;    /* keeps @apt from being pruned while this is open */
	char *mirror;  /* URI of the archive */
	char *kernels; /* directory of the cache for finished kernels */
	char *apt_get; /* paths of programs */
	char *apt_cache;
	char *dpkg_deb;
};

static void fetch_deinit(struct fetch *fetch)
{
	(void)kt_close(fetch->use_fd);
	free(fetch->apt);
	free(fetch->mirror);
	free(fetch->kernels);
	free(fetch->apt_get);
	free(fetch->apt_cache);
	free(fetch->dpkg_deb);
}

__attribute__((format(printf, 3, 4))) static void tell(const struct fetch *fetch, double percent,
						       const char *format, ...)
{
	struct kt_err text;
	va_list ap;

	if (!fetch->options->progress)
		return;
	va_start(ap, format);
	(void)kt_err_vset(&text, 0, format, ap);
	va_end(ap);
	fetch->options->progress(fetch->options->data, text.text, percent);
}

static int find_program(const char *name, char **ret_path, struct kt_err *reterr)
{
	char path[4096];

	if (kt_process_find(name, path, sizeof(path)) < 0)
		return kt_err_set(
			reterr, -ENOENT,
			"'%s' is not installed: kernels are fetched from a Debian archive with "
			"apt; on another system name your own with --kernel",
			name);
	*ret_path = strdup(path);
	return *ret_path ? 0 : kt_err_oom(reterr);
}

/* The command line of a program of apt on the private tree: the options, then the arguments. */
struct apt_argv {
	char *options[12];
	const char *argv[128];
};

static void apt_argv_deinit(struct apt_argv *apt)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(apt->options); i++)
		free(apt->options[i]);
}

static int apt_argv_init(struct apt_argv *apt, const struct fetch *fetch, const char *program,
			 const char *const *args)
{
	const char *tree = fetch->apt;
	size_t n = 0, k = 0;

	*apt = (struct apt_argv){ 0 };
	apt->options[k++] = kt_format("-oDir::State=%s/state", tree);
	apt->options[k++] = kt_format("-oDir::State::lists=%s/state/lists", tree);
	apt->options[k++] = kt_format("-oDir::State::status=%s/status", tree);
	apt->options[k++] = kt_format("-oDir::Cache=%s/cache", tree);
	apt->options[k++] = kt_format("-oDir::Etc::sourcelist=%s/sources.list", tree);
	apt->options[k++] = kt_format("-oDir::Etc::sourceparts=%s/parts", tree);
	apt->options[k++] = kt_format("-oDir::Etc::preferencesparts=%s/parts", tree);
	apt->options[k++] = strdup("-oAPT::Architecture=amd64");
	apt->options[k++] = strdup("-oAPT::Architectures=amd64");
	/*
	 * As root, apt would change to its own user, which cannot enter a cache below a home
	 * directory.
	 */
	apt->options[k++] = strdup("-oAPT::Sandbox::User=");
	apt->argv[n++] = program;
	for (size_t i = 0; i < k; i++) {
		if (!apt->options[i])
			return -ENOMEM;
		apt->argv[n++] = apt->options[i];
	}
	for (; *args; args++) {
		if (n >= KT_ARRAY_LEN(apt->argv) - 1)
			return -E2BIG;
		apt->argv[n++] = *args;
	}
	return 0;
}

/* Runs apt-cache or apt-get and returns what it prints. */
static int apt_query(const struct fetch *fetch, const char *program, const char *const *args,
		     uint64_t timeout_ns, char **ret_text, struct kt_err *reterr)
{
	KT_CLEANUP(apt_argv_deinit) struct apt_argv apt;
	int r = apt_argv_init(&apt, fetch, program, args);

	if (r < 0)
		return kt_err_set(reterr, r, "apt: %m");
	return kt_process_output(apt.argv, kt_now_ns() + timeout_ns, ret_text, reterr);
}

/* The mirror from which the host's apt takes Debian's main archive. */
static int host_mirror(const struct fetch *fetch, char **ret_mirror, struct kt_err *reterr)
{
	const char *argv[] = { fetch->apt_get,
			       "indextargets",
			       "--format",
			       "$(REPO_URI) $(RELEASE) $(ORIGIN)",
			       "Created-By: Packages",
			       NULL };
	KT_FREE char *text = NULL;
	int r;

	r = kt_process_output(argv, kt_now_ns() + QUERY_TIMEOUT_NS, &text, reterr);
	if (r < 0)
		return r;
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char uri[1024], release[128], origin[128] = "";

		if (sscanf(line, "%1023s %127s %127s", uri, release, origin) < 2)
			continue;
		/*
		 * The origin is known only after "apt-get update" on the host; before, apt prints
		 * "$(ORIGIN)" literally or nothing. Then the URI must contain "debian".
		 */
		if (strstr(release, "-security") ||
		    !(strstr(uri, "debian") || !strcmp(origin, "Debian")) ||
		    (origin[0] && origin[0] != '$' && strcmp(origin, "Debian")))
			continue;
		*ret_mirror = strdup(uri);
		return *ret_mirror ? 0 : kt_err_oom(reterr);
	}
	return kt_err_set(reterr, -ENOENT,
			  "the host's apt knows no Debian archive; name one with --mirror or "
			  "KTESTS_MIRROR");
}

static int choose_mirror(const struct fetch *fetch, char **ret_mirror, struct kt_err *reterr)
{
	const char *mirror = fetch->options->mirror ?: getenv("KTESTS_MIRROR");

	if (!mirror || !*mirror)
		return host_mirror(fetch, ret_mirror, reterr);
	/* A space would begin another field in sources.list. */
	if (strpbrk(mirror, " \t\n"))
		return kt_err_set(reterr, -EINVAL, "mirror '%s' is not a URI", mirror);
	*ret_mirror = strdup(mirror);
	return *ret_mirror ? 0 : kt_err_oom(reterr);
}

static int write_sources(struct fetch *fetch, struct kt_err *reterr)
{
	KT_FREE char *line = NULL, *path = NULL;
	int r;

	if (!kt_file_readable(KEYRING))
		return kt_err_set(reterr, -ENOENT,
				  KEYRING
				  " is missing: install debian-archive-keyring, without which "
				  "signatures cannot be checked");
	r = choose_mirror(fetch, &fetch->mirror, reterr);
	if (r < 0)
		return r;
	line = kt_format("deb [signed-by=" KEYRING "] %s %s main\n", fetch->mirror,
			 fetch->options->suite ?: DEFAULT_SUITE);
	path = kt_format("%s/sources.list", fetch->apt);
	if (!line || !path)
		return kt_err_oom(reterr);
	return kt_file_publish(path, line, strlen(line), reterr);
}

/* An empty status file makes apt believe that no package is installed. */
static int make_tree(struct fetch *fetch, struct kt_err *reterr)
{
	static const char *const dirs[] = { "state/lists/partial", "cache/archives/partial",
					    "parts" };
	KT_FREE char *status = kt_format("%s/status", fetch->apt);
	int r = status ? 0 : kt_err_oom(reterr);

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(dirs); i++) {
		KT_FREE char *path = kt_format("%s/%s", fetch->apt, dirs[i]);

		r = path ? kt_mkdir_all(path, reterr) : kt_err_oom(reterr);
	}
	return r ?: kt_file_publish(status, "", 0, reterr) ?: write_sources(fetch, reterr);
}

static int update(const struct fetch *fetch, struct kt_err *reterr)
{
	const char *const args[] = { "update", "-q", NULL };
	KT_FREE char *text = NULL;
	int r;

	tell(fetch, -1, "reading the archive's index");
	r = apt_query(fetch, fetch->apt_get, args, INDEX_TIMEOUT_NS, &text, reterr);
	if (r == -ETIMEDOUT)
		return kt_err_set(
			reterr, r, "reading the archive's index: no answer of '%s' within %llu s",
			fetch->mirror, (unsigned long long)(INDEX_TIMEOUT_NS / KT_NSEC_PER_SEC));
	if (r < 0)
		return kt_err_prefix(reterr, r, "reading the archive's index");
	/* "apt-get update" succeeds with a warning when it cannot download an index. */
	if (strstr(text, "\nW: ") || strstr(text, "\nE: "))
		return kt_err_set(reterr, -EREMOTEIO, "reading the archive's index: %.600s",
				  strstr(text, "\nW: ") ?: strstr(text, "\nE: "));
	return 0;
}

static int list_releases(const struct fetch *fetch, struct kt_releases *ret_releases,
			 struct kt_err *reterr)
{
	const char *const args[] = { "pkgnames", KT_KERNEL_PACKAGE, NULL };
	KT_FREE char *text = NULL;
	int r;

	r = apt_query(fetch, fetch->apt_cache, args, QUERY_TIMEOUT_NS, &text, reterr);
	if (r < 0)
		return r;
	if (kt_kernel_index_parse(text, ret_releases) < 0)
		return kt_err_oom(reterr);
	return ret_releases->n ? 0
			       : kt_err_set(reterr, -ENOENT,
					    "the archive has no kernel called " KT_KERNEL_PACKAGE
					    "*" KT_KERNEL_FLAVOUR);
}

/* The packages of one release. Up to 6.18 the image holds everything; later releases are split. */
struct packages {
	char *names[8];
	size_t n;
};

static void packages_deinit(struct packages *packages)
{
	for (size_t i = 0; i < packages->n; i++)
		free(packages->names[i]);
}

static bool has_candidate(const struct fetch *fetch, const char *package)
{
	const char *const args[] = { "show", package, NULL };
	KT_FREE char *text = NULL;

	return apt_query(fetch, fetch->apt_cache, args, QUERY_TIMEOUT_NS, &text, NULL) == 0 &&
	       strstr(text, "Filename: ");
}

static int list_packages(const struct fetch *fetch, const char *release, struct packages *packages,
			 struct kt_err *reterr)
{
	static const char *const kinds[] = { "image", "binary", "modules", "base" };

	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		char *name = kt_format("linux-%s-%s", kinds[i], release);

		if (!name)
			return kt_err_oom(reterr);
		/* Which of these packages a release has differs, so each is looked for. */
		if (has_candidate(fetch, name))
			packages->names[packages->n++] = name;
		else
			free(name);
	}
	return packages->n ? 0
			   : kt_err_set(reterr, -ENOENT, "the archive has no kernel %s", release);
}

/* A download that is being watched. It must go on: apt itself would wait for a mirror for ever. */
struct download {
	const struct fetch *fetch;
	const char *release;
	double percent; /* as last told by apt; negative: nothing yet */
	uint64_t stall_ns;
	uint64_t deadline_ns; /* for the next progress */
};

/*
 * A line of apt's status: "dlstatus:1:20.5:Retrieving file 1 of 2". The second number is the
 * percentage. apt repeats the line while it waits, so only a new percentage is progress.
 */
static void on_status(struct download *download, const char *line)
{
	double percent;

	if (sscanf(line, "dlstatus:%*[^:]:%lf", &percent) != 1)
		return;
	tell(download->fetch, percent, "downloading %s", download->release);
	if (percent == download->percent)
		return;
	download->percent = percent;
	download->deadline_ns = kt_now_ns() + download->stall_ns;
}

/* Reads until apt-get closes the descriptor, that is, until it ends. */
static int follow_status(struct download *download, int fd)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer lines = KT_BUFFER_NULL;
	struct pollfd waiting = { .fd = fd, .events = POLLIN };

	for (;;) {
		char bytes[4096];
		size_t used;
		ssize_t n;
		int r = kt_poll(&waiting, 1, download->deadline_ns);

		if (r <= 0)
			return r ?: -ETIMEDOUT;
		n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (kt_buffer_append(&lines, bytes, (size_t)n) < 0)
			return -ENOMEM;
		while ((used = kt_buffer_line(&lines))) {
			on_status(download, lines.data);
			kt_buffer_consume(&lines, used);
		}
		/* Lines that never end must not keep the loop busy beyond the deadline. */
		if (kt_now_ns() > download->deadline_ns)
			return -ETIMEDOUT;
	}
}

/* Waits for the end of apt-get, which is killed if it makes no progress. */
static int await_download(struct download *download, int status_fd, pid_t pid, int pidfd,
			  int *ret_status, struct kt_err *reterr)
{
	struct pollfd waiting = { .fd = pidfd, .events = POLLIN };
	int r;

	download->percent = -1;
	download->stall_ns = download->fetch->options->stall_ns ?: STALL_TIMEOUT_NS;
	download->deadline_ns = kt_now_ns() + download->stall_ns;
	r = follow_status(download, status_fd);
	if (r == 0 && kt_poll(&waiting, 1, download->deadline_ns) <= 0)
		r = -ETIMEDOUT;
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	if (r == -ETIMEDOUT)
		return kt_err_set(
			reterr, r,
			"downloading %s: no progress within %.3g s, at %.0f%%; the mirror "
			"is '%s'",
			download->release, (double)download->stall_ns / KT_NSEC_PER_SEC,
			KT_MAX(download->percent, 0.0), download->fetch->mirror);
	return r < 0 ? kt_err_set(reterr, r, "downloading %s: %m", download->release) : 0;
}

/*
 * Downloads the packages to the directory @to. "apt-get download" writes to its working directory,
 * so env(1) changes that. apt-get reports its progress through a pipe that it inherits
 * (APT::Status-Fd), and its errors go to a file in memory: it cannot block on a second pipe, and a
 * full disk does not hide that it is full.
 */
static int download(const struct fetch *fetch, const char *release, const struct packages *packages,
		    const char *to, struct kt_err *reterr)
{
	KT_FREE char *status_option = NULL, *chdir_option = kt_format("--chdir=%s", to);
	KT_CLEANUP(apt_argv_deinit) struct apt_argv apt = { 0 };
	const char *args[16] = { "download", "-q", NULL }, *argv[160];
	struct kt_process_spec spec = { .argv = argv, .in = -1, .out = -1, .err = -1 };
	struct download watched = { .fetch = fetch, .release = release };
	KT_CLOSE int pidfd = -1, errors = -1;
	char said[1024] = "";
	int ends[2], status, r;
	size_t n = 2;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	status_option = kt_format("-oAPT::Status-Fd=%d", ends[1]);
	errors = memfd_create("ktest-apt", MFD_CLOEXEC);
	if (!status_option || !chdir_option)
		r = kt_err_oom(reterr);
	else
		r = errors < 0 ? kt_err_set(reterr, -errno, "memfd_create: %m") : 0;
	args[n++] = status_option;
	for (size_t i = 0; i < packages->n; i++)
		args[n++] = packages->names[i];
	if (r == 0)
		r = apt_argv_init(&apt, fetch, fetch->apt_get, args);
	if (r == 0) {
		n = 0;
		argv[n++] = "/usr/bin/env";
		argv[n++] = chdir_option;
		for (const char **at = apt.argv; *at; at++)
			argv[n++] = *at;
		argv[n] = NULL;
		spec.err = errors;
		spec.keep = &ends[1];
		spec.n_keep = 1;
		r = kt_process_spawn(&spec, &pid, &pidfd, reterr);
	}
	(void)close(ends[1]);
	if (r < 0) {
		(void)close(ends[0]);
		return r;
	}
	r = await_download(&watched, ends[0], pid, pidfd, &status, reterr);
	(void)close(ends[0]);
	if (r < 0 || !status)
		return r;
	(void)pread(errors, said, sizeof(said) - 1, 0);
	for (size_t len = strlen(said); len && said[len - 1] == '\n'; len--)
		said[len - 1] = '\0';
	return kt_err_set(reterr, -EREMOTEIO, "downloading %s: apt-get failed: %.700s", release,
			  said);
}

static int is_deb(const struct dirent *ent)
{
	size_t len = strlen(ent->d_name);

	return len > 4 && !strcmp(ent->d_name + len - 4, ".deb");
}

static int unpack_one(const struct fetch *fetch, const char *debs, const char *name,
		      const char *root, struct kt_err *reterr)
{
	KT_FREE char *deb = kt_format("%s/%s", debs, name), *text = NULL;
	const char *argv[] = { fetch->dpkg_deb, "-x", deb, root, NULL };
	int r = deb ? kt_process_output(argv, kt_now_ns() + UNPACK_TIMEOUT_NS, &text, reterr)
		    : kt_err_oom(reterr);

	return r < 0 ? kt_err_prefix(reterr, r, "unpacking %s", name) : 0;
}

/* Unpacks every package of @debs below @root, without any of its scripts. */
static int unpack(const struct fetch *fetch, const char *debs, const char *root,
		  struct kt_err *reterr)
{
	struct dirent **found;
	int n = scandir(debs, &found, is_deb, alphasort), r = 0;

	if (n < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", debs);
	if (!n)
		r = kt_err_set(reterr, -ENOENT, "apt-get downloaded nothing");
	for (int i = 0; i < n; i++) {
		r = r ?: unpack_one(fetch, debs, found[i]->d_name, root, reterr);
		free(found[i]);
	}
	free(found);
	return r;
}

/*
 * Moves the first path of @from (NULL-terminated, relative to @root) that exists to @stage/@to.
 * Returns 0; -ENOENT, without a text in @reterr, when none exists; or another negative errno.
 */
static int take(const char *root, const char *const *from, const char *stage, const char *to,
		struct kt_err *reterr)
{
	KT_FREE char *target = kt_format("%s/%s", stage, to);

	for (; *from; from++) {
		KT_FREE char *source = kt_format("%s/%s", root, *from);

		if (!source || !target)
			return kt_err_oom(reterr);
		if (rename(source, target) == 0)
			return 0;
		if (errno != ENOENT)
			return kt_err_set(reterr, -errno, "cannot move '%s' to '%s': %m", source,
					  target);
	}
	return -ENOENT;
}

/* As take(), for what some kernels do not have. */
static int take_optional(const char *root, const char *const *from, const char *stage,
			 const char *to, struct kt_err *reterr)
{
	int r = take(root, from, stage, to, reterr);

	return r == -ENOENT ? 0 : r;
}

/*
 * Takes from the unpacked packages what a kernel in the cache consists of. Files moved between
 * directories as Debian split its packages, so each has several possible places.
 */
static int collect(const char *root, const char *release, const char *stage, struct kt_err *reterr)
{
	KT_FREE char *boot = kt_format("boot/vmlinuz-%s", release);
	KT_FREE char *image = kt_format("usr/lib/modules/%s/vmlinuz", release);
	KT_FREE char *boot_config = kt_format("boot/config-%s", release);
	KT_FREE char *config = kt_format("usr/lib/modules/%s/config", release);
	KT_FREE char *modules = kt_format("usr/lib/modules/%s", release);
	KT_FREE char *old_modules = kt_format("lib/modules/%s", release);

	int r;

	if (!boot || !image || !boot_config || !config || !modules || !old_modules)
		return kt_err_oom(reterr);
	r = take(root, (const char *[]){ boot, image, NULL }, stage, "vmlinuz", reterr);
	if (r == -ENOENT)
		return kt_err_set(reterr, r, "the packages of %s hold no vmlinuz", release);
	return r ?: take_optional(root, (const char *[]){ boot_config, config, NULL }, stage,
				  "config", reterr)
		       ?: take_optional(root, (const char *[]){ modules, old_modules, NULL },
					stage, "modules", reterr);
}

/* Programs do not tell why they fail, other than to people: an error on a full disk is ENOSPC. */
static int blame_disk(const char *dir, int r, struct kt_err *reterr)
{
	struct statvfs disk;

	if (r >= 0 || r == -ENOSPC || statvfs(dir, &disk) < 0 ||
	    (uint64_t)disk.f_bavail * disk.f_frsize >= FULL_BYTES)
		return r;
	return kt_err_prefix(reterr, -ENOSPC, "'%s' is full", dir);
}

/*
 * Downloads, unpacks and prepares @release in @stage. Packages and unpacked files are removed
 * again.
 */
static int build(const struct fetch *fetch, const char *release, const char *stage,
		 struct kt_kernel_facts *facts, struct kt_err *reterr)
{
	KT_CLEANUP(packages_deinit) struct packages packages = { .n = 0 };
	KT_FREE char *debs = kt_format("%s/debs", stage), *root = kt_format("%s/root", stage);
	int r;

	if (!debs || !root)
		return kt_err_oom(reterr);
	r = kt_mkdir_all(debs, reterr) ?:
	    list_packages(fetch, release, &packages, reterr) ?:
	    download(fetch, release, &packages, debs, reterr);
	if (r < 0)
		return blame_disk(stage, r, reterr);
	tell(fetch, -1, "unpacking %s", release);
	r = unpack(fetch, debs, root, reterr) ?: collect(root, release, stage, reterr);
	r = blame_disk(stage, r, reterr);
	(void)kt_remove_all(debs);
	(void)kt_remove_all(root);
	if (r < 0)
		return r;
	r = kt_kernel_prepare(stage, facts, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "kernel %s", release) : 0;
}

static char *judgement_path(const struct fetch *fetch, const char *release)
{
	return kt_format("%s/inconsistent-%s", fetch->apt, release);
}

/* Whether an earlier fetch has found the BTF of @release inconsistent. */
static bool is_rejected(const struct fetch *fetch, const char *release)
{
	KT_FREE char *path = judgement_path(fetch, release);

	return path && kt_file_readable(path);
}

/*
 * Warns about the inconsistent BTF. A kernel that the user asked for is kept, so all functions are
 * named that schedulers must not call; one that is passed over needs no list.
 */
static void warn_broken(const struct fetch *fetch, const char *release, bool passed_over,
			const struct kt_kernel_facts *facts)
{
	char *names = NULL;
	size_t len;
	FILE *out;

	if (passed_over) {
		tell(fetch, -1,
		     "%s is skipped: its BTF is inconsistent for %zu sched_ext kfuncs (%s, "
		     "...)",
		     release, facts->n_broken_kfuncs, facts->broken_kfuncs[0]);
		return;
	}
	out = open_memstream(&names, &len);
	for (size_t i = 0; out && i < facts->n_broken_kfuncs; i++)
		(void)fprintf(out, "%s%s", i ? ", " : "", facts->broken_kfuncs[i]);
	if (!out || fclose(out))
		return;
	tell(fetch, -1,
	     "warning: the BTF of %s is inconsistent for %zu sched_ext kfuncs; a scheduler that "
	     "calls "
	     "one of them cannot be loaded: %s",
	     release, facts->n_broken_kfuncs, names);
	free(names);
}

/*
 * Returns 1 when @release is in the cache now, 0 when it was left out because its BTF is
 * inconsistent and @only_consistent is set, or a negative errno.
 */
static int fetch_release(const struct fetch *fetch, const char *release, bool only_consistent,
			 struct kt_err *reterr)
{
	struct kt_kernel_facts facts = KT_KERNEL_FACTS_NULL;
	KT_FREE char *dir = kt_format("%s/%s", fetch->kernels, release), *stage = NULL;
	int r;

	if (!dir)
		return kt_err_oom(reterr);
	r = kt_cache_stage(dir, &stage, reterr);
	if (r < 0)
		return r;
	r = build(fetch, release, stage, &facts, reterr);
	if (r == 0 && facts.n_broken_kfuncs) {
		KT_FREE char *judgement = judgement_path(fetch, release);

		warn_broken(fetch, release, only_consistent, &facts);
		if (judgement)
			(void)kt_file_publish(judgement, "", 0, NULL);
	}
	if (r == 0 && (!only_consistent || !facts.n_broken_kfuncs))
		r = kt_cache_publish(stage, dir, reterr) ?: 1;
	if (r <= 0)
		(void)kt_remove_all(stage);
	kt_kernel_facts_deinit(&facts);
	return r;
}

/* meta.json is the last file of a kernel to be written. */
static bool is_cached(const struct fetch *fetch, const char *release)
{
	KT_FREE char *meta = kt_format("%s/%s/meta.json", fetch->kernels, release);

	return meta && kt_file_readable(meta);
}

static int keep_release(const char *release, char **ret_release, struct kt_err *reterr)
{
	*ret_release = strdup(release);
	return *ret_release ? 0 : kt_err_oom(reterr);
}

static int fetch_version(const struct fetch *fetch, const struct kt_releases *releases,
			 char **ret_release, struct kt_err *reterr)
{
	const char *wanted = fetch->options->version;

	for (size_t i = 0; i < releases->n; i++) {
		int r;

		if (!kt_kernel_version_matches(releases->at[i], wanted))
			continue;
		r = is_cached(fetch, releases->at[i])
			    ? 1
			    : fetch_release(fetch, releases->at[i], false, reterr);
		return r < 0 ? r : keep_release(releases->at[i], ret_release, reterr);
	}
	return kt_err_set(reterr, -ENOENT, "the archive has no kernel %s; its newest is %s", wanted,
			  releases->at[0]);
}

/* Whether both releases are of one series: "7.0" is that of "7.0.13+deb13-cloud-amd64". */
static bool same_series(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	len += a[len] ? 1 + strcspn(a + len + 1, ".+-") : 0;
	return !strncmp(a, b, len) && !strchr("0123456789", b[len]);
}

/*
 * Tries the newest release of each series, from the newest series down. The releases of one series
 * are built by the same toolchain, and all that were examined had the same verdict, so the older
 * ones are not tried.
 */
static int fetch_default(const struct fetch *fetch, const struct kt_releases *releases,
			 char **ret_release, struct kt_err *reterr)
{
	const char *series = NULL;

	for (size_t i = 0; i < releases->n; i++) {
		const char *release = releases->at[i];
		int r;

		if (series && same_series(series, release))
			continue;
		series = release;
		if (is_rejected(fetch, release))
			continue;
		r = is_cached(fetch, release) ? 1 : fetch_release(fetch, release, true, reterr);
		if (r < 0)
			return r;
		if (r > 0)
			return keep_release(release, ret_release, reterr);
	}
	return kt_err_set(
		reterr, -ENOENT,
		"no kernel of the archive has consistent BTF for sched_ext; name one to fetch "
		"it anyway");
}

static void tell_waiting(void *data)
{
	tell(data, -1, "waiting for another fetch to end");
}

static int fetch_init(struct fetch *fetch, struct kt_err *reterr)
{
	return find_program("apt-get", &fetch->apt_get, reterr) ?:
	       find_program("apt-cache", &fetch->apt_cache, reterr) ?:
	       find_program("dpkg-deb", &fetch->dpkg_deb, reterr) ?:
	       kt_cache_path("apt", &fetch->apt, reterr) ?:
	       kt_cache_path("kernels", &fetch->kernels, reterr);
}

/* A tree that was pruned while this process waited for the lock is made again. */
static int use_tree(struct fetch *fetch, struct kt_err *reterr)
{
	int r = kt_mkdir_all(fetch->apt, reterr);

	if (r == 0)
		kt_cache_use(fetch->apt, &fetch->use_fd);
	return r;
}

int kt_kernel_fetch(const struct kt_kernel_fetch_options *options, char **ret_release,
		    struct kt_err *reterr)
{
	KT_CLEANUP(fetch_deinit) struct fetch fetch = { .options = options, .use_fd = -1 };
	KT_CLEANUP(kt_releases_deinit) struct kt_releases releases = KT_RELEASES_NULL;
	KT_CLOSE int lock = -1;
	int r;

	r = fetch_init(&fetch, reterr) ?:
	    kt_cache_lock("kernels", tell_waiting, &fetch, &lock, reterr) ?:
	    use_tree(&fetch, reterr) ?:
	    make_tree(&fetch, reterr) ?:
	    update(&fetch, reterr) ?:
	    list_releases(&fetch, &releases, reterr);
	if (r < 0)
		return r;
	return options->version ? fetch_version(&fetch, &releases, ret_release, reterr)
				: fetch_default(&fetch, &releases, ret_release, reterr);
}
