/* SPDX-License-Identifier: MIT */
#pragma once
/* The tests, payloads and schedulers that are linked into this binary. */

#include <ktest/payload.h>
#include <ktest/scheduler.h>
#include <ktest/test.h>

/* The first node of each list, in the order of registration; NULL when there are none. */
const struct kt_test_node *kt_registry(void);
const struct kt_payload_node *kt_payload_registry(void);
const struct kt_scheduler_node *kt_scheduler_registry(void);
