/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * ktest: tests for the scheduling side of the Linux kernel, each in a virtual machine of its own.
 *
 * The source of a test needs to include this header only, and <kt_scenarios.h> for ready-made
 * scenarios. docs/writing.md is the introduction.
 */

#include <ktest/assert.h>
#include <ktest/check.h>
#include <ktest/cpuset.h>
#include <ktest/ctx.h>
#include <ktest/custom.h>
#include <ktest/kernel.h>
#include <ktest/payload.h>
#include <ktest/perf.h>
#include <ktest/report.h>
#include <ktest/scenario.h>
#include <ktest/scheduler.h>
#include <ktest/series.h>
#include <ktest/snapshot.h>
#include <ktest/test.h>
#include <ktest/topology.h>
#include <ktest/watch.h>
#include <ktest/work.h>

/* The version of these headers and of libktest. */
#define KT_VERSION "0.1.0"
