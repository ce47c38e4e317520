/* SPDX-License-Identifier: MIT */
#include "framework/run/template.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "framework/outcome/advice.h"
#include "framework/outcome/outcome.h"
#include "framework/run/origin.h"
#include "framework/session/session.h"
#include "framework/setup/devices.h"
#include "framework/setup/limits.h"
#include "guest/test/test.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/confine.h"
#include "util/io.h"
#include "vmm/template_build.h"
#include "wire/json.h"

#define DISK_SLACK_MIB 64u /* room on the disk beyond the guest's RAM */

/*
 * One process makes one template. Meanwhile it holds the lock of the template's name, so that only
 * one run makes it; other runs wait for the lock and then use the template.
 * vmm/template_build.h drives the machine; this file decides what the template is made from and
 * whether the guest is right.
 *
 * The runner must learn whether the guest or the cache is to blame for a failure: tests on a guest
 * that does not start cannot run, but tests without a cache can boot.
 */
struct builder {
	const struct kt_template_job *job;
	const json_t *files; /* manifest of what the guest has before @update; borrowed */
	bool blame_cache;    /* a failure now is not the guest's fault: tests may still boot */
};

static int on_accept(void *data, const struct kt_hello *hello, struct kt_err *reterr)
{
	struct builder *builder = data;
	int r = kt_setup_check_guest(builder->job->kernel, builder->job->test, hello, reterr);

	builder->blame_cache = r == 0;
	return r;
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct builder *builder = data;

	(void)kt_capture_append(&builder->job->outcome->console, bytes, len);
}

/*
 * The RAM file is sparse. QEMU is killed (SIGBUS) when the guest writes a page that the disk cannot
 * hold.
 */
