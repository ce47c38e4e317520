/* SPDX-License-Identifier: MIT */
#pragma once
/* Making templates: a machine is booted (or a template restored and given newer files) and saved.
 */

#include "vmm/template.h"

struct kt_template_build {
	struct kt_template_id id;
	struct kt_machine_config machine; /* without ram_fd */
	json_t *files;                    /* to be recorded; borrowed */
	uint64_t boot_timeout_ns;
	/*
	 * A template of the same machine to begin with instead of booting; NULL to boot. @update
	 * sends the files that differ from what the guest has then, within @update_timeout_ns;
	 * behind it EXEC is sent to a guest that was not booted.
	 */
	const struct kt_template *base;
	uint64_t update_timeout_ns;
	int (*update)(void *data, struct kt_link *link, struct kt_err *reterr);
	/* Whether the guest is what was wanted; its error ends the building. */
	int (*accept)(void *data, const struct kt_hello *hello, struct kt_err *reterr);
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	void *data;
};

/*
 * Builds and publishes. The caller holds the lock of the template. Runs its own event loop, so that
 * it belongs in a process of its own.
 */
int kt_template_build(const struct kt_template_build *build, struct kt_err *reterr);
