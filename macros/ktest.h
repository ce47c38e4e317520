/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * ktest: tests for the scheduling side of the Linux kernel, each in a fresh virtual machine.
 *
 * This is all that a test's source includes. See docs/writing.md.
 */

#include <ktest/assert.h>
#include <ktest/check.h>
#include <ktest/cpuset.h>
#include <ktest/ctx.h>
#include <ktest/custom.h>
#include <ktest/payload.h>
#include <ktest/report.h>
#include <ktest/scenario.h>
#include <ktest/scheduler.h>
#include <ktest/test.h>
#include <ktest/topology.h>
#include <ktest/work.h>

#define KT_VERSION "0.1.0"
