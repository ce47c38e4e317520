/* SPDX-License-Identifier: MIT */
#pragma once
/* HELO: the guest is up, what it is and what it sees. */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_BUILD_ID_MAX 20u /* bytes of an ELF build-id (SHA-1) */

struct kt_hello {
	uint32_t version;          /* KT_WIRE_VERSION of the guest's ELF */
	char build_id[41];         /* of the guest's ELF, hexadecimal */
	char release[65];          /* uname -r */
	uint64_t boot_ns;          /* CLOCK_BOOTTIME when PID 1 was ready */
	uint32_t cpus;             /* online */
	uint32_t numa_nodes;       /* online */
	uint32_t llcs;             /* distinct last-level caches */
	uint32_t cores;            /* per LLC; 0 when the LLCs differ */
	uint32_t threads;          /* per core; 0 when the cores differ */
	uint64_t phys_base;        /* physical address of the kernel image minus its link address */
	uint64_t page_offset_base; /* where the direct map begins */
	uint64_t text;         /* run-time address of _text; 0, as of the next, when not known */
	uint64_t die;          /* of die() */
	uint64_t kprobe_table; /* of the table of that name */
};

/* A JSON object; the result is to be freed. NULL when out of memory. */
char *kt_hello_encode(const struct kt_hello *hello);

/* -EBADMSG for anything but a well-formed hello; unknown members are ignored. */
int kt_hello_decode(const void *data, size_t len, struct kt_hello *ret_hello,
		    struct kt_err *reterr);
