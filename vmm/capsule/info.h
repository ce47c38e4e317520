/* SPDX-License-Identifier: MIT */
#pragma once
/* What a capsule says of itself: of the machine in it, and of the test that ran there. */

#include <jansson.h>

#include "vmm/link.h"
#include "vmm/machine.h"

/* Texts are borrowed, or belong to @json; none is NULL unless it says so. */
struct kt_capsule_info {
	json_t *json; /* of a decoded info: owns its texts; NULL otherwise */

	/* the machine */
	const char *kernel_release;
	const char *kernel_build_id;
	const char *vmlinux; /* path on the host that saved it */
	struct kt_machine_topology topology;
	unsigned int memory_mib;
	unsigned int disk_mib; /* as in struct kt_machine_config, and so is @net */
	bool net;
	enum kt_accel accel;
	enum kt_vmm vmm;
	enum kt_time time;
	unsigned int insn_shift;
	bool host_calls, conflicts, tcg_single_thread;
	const char *qemu;       /* path of the program */
	unsigned int vmm_major; /* its version: another one may not understand the state */
	unsigned int vmm_minor;

	/* the guest */
	const char *runner; /* build-id of the program that is PID 1 */
	unsigned int wire;  /* version of its protocol */
	struct kt_link_position position;
	const char *moment; /* what the guest did when it was saved, for people */
	bool listens;       /* PID 1 has sent its result and waits for the host */

	/* the test */
	const char *test;
	const char *verdict;
	const char *reason; /* of the verdict, or the first failure; "": none */
	uint64_t seed;
	unsigned int attempt;
	uint64_t saved_ns; /* CLOCK_REALTIME */

	/* The template whose pages are left out; NULL, NULL and 0 if the capsule needs none. */
	const char *template_machine; /* kt_template_machine_text() */
	const char *template_program;
	uint64_t template_ram; /* its ram_hash */
};

/* A text of JSON, to be freed; NULL when out of memory. */
char *kt_capsule_info_encode(const struct kt_capsule_info *info);

/* Reads that text. -EBADMSG with an error that names the member that is missing or impossible. */
int kt_capsule_info_decode(const void *data, size_t len, struct kt_capsule_info *ret_info,
			   struct kt_err *reterr);

/* Frees the texts of a decoded info. */
void kt_capsule_info_deinit(struct kt_capsule_info *info);
