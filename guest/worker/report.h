/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The reports of workers that have ended. Four words in guest/ that are easily mixed up:
 *
 * - A report (struct kt_worker_report, public) says what one worker did from its start to its end.
 *   PID 1 makes it from the worker's telemetry after the worker has ended.
 * - Telemetry (guest/worker/telemetry.h) is what a worker measures about itself while it runs.
 * - A record (guest/scenario/record.h) is what one cgroup used in the hold of one step. It covers
 *   payloads too, and workers that are still running.
 * - Metrics (guest/payload/metrics.h) are numbers that a payload prints as JSON.
 */

#include <stddef.h>

#include <ktest/report.h>

/*
 * An array that kt_worker_group_stop() extends, in the order in which the groups end. It is empty
 * when it is zero-initialised. It owns the elements and the .cgroup of each.
 */
struct kt_reports {
	struct kt_worker_report *at;
	size_t n;
};

/* Frees everything and leaves @reports empty. */
void kt_reports_deinit(struct kt_reports *reports);

/*
 * Adds up the reports of all workers that ended in @cgroup ("" is PID 1's own), by the rules of
 * kt_sum_reports(). Returns false when there are none; *@ret_sum is all zero then.
 */
bool kt_reports_sum(const struct kt_reports *reports, const char *cgroup,
		    struct kt_worker_report *ret_sum);
