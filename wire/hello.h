/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HELO, with which a guest reports that it is up: which program it runs and which machine its
 * kernel sees. The guest sends it after it has booted and again after each EXEC. The host compares
 * it with the machine that the test asks for.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_BUILD_ID_MAX 20u /* bytes of an ELF build-id (SHA-1) */
#define KT_HELLO_LLCS   16u /* LLCs that differ; of more, only the first are told */

struct kt_hello {
	uint32_t version;          /* KT_WIRE_VERSION of the program that the guest runs */
	char build_id[41];         /* of that program, hexadecimal; 2 * KT_BUILD_ID_MAX digits */
	char release[65];          /* of the kernel: uname -r */
	uint64_t boot_ns;          /* CLOCK_BOOTTIME when PID 1 was ready */
	uint32_t cpus;             /* online */
	uint32_t numa_nodes;       /* online, with CPUs */
	uint32_t memory_nodes;     /* online, without CPUs */
	uint32_t llcs;             /* distinct last-level caches */
	uint32_t cores;            /* per LLC; 0: the LLCs differ */
	uint32_t threads;          /* per core; 0: the cores differ */
	/* The cores of each LLC, in the order of their first CPUs; all 0 if they do not differ. */
	uint32_t llc_cores[KT_HELLO_LLCS];
	uint64_t phys_base;        /* physical address of the kernel image minus its link address */
	uint64_t page_offset_base; /* virtual address at which the direct map begins */
	/* Run-time addresses of kernel symbols; 0: not known. */
	uint64_t text;         /* _text */
	uint64_t die;          /* die() */
	uint64_t kprobe_table; /* kprobe_table */
};

/* The payload of HELO: a JSON object as text, to be freed. NULL when out of memory. */
char *kt_hello_encode(const struct kt_hello *hello);

/*
 * Reads the payload of HELO. -EBADMSG when it is not a JSON object or lacks a member; members that
 * are not known are ignored. If the version is not KT_WIRE_VERSION, only @version is filled in and
 * the rest of *@ret_hello is 0: another version may have other members.
 */
int kt_hello_decode(const void *data, size_t len, struct kt_hello *ret_hello,
		    struct kt_err *reterr);
