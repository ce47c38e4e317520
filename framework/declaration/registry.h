/* SPDX-License-Identifier: MIT */
#pragma once
/* The tests, payloads and schedulers that are linked into this binary. */

#include <ktest/payload.h>
#include <ktest/scheduler.h>
#include <ktest/test.h>

/* All, in the order of registration. */
const struct kt_test_node *kt_registry(void);
const struct kt_payload_node *kt_payload_registry(void);

/* Every KT_SCHEDULER() of this binary. */
const struct kt_scheduler_node *kt_scheduler_registry(void);