static int check_disk(const struct kt_template_job *job, struct kt_err *reterr)
{
	uint64_t want = (uint64_t)(kt_test_memory_mib(job->test) + DISK_SLACK_MIB) << 20;
	struct statvfs disk;

	if (statvfs(job->id.dir, &disk) < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", job->id.dir);
	if ((uint64_t)disk.f_bavail * disk.f_frsize < want)
		return kt_err_set(
			reterr, -ENOSPC, "'%s' has %llu MiB free, a template may need %llu: %m",
			job->id.dir,
			(unsigned long long)((uint64_t)disk.f_bavail * disk.f_frsize >> 20),
			(unsigned long long)(want >> 20));
	return 0;
}

static int on_update(void *data, struct kt_link *link, struct kt_err *reterr)
{
	const struct builder *builder = data;

	return kt_image_send_changes(builder->job->setup->image, builder->job->packages,
				     builder->files, link, reterr);
}

static int build(struct builder *builder, const struct kt_template *base, struct kt_err *reterr)
{
	const struct kt_template_job *job = builder->job;
	const struct kt_image *image = job->setup->image;
	KT_JSON json_t *before =
		base ? json_incref(base->files) : kt_image_manifest(image, KT_PACKAGES_NONE, NULL);
	/* Files of the base that this job does not need stay: the next selection may need them. */
	KT_JSON json_t *manifest = kt_image_manifest(image, job->packages, before);
	struct kt_template_build spec = {
		.id = job->id,
		.machine = kt_setup_machine(job->setup, job->kernel, job->test),
		.files = manifest,
		.boot_timeout_ns = kt_setup_boot_limit_ns(job->setup, job->test),
		.base = base,
		.update_timeout_ns = kt_setup_send_limit_ns(job->setup, job->packages),
		.update = on_update,
		.accept = on_accept,
		.console = on_console,
		.data = builder,
	};
	KT_CLOSE int initramfs_fd = -1;
	int r;

	if (!before || !manifest)
		return kt_err_oom(reterr);
	builder->files = before;
	r = kt_devices_add(job->kernel, &spec.machine, &initramfs_fd, reterr)
		    ?: check_disk(job, reterr);
	if (r < 0) {
		builder->blame_cache = true; /* the disk has no room */
		return r;
	}
	r = kt_template_build(&spec, reterr);
	builder->blame_cache |= r == -ECHILD; /* QEMU was killed from outside */
	if (r == -ETIMEDOUT && !builder->blame_cache && !base)
		return kt_err_set(reterr, r,
				  "boot timeout: the guest has not reported within %.3g s "
				  "(--boot-timeout)",
				  (double)spec.boot_timeout_ns / KT_NSEC_PER_SEC);
	if (r == 0) {
		kt_template_prune(job->id.dir, job->setup->options->template_cache_bytes);
		/*
		 * The build has removed earlier stages of this template only. This removes those of
		 * all other templates.
		 */
		(void)kt_cache_sweep("templates", "template-", true, NULL);
	}
	return r;
}

/*
 * A renewed template keeps the files that earlier selections of tests needed. Returns true when
 * they have filled the guest's RAM too far: the template is then made from a boot, without them.
 */
static bool is_cluttered(const struct kt_template_job *job, const struct kt_template *base)
{
	KT_JSON json_t *own = kt_image_manifest(job->setup->image, job->packages, NULL);
	KT_JSON json_t *all = kt_image_manifest(job->setup->image, job->packages, base->files);

	return json_object_size(all) > json_object_size(own) &&
	       base->ram_used > kt_test_files_max(job->test);
}

/*
 * Finds the template to renew; @base stays KT_TEMPLATE_NULL if there is none. Returns 1 when there
 * is nothing to do, because another process made the template while this one waited for the lock.
 */
static int find_base(const struct kt_template_job *job, struct kt_template *base,
		     struct kt_err *reterr)
{
	bool must_be_own = kt_origin_must_be_own(job->setup, job->test);
	int r = kt_template_find(&job->id, base, reterr);

	if (r > 0 &&
	    (must_be_own ? kt_origin_is_own(job->setup, job->packages, base)
			 : !kt_image_differs(job->setup->image, job->packages, base->files)))
		return 1;
	if (must_be_own) {
		kt_template_deinit(base);
		return r < 0 ? r : 0;
	}
	if (r == 0)
		r = kt_template_find_sibling(&job->id, base, reterr);
	if (r > 0 && is_cluttered(job, base))
		kt_template_deinit(base);
	return r < 0 ? r : 0;
}

static int run(struct builder *builder, struct kt_err *reterr)
{
	KT_CLEANUP(kt_template_deinit) struct kt_template base = KT_TEMPLATE_NULL;
	const struct kt_template_job *job = builder->job;
	KT_FREE char *path = kt_template_path(&job->id), *name = NULL;
	KT_CLOSE int lock = -1;
	int r;

	name = path ? kt_format("template-%s", strrchr(path, '/') + 1) : NULL;
	if (!name)
		return kt_err_oom(reterr);
	builder->blame_cache = true; /* until the guest is started */
	r = kt_cache_lock(name, NULL, NULL, &lock, reterr);
	if (r == 0)
		r = find_base(job, &base, reterr);
	if (r != 0)
		return r < 0 ? r : 0;
	builder->blame_cache = false;
	return build(builder, base.image.ram_fd < 0 ? NULL : &base, reterr);
}

/* The process writes templates and their locks, and nothing else. */
static int confine(struct builder *builder, struct kt_err *reterr)
{
	const struct kt_template_job *job = builder->job;
	const char *const readable[] = { ".", job->kernel->boot };
	KT_FREE char *locks = NULL;
	const char *writable[] = { job->id.dir, NULL, NULL };
	int kept_fds[KT_OUTCOME_FDS + 2];
	const struct kt_confine_needs needs = {
		.writable = writable,
		.n_writable = job->setup->host.accel == KT_ACCEL_KVM ? 3 : 2,
		.readable = readable,
		.n_readable = KT_ARRAY_LEN(readable),
		.writable_fd = -1,
		.kept_fds = kept_fds,
		.n_kept_fds = KT_ARRAY_LEN(kept_fds),
	};
	int r;

	kt_outcome_fds(job->outcome, kept_fds);
	kept_fds[KT_OUTCOME_FDS] = job->report_fd;
	kept_fds[KT_OUTCOME_FDS + 1] = job->setup->initramfs_fd;
	builder->blame_cache = true;
	r = kt_cache_path("locks", &locks, reterr);
	if (r < 0)
		return r;
	writable[1] = locks;
	writable[2] = "/dev/kvm";
	r = kt_confine(&job->setup->confinement, &needs, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "the process cannot be confined") : 0;
}

int kt_template_job_main(const struct kt_template_job *job)
{
	struct builder builder = { .job = job };
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;
	int r = confine(&builder, &err) ?: run(&builder, &err);

	if (r < 0) {
		(void)kt_advise(&err, kt_advise_cache(&err, r));
		kt_result_merge(&job->outcome->result, KT_VERDICT_ERROR, err.text);
	}
	text = kt_outcome_encode(job->outcome);
	if (text)
		kt_session_report(job->report_fd, KT_SESSION_OUTCOME, text);
	if (r == 0)
		return KT_TEMPLATE_JOB_DONE;
	return builder.blame_cache ? KT_TEMPLATE_JOB_NO_CACHE : KT_TEMPLATE_JOB_NO_GUEST;
}
