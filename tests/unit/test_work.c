/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "guest/worktype.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(work);

static const struct kt_topology two_cpus = { .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1 };

Test(work, defaults_have_no_fault)
{
	static const enum kt_work_type types[] = {
		KT_BURSTY,
		KT_IDLE_CHURN,
		KT_TIMER_LATENCY,
		KT_PIPE_IO,
		KT_FUTEX_PING_PONG,
		KT_FUTEX_FAN_OUT,
		KT_FAN_OUT_COMPUTE,
		KT_THUNDERING_HERD,
		KT_WAKE_CHAIN,
		KT_ASYMMETRIC_WAKER,
		KT_EPOLL_STORM,
		KT_SIGNAL_STORM,
		KT_PRODUCER_CONSUMER,
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(types); i++) {
		const struct kt_work work = { .type = types[i] };

		cr_assert(eq(ptr, (void *)kt_work_fault(&work, &two_cpus), NULL), "type %d",
			  (int)types[i]);
	}
}

Test(work, how_many_belong_together)
{
	static const struct {
		struct kt_work work;
		unsigned int n;
	} cases[] = {
		{ { .type = KT_BURSTY }, 1 },
		{ { .type = KT_PIPE_IO }, 2 },
		{ { .type = KT_SIGNAL_STORM }, 2 },
		{ { .type = KT_FUTEX_FAN_OUT }, 5 },
		{ { .type = KT_FAN_OUT_COMPUTE, .fan_out = 2 }, 3 },
		{ { .type = KT_THUNDERING_HERD }, 8 },
		{ { .type = KT_WAKE_CHAIN }, 4 },
		{ { .type = KT_WAKE_CHAIN, .depth = 32 }, 32 },
		{ { .type = KT_PRODUCER_CONSUMER }, 3 },
		{ { .type = KT_EPOLL_STORM, .producers = 2, .consumers = 1 }, 3 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(u32, kt_work_unit_size(&cases[i].work), cases[i].n), "case %zu", i);
}

/* None of them may get as far as being counted: sums of such numbers are 0. */
Test(work, parameters_that_cannot_be)
{
	const struct {
		struct kt_work work;
		const char *text;
	} cases[] = {
		{ { .type = KT_SEQUENCE }, "needs .phases" },
		{ { .type = KT_SEQUENCE, .phases = KT_PHASES({ KT_SEQ_END, 1 }) },
		  "needs .phases" },
		{ { .type = KT_SEQUENCE,
		    .phases = KT_PHASES({ KT_SEQ_SPIN, 1 }, { KT_SEQ_IO, 0 }) },
		  "0 us" },
		{ { .type = KT_SEQUENCE, .phases = KT_PHASES({ (enum kt_work_phase_kind)77, 1 }) },
		  "kind" },
		{ { .type = KT_WAKE_CHAIN, .depth = 1 }, ".depth within 2..4095" },
		{ { .type = KT_WAKE_CHAIN, .depth = 33 }, "at most 32" },
		{ { .type = KT_WAKE_CHAIN, .wake = KT_WAKE_FUTEX, .depth = UINT32_MAX }, ".depth" },
		{ { .type = KT_WAKE_CHAIN, .wake = (enum kt_wake_kind)2 }, "kind of wake-up" },
		{ { .type = KT_FUTEX_FAN_OUT, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_FAN_OUT_COMPUTE, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_FAN_OUT_COMPUTE, .kib = UINT32_MAX }, ".kib" },
		{ { .type = KT_THUNDERING_HERD, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_PRODUCER_CONSUMER, .producers = UINT32_MAX }, "4095 producers" },
		{ { .type = KT_PRODUCER_CONSUMER, .depth = 1 }, ".depth" },
		{ { .type = KT_PRODUCER_CONSUMER, .depth = UINT32_MAX }, ".depth" },
		{ { .type = KT_PRODUCER_CONSUMER, .rate_hz = 2000000000 }, ".rate_hz" },
		{ { .type = KT_EPOLL_STORM, .producers = 64 }, "63 producers" },
		{ { .type = KT_EPOLL_STORM, .consumers = UINT32_MAX }, "4095 consumers" },
		{ { .type = KT_EPOLL_STORM, .ops = UINT32_MAX }, ".ops" },
		{ { .type = KT_PIPE_IO, .workers = 3 }, "belong together" },
		{ { .type = KT_ASYMMETRIC_WAKER, .sched2 = { .policy = KT_SCHED_FIFO } }, "1..99" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const char *why = kt_work_fault(&cases[i].work, &two_cpus);

		cr_assert(why && strstr(why, cases[i].text), "case %zu: %s", i, why ?: "none");
	}
}
