/* SPDX-License-Identifier: MIT */
#include "framework/cli/open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "framework/cli/exit_status.h"
#include "framework/cli/inspect.h"
#include "framework/cli/revive.h"
#include "util/build_id.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/capsule/base.h"
#include "vmm/capsule/capsule.h"
#include "vmm/inspect/core.h"
#include "vmm/template.h"

/*
 * Values and cores need the RAM alone, which is put together here: no machine is started, so that a
 * capsule from elsewhere can be looked into without QEMU, and without trust in what its state of
 * devices would do to QEMU. framework/cli/revive.c continues the machine.
 */

struct opened {
	struct kt_capsule *capsule;
	int ram_fd; /* a memfd with all RAM; -1 until load_ram() */
};

static void opened_deinit(struct opened *opened)
{
	opened->ram_fd = kt_close(opened->ram_fd);
	opened->capsule = kt_capsule_close(opened->capsule);
}

static int fail(const struct kt_err *err)
{
	(void)fprintf(stderr, "ktests: %s\n", err->text);
	return KT_EXIT_STATUS_HARNESS;
}

/* No boot makes the same RAM again; but a seed makes the same failure. */
static int miss_template(const struct kt_capsule_info *info, const char *program,
			 struct kt_err *reterr)
{
	return kt_err_set(reterr, -ENOENT,
			  "the capsule leaves out the pages of template %016" PRIx64
			  ", which is no longer in the cache, or is in that of another host. A run "
			  "of the test makes a new capsule: %s --exact -t %s --seed %" PRIu64
			  " --capsule on-fail (kernel %s); with --capsule-dir it needs no template",
			  info->template_ram, program, info->test, info->seed,
			  info->kernel_release);
}

static int find_template(const struct kt_capsule_info *info, const char *program,
			 struct kt_template *template, struct kt_err *reterr)
{
	struct kt_template_id id = {
		.machine = info->template_machine,
		.program = info->template_program,
	};
	KT_FREE char *dir = NULL;
	int r = kt_cache_path("templates", &dir, reterr);

	if (r < 0)
		return r;
	id.dir = dir;
	r = kt_template_find_ram(&id, info->template_ram, template, NULL);
	return r > 0 ? 0 : miss_template(info, program, reterr);
}

/* Beside the capsule, in the directory of all capsules, or as a template that is still there. */
static int find_base(const struct kt_capsule_info *info, const char *capsule, const char *program,
		     int *ret_fd, struct kt_err *reterr)
{
	KT_CLEANUP(kt_template_deinit) struct kt_template template = KT_TEMPLATE_NULL;
	const char *slash = strrchr(capsule, '/');
	KT_FREE char *beside = slash ? strndup(capsule, (size_t)(slash - capsule)) : strdup(".");
	KT_FREE char *all = NULL;
	int r = 0;

	*ret_fd = beside ? kt_capsule_open_base(beside, info->template_ram) : -1;
	if (*ret_fd < 0 && kt_cache_path("capsules", &all, NULL) == 0)
		*ret_fd = kt_capsule_open_base(all, info->template_ram);
	if (*ret_fd >= 0)
		return 0;
	r = find_template(info, program, &template, reterr);
	*ret_fd = r < 0 ? -1 : kt_steal_fd(template.image.ram_fd);
	return r;
}

static int load_ram(struct opened *opened, const char *path, const char *program,
		    struct kt_err *reterr)
{
	const struct kt_capsule_info *info = kt_capsule_info(opened->capsule);
	KT_CLOSE int base_fd = -1;
	int r = 0;

	opened->ram_fd = memfd_create("ktest-capsule", MFD_CLOEXEC);
	if (opened->ram_fd < 0)
		return kt_err_set(reterr, -errno, "memory for the RAM of a capsule: %m");
	if (info->template_machine)
		r = find_base(info, path, program, &base_fd, reterr);
	return r ?: kt_capsule_read_ram(opened->capsule, base_fd, opened->ram_fd, reterr);
}

/* ---- what it says of itself ---- */

static const char *when(uint64_t ns, char *text, size_t room)
{
	time_t seconds = (time_t)(ns / KT_NSEC_PER_SEC);
	struct tm tm;

	*text = '\0';
	if (localtime_r(&seconds, &tm))
		(void)strftime(text, room, "%F %T", &tm);
	return text;
}

static void show_machine(const struct kt_capsule_info *info)
{
	KT_FREE char *topology = kt_machine_topology_text(&info->topology);

	(void)printf("kernel   %s, build-id %s\n", info->kernel_release, info->kernel_build_id);
	(void)printf("machine  %u CPUs (%s), %u MiB, %s, %s time, QEMU %u.%u\n",
		     kt_machine_n_vcpus(&info->topology), topology ?: "?", info->memory_mib,
		     kt_accel_name(info->accel), kt_time_name(info->time), info->vmm_major,
		     info->vmm_minor);
}

