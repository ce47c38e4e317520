/* SPDX-License-Identifier: MIT */
#include "guest/test/child.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "util/cleanup.h"

#define SLOTS    32u
#define TEXT_LEN 500u

struct slot {
	_Atomic uint32_t complete;
	uint32_t line;
	int32_t step;
	uint64_t elapsed_ns;
	char file[TEXT_LEN], what[TEXT_LEN], expected[TEXT_LEN], got[TEXT_LEN];
};

/*
 * Any number of processes claim slots at once; a slot counts when it is complete, so that a child
 * that is killed while it writes leaves nothing half-written behind. The parent takes each slot
 * once.
 */
struct kt_child_log {
	_Atomic uint32_t n_claimed;
	uint32_t n_lost_taken; /* by the parent */
	struct slot slots[SLOTS];
};

struct kt_child_log *kt_child_log_new(void)
{
	void *log = mmap(NULL, sizeof(struct kt_child_log), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return log == MAP_FAILED ? NULL : log;
}

struct kt_child_log *kt_child_log_free(struct kt_child_log *log)
{
	if (log)
		(void)munmap(log, sizeof(*log));
	return NULL;
}

static void copy(char to[TEXT_LEN], const char *text)
{
	(void)snprintf(to, TEXT_LEN, "%s", text ?: "");
}

void kt_child_log_add(struct kt_child_log *log, const struct kt_failure *failure)
{
	uint32_t i = log ? atomic_fetch_add(&log->n_claimed, 1) : SLOTS;
	struct slot *slot;

	if (i >= SLOTS)
		return;
	slot = &log->slots[i];
	slot->line = failure->line;
	slot->step = failure->step;
	slot->elapsed_ns = failure->elapsed_ns;
	copy(slot->file, failure->file);
	copy(slot->what, failure->what);
	copy(slot->expected, failure->expected);
	copy(slot->got, failure->got);
	atomic_store(&slot->complete, 1);
}

static void take_slot(struct slot *slot, struct kt_result *result)
{
	const struct kt_failure failure = {
		.file = *slot->file ? slot->file : NULL,
		.line = slot->line,
		.what = slot->what,
		.expected = *slot->expected ? slot->expected : NULL,
		.got = *slot->got ? slot->got : NULL,
		.step = slot->step,
		.elapsed_ns = slot->elapsed_ns,
	};

	if (atomic_exchange(&slot->complete, 0))
		(void)kt_result_add_failure(result, &failure);
}

void kt_child_log_take(struct kt_child_log *log, struct kt_result *result)
{
	uint32_t n = log ? atomic_load(&log->n_claimed) : 0;

	for (uint32_t i = 0; i < KT_MIN(n, SLOTS); i++)
		take_slot(&log->slots[i], result);
	if (n > SLOTS + (log ? log->n_lost_taken : 0)) {
		result->n_failures_lost += n - SLOTS - log->n_lost_taken;
		log->n_lost_taken = n - SLOTS;
	}
}
