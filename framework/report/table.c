/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "framework/report/report.h"
#include "util/clock.h"
#include "wire/json.h"

/*
 * The table of workers in the report for people: one row for each group of workers, because a test
 * can have hundreds of workers. Counters are summed; for gaps and latencies the maximum is shown.
 */

#define ROWS_MAX 40u /* further groups are left out */

/* A row: the workers of one group. gap_ns and p99_ns are maxima, the other numbers are sums. */
struct row {
	const char *cgroup;
	const char *work;
	json_int_t group;
	unsigned int n;
	double iterations, cpu_ns, run_delay_ns, switches, migrations, gap_ns, p99_ns;
};

static double number(const json_t *worker, const char *name)
{
	return json_number_value(json_object_get(worker, name));
}

/*
 * The row of the worker's group, added if necessary; NULL when the table is full or the worker has
 * no name of a cgroup or work type.
 */
static struct row *find_row(struct row *rows, size_t *n, const json_t *worker)
{
	const char *cgroup = json_string_value(json_object_get(worker, "cgroup"));
	const char *work = json_string_value(json_object_get(worker, "work"));
	json_int_t group = json_integer_value(json_object_get(worker, "group"));

	for (size_t i = 0; i < *n; i++) {
		if (rows[i].group == group)
			return &rows[i];
	}
	if (*n == ROWS_MAX || !cgroup || !work)
		return NULL;
	rows[*n] = (struct row){ .cgroup = cgroup, .work = work, .group = group };
	return &rows[(*n)++];
}

static void add_worker(struct row *row, const json_t *worker)
{
	row->n++;
	row->iterations += number(worker, "iterations");
	row->cpu_ns += number(worker, "cpu_ns");
	row->run_delay_ns += number(worker, "run_delay_ns");
	row->switches += number(worker, "switches");
	row->migrations += number(worker, "migrations");
	row->gap_ns = KT_MAX(row->gap_ns, number(worker, "max_gap_ns"));
	row->p99_ns = KT_MAX(row->p99_ns, number(worker, "wake_p99_ns"));
}

static int by_group(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return left->group < right->group ? -1 : left->group > right->group;
}

void kt_report_put_workers(FILE *out, const struct kt_result *result)
{
	const json_t *workers = json_object_get(result->scenario, "workers"), *worker;
	struct row rows[ROWS_MAX];
	size_t n = 0, i;

	json_array_foreach(workers, i, worker)
	{
		struct row *row = find_row(rows, &n, worker);

		if (row)
			add_worker(row, worker);
	}
	if (!n)
		return;
	/* Groups are numbered in the order in which the scenario created them. */
	qsort(rows, n, sizeof(rows[0]), by_group);
	(void)fprintf(out, "  workers:\n    %-16s %-14s %4s %11s %9s %9s %9s %7s %8s %9s\n",
		      "cgroup", "work", "n", "iterations", "cpu ms", "wait ms", "switches", "moves",
		      "gap ms", "p99 us");
	for (i = 0; i < n; i++)
		(void)fprintf(
			out,
			"    %-16.40s %-14.20s %4u %11.0f %9.1f %9.1f %9.0f %7.0f %8.1f %9.1f\n",
			*rows[i].cgroup ? rows[i].cgroup : "(root)", rows[i].work, rows[i].n,
			rows[i].iterations, rows[i].cpu_ns / KT_NSEC_PER_MSEC,
			rows[i].run_delay_ns / KT_NSEC_PER_MSEC, rows[i].switches,
			rows[i].migrations, rows[i].gap_ns / KT_NSEC_PER_MSEC,
			rows[i].p99_ns / KT_NSEC_PER_USEC);
}