static void show(const struct kt_capsule *capsule)
{
	const struct kt_capsule_info *info = kt_capsule_info(capsule);
	char text[64];

	(void)printf("test     %s, attempt %u, seed %" PRIu64 "\n", info->test, info->attempt,
		     info->seed);
	(void)printf("verdict  %s%s%s\n", info->verdict, *info->reason ? ": " : "", info->reason);
	(void)printf("moment   %s; saved %s\n", info->moment,
		     when(info->saved_ns, text, sizeof(text)));
	show_machine(info);
	(void)printf("program  build-id %s (%s)\n", *info->runner ? info->runner : "unknown",
		     strcmp(info->runner, kt_build_id()) ? "another build" : "this one");
	(void)printf("pages    %" PRIu64 " in %" PRIu64 " KiB, ", kt_capsule_n_pages(capsule),
		     (kt_capsule_file_len(capsule) + 1023) >> 10);
	if (info->template_machine)
		(void)printf("beside those of template %016" PRIx64 "\n", info->template_ram);
	else
		(void)printf("all that are not zero\n");
}

/* ---- looking into it ---- */

static int open_inspect(struct opened *opened, struct kt_ram **ret_ram,
			struct kt_inspect **ret_inspect, struct kt_err *reterr)
{
	KT_FREE char *cache = NULL;
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", opened->ram_fd);
	r = kt_ram_open_file(path, false, ret_ram, reterr);
	if (r < 0)
		return r;
	/* Without a cache it only takes longer. */
	(void)kt_cache_path("inspect", &cache, NULL);
	r = kt_inspect_open(*ret_ram, cache, ret_inspect, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "the kernel in the capsule") : 0;
}

/* The core is renamed when it is complete: a reader sees all of it or nothing. */
static int write_core(struct opened *opened, struct kt_ram *ram, struct kt_inspect *inspect,
		      const char *path, struct kt_err *reterr)
{
	const struct kt_capsule_info *info = kt_capsule_info(opened->capsule);
	KT_FREE struct kt_registers *vcpus = NULL;
	KT_FREE char *stage = kt_format("%s.XXXXXX", path);
	KT_CLOSE int fd = stage ? mkostemp(stage, O_CLOEXEC) : -1;
	int r;

	if (!stage)
		return kt_err_oom(reterr);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	r = fchmod(fd, 0644) < 0 ? kt_err_set(reterr, -errno, "'%s': %m", path) : 0;
	r = r ?: kt_capsule_read_state(opened->capsule, -1, &vcpus, reterr)
		    ?: kt_core_write(ram, inspect, vcpus, kt_machine_n_vcpus(&info->topology), fd,
				     reterr);
	if (r == 0 && rename(stage, path) < 0)
		r = kt_err_set(reterr, -errno, "'%s': %m", path);
	if (r < 0)
		(void)unlink(stage);
	return r;
}

static int look(struct opened *opened, const struct kt_options *options)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram *ram = NULL;
	int r = open_inspect(opened, &ram, &inspect, &err);
	size_t n_failed = 0;

	if (r == 0 && options->vmcore)
		r = write_core(opened, ram, inspect, options->vmcore, &err);
	else if (r == 0)
		n_failed = kt_inspect_print(inspect, options);
	if (r < 0)
		(void)fail(&err);
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
	return r < 0 || n_failed ? KT_EXIT_STATUS_HARNESS : KT_EXIT_STATUS_OK;
}

/* ---- letting it live ---- */

static int revive(struct opened *opened, const struct kt_options *options)
{
	KT_CLOSE int state_fd = memfd_create("ktest-state", MFD_CLOEXEC);
	struct kt_machine_image image = {
		.ram_fd = opened->ram_fd,
		.state_fd = state_fd,
		.devices_only = true,
	};
	struct kt_err err = KT_ERR_NULL;
	int status = 0, r;

	r = state_fd < 0 ? kt_err_set(&err, -errno, "memory for the state of devices: %m")
			 : kt_capsule_read_state(opened->capsule, state_fd, NULL, &err);
	if (r == 0 && options->gdb)
		r = kt_revive_gdb(kt_capsule_info(opened->capsule), &image, options, &err);
	else if (r == 0)
		r = kt_revive_shell(kt_capsule_info(opened->capsule), &image, options, &status,
				    &err);
	return r < 0 ? fail(&err) : status;
}

int kt_open_command(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(opened_deinit) struct opened opened = { .ram_fd = -1 };
	bool looks = options->paths.n || options->vmcore;
	struct kt_err err = KT_ERR_NULL;

	if (kt_capsule_open(options->tests.at[0], &opened.capsule, &err) < 0)
		return fail(&err);
	if (!looks && !options->gdb && !options->shell) {
		show(opened.capsule);
		return KT_EXIT_STATUS_OK;
	}
	if (load_ram(&opened, options->tests.at[0], program, &err) < 0)
		return fail(&err);
	return looks ? look(&opened, options) : revive(&opened, options);
}
