/* SPDX-License-Identifier: MIT */
/*
 * All walks over a kernel in which the guest has changed numbers: tasks, run queues, sched_ext,
 * maps and programs. The input is changes of ten bytes, {which word, its value}. What is 0x40 or
 * less in the uppermost byte of a value makes it a pointer.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/walk_kernel.h"
#include "util/clock.h"
#include "vmm/inspect/walk.h"

#define CHANGES_MAX 32u
#define CHANGE_LEN  10u
#define TOP_MAX     0x40u
#define HEAP        0x200000u
#define TIME_MAX    (UINT64_C(20) * KT_NSEC_PER_SEC)

static struct walk_kernel kernel;
static uint8_t *clean; /* the RAM as it was */

static void apply(const uint8_t *data)
{
	uint64_t len = kernel.tiny.heap_end - HEAP, at, value;
	uint16_t which;

	memcpy(&which, data, 2);
	memcpy(&value, data + 2, 8);
	at = HEAP + which % (len / 8) * 8;
	if (value >> 56 && value >> 56 <= TOP_MAX)
		value = kernel.tiny.page_offset + HEAP + (value & 0xffffffff) % len;
	memcpy(kernel.tiny.bytes + at, &value, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_walk_limits limits = KT_WALK_LIMITS_DEFAULT;
	uint64_t start = kt_now_ns();
	json_t *json = NULL;

	if (!clean) {
		walk_kernel_init(&kernel);
		clean = malloc(TINY_RAM_LEN);
		KT_FUZZ_ASSERT(clean);
		memcpy(clean, kernel.tiny.bytes, TINY_RAM_LEN);
	}
	for (size_t i = 0; i < CHANGES_MAX && (i + 1) * CHANGE_LEN <= size; i++)
		apply(data + i * CHANGE_LEN);
	limits.cpu_ns = KT_NSEC_PER_SEC / 10;
	kt_inspect_refresh(kernel.inspect);
	KT_FUZZ_ASSERT(kt_inspect_render_all(kernel.inspect, &limits, &json, NULL) == 0);
	KT_FUZZ_ASSERT(json_object_size(json) == 6);
	KT_FUZZ_ASSERT(kt_now_ns() - start < TIME_MAX);
	json_decref(json);
	memcpy(kernel.tiny.bytes + HEAP, clean + HEAP, kernel.tiny.heap_end - HEAP);
	return 0;
}
