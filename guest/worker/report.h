/* SPDX-License-Identifier: MIT */
#pragma once
/* The reports of workers that have ended. */

#include <stddef.h>

#include <ktest/report.h>

struct kt_reports {
	struct kt_worker_report *at;
	size_t n;
};

void kt_reports_deinit(struct kt_reports *reports);

/* All that ended in @cgroup as one, as kt_sum_reports() says. */
bool kt_reports_sum(const struct kt_reports *reports, const char *cgroup,
		    struct kt_worker_report *ret_sum);
