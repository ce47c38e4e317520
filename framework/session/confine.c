/* SPDX-License-Identifier: MIT */
#include "framework/session/confine.h"

#include <string.h>

#include "framework/outcome/advice.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/confine.h"

/*
 * What a session writes: results, to the descriptors of its own attempt; what it learned about the
 * kernel, to the cache; a capsule, where options say. Of the descriptors that it has inherited it
 * keeps those of its attempt alone, and none of other attempts or of the reports of the run. A
 * template's RAM gets a second name beside a capsule. QEMU opens that RAM anew, by its descriptor,
 * and for writing.
 */

#define WRITABLE_MAX 3

/* Behind those of the outcome: pipes, the template, and what is booted without one. */
#define KEPT_MAX (KT_OUTCOME_FDS + 5)

static size_t kept(const struct kt_session_state *session, int fds[static KEPT_MAX])
{
	const struct kt_template *template = session->template;
	size_t n = KT_OUTCOME_FDS;

	kt_outcome_fds(session->outcome, fds);
	fds[n++] = session->report_fd;
	fds[n++] = session->go.fd;
	fds[n++] = template ? template->image.ram_fd : -1;
	fds[n++] = template ? template->image.state_fd : -1;
	fds[n++] = session->setup->initramfs_fd;
	return n;
}

int kt_session_confine(const struct kt_session_state *session, struct kt_err *reterr)
{
	const struct kt_options *options = session->setup->options;
	const char *const readable[] = { ".", session->outcome->kernel->boot };
	KT_FREE char *inspect = NULL, *capsules = NULL;
	const char *writable[WRITABLE_MAX];
	int kept_fds[KEPT_MAX];
	struct kt_confine_needs needs = {
		.keeps =
			session->outcome->test->post_vm ? KT_CONFINE_FILES | KT_CONFINE_NETWORK : 0,
		.writable = writable,
		.readable = readable,
		.n_readable = KT_ARRAY_LEN(readable),
		.writable_fd = session->template ? session->template->image.ram_fd : -1,
		.kept_fds = kept_fds,
		.n_kept_fds = kept(session, kept_fds),
	};
	int r;

	if (session->setup->host.accel == KT_ACCEL_KVM)
		writable[needs.n_writable++] = "/dev/kvm";
	/* Without a cache, nothing is written to it. */
	if (kt_cache_path("inspect", &inspect, NULL) == 0)
		writable[needs.n_writable++] = inspect;
	if (options->capsule != KT_CAPSULE_NEVER && options->capsule_dir)
		writable[needs.n_writable++] = options->capsule_dir;
	else if (options->capsule != KT_CAPSULE_NEVER &&
		 kt_cache_path("capsules", &capsules, NULL) == 0) {
		writable[needs.n_writable++] = capsules;
		needs.linked = session->setup->template_dir;
	}
	r = kt_confine(&session->setup->confinement, &needs, reterr);
	if (r < 0)
		(void)kt_err_prefix(reterr, r, "the session cannot be confined");
	return r < 0 ? kt_advise(reterr, r) : 0;
}
