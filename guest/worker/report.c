/* SPDX-License-Identifier: MIT */
#include "guest/worker/report.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

void kt_reports_deinit(struct kt_reports *reports)
{
	for (size_t i = 0; i < reports->n; i++)
		free((char *)reports->at[i].cgroup);
	free(reports->at);
	*reports = (struct kt_reports){ NULL, 0 };
}

/*
 * Adds one report to the sum. Times and counts add up; of gaps and latencies the largest counts,
 * because a percentile of all workers cannot be computed from the percentiles of each. The gap's
 * three fields stay together: they describe one moment of one worker. The index of the sum is the
 * number of workers.
 */
static void add(struct kt_worker_report *sum, const struct kt_worker_report *one)
{
	sum->cgroup = one->cgroup;
	sum->work = one->work;
	sum->index++;
	sum->iterations += one->iterations;
	sum->wall_ns += one->wall_ns;
	sum->cpu_ns += one->cpu_ns;
	sum->run_delay_ns += one->run_delay_ns;
	sum->switches += one->switches;
	sum->migrations += one->migrations;
	sum->node_migrations += one->node_migrations;
	for (size_t i = 0; i < KT_ARRAY_LEN(sum->cpus); i++)
		sum->cpus[i] |= one->cpus[i], sum->allowed[i] |= one->allowed[i];
	if (one->max_gap_ns > sum->max_gap_ns) {
		sum->max_gap_ns = one->max_gap_ns;
		sum->max_gap_at_ns = one->max_gap_at_ns;
		sum->max_gap_cpu = one->max_gap_cpu;
	}
	sum->max_stall_ns = KT_MAX(sum->max_stall_ns, one->max_stall_ns);
	sum->n_latencies += one->n_latencies;
	sum->latency_p50_ns = KT_MAX(sum->latency_p50_ns, one->latency_p50_ns);
	sum->latency_p99_ns = KT_MAX(sum->latency_p99_ns, one->latency_p99_ns);
	sum->latency_max_ns = KT_MAX(sum->latency_max_ns, one->latency_max_ns);
	sum->latency_cv = KT_MAX(sum->latency_cv, one->latency_cv);
	sum->pages += one->pages;
	sum->local_pages += one->local_pages;
	sum->killed |= one->killed;
	sum->status = sum->status ?: one->status;
}

bool kt_reports_sum(const struct kt_reports *reports, const char *cgroup,
		    struct kt_worker_report *ret_sum)
{
	*ret_sum = (struct kt_worker_report){ .tid = 0 };
	for (size_t i = 0; i < reports->n; i++) {
		if (!strcmp(reports->at[i].cgroup, cgroup))
			add(ret_sum, &reports->at[i]);
	}
	return ret_sum->index > 0;
}
