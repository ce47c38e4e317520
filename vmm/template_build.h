/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The making of a template: a machine is booted, or restored from an older template and given newer
 * files, and then saved.
 */

#include "vmm/template.h"

struct kt_template_build {
	struct kt_template_id id;         /* of the template to be made */
	struct kt_machine_config machine; /* its ram_fd is not used */
	json_t *files;                    /* manifest to be recorded; borrowed */
	uint64_t boot_timeout_ns;         /* from the start to HELO; without @base only */
	/* A template of the same machine to begin with; NULL: boot. */
	const struct kt_template *base;
	/* What the files may need beyond the time for a restore, and for settling. */
	uint64_t update_timeout_ns;
	/*
	 * Queues FILE frames for what the guest lacks: before EXEC in a guest restored from @base,
	 * after HELO in one that was booted. 0 or a negative errno, which ends the making.
	 */
	int (*update)(void *data, struct kt_link *link, struct kt_err *reterr);
	/*
	 * Called with HELO: 0 if this is the guest that was wanted; a negative errno ends the
	 * making.
	 */
	int (*accept)(void *data, const struct kt_hello *hello, struct kt_err *reterr);
	/* Called with what the kernel prints on the console. */
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	void *data; /* for the three functions; borrowed */
};

/*
 * Makes the template and publishes it. Runs an event loop until that is done, so the caller should
 * be a process of its own; the caller holds the lock of the template's name. Returns 0 or a
 * negative errno with an error that says in which stage the making failed; nothing is left on disk
 * then. -ECHILD when the virtual machine monitor was killed, which tells nothing about the guest.
 */
int kt_template_build(const struct kt_template_build *build, struct kt_err *reterr);
