/* SPDX-License-Identifier: MIT */
/* What is wrong with work is told on the host, before a machine starts. */
#include <criterion/criterion.h>

#include "guest/worktype.h"

static const struct kt_topology topology = { .numa_nodes = 1, .llcs = 1, .cores = 4, .threads = 1 };

static void expect(const char *text, struct kt_work work)
{
	const char *why = kt_work_fault(&work, &topology);

	if (!text)
		cr_assert_null(why, "%s", why ?: "");
	else
		cr_assert(why && strstr(why, text), "\"%s\" holds no \"%s\"", why ?: "", text);
}

Test(work, lock)
{
	expect(NULL, (struct kt_work){ .type = KT_MUTEX_CONTENTION, .workers = 8 });
	expect("no multiple", (struct kt_work){ .type = KT_MUTEX_CONTENTION, .workers = 5 });
	expect("no multiple", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .workers = 4 });
	expect(NULL, (struct kt_work){ .type = KT_PRIORITY_INVERSION, .workers = 4, .medium = 2 });
	expect("above 20", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .rt_priority = 20 });
	expect("1..99", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .rt_priority = 100 });
	expect("root", (struct kt_work){ .type = KT_RT_STARVATION, .uid = 1 });
	expect("1..99", (struct kt_work){ .type = KT_PREEMPT_STORM, .rt_priority = 100 });
	expect("no multiple", (struct kt_work){ .type = KT_PREEMPT_STORM, .cfs = 3, .workers = 3 });
}

Test(work, churn)
{
	expect("root", (struct kt_work){ .type = KT_NICE_SWEEP, .uid = 1 });
	expect("root", (struct kt_work){ .type = KT_POLICY_CHURN, .uid = 1 });
	expect("1..99", (struct kt_work){ .type = KT_POLICY_CHURN, .rt_priority = 100 });
	expect(NULL, (struct kt_work){ .type = KT_AFFINITY_CHURN, .uid = 1, .threads = true });
	expect("threads", (struct kt_work){ .type = KT_FORK_EXIT, .threads = true });
	expect("threads", (struct kt_work){ .type = KT_CGROUP_CHURN, .threads = true });
	expect("at least 2", (struct kt_work){ .type = KT_CGROUP_CHURN, .groups = 1 });
	expect("at most 1000", (struct kt_work){ .type = KT_CGROUP_CHURN, .groups = 1001 });
	expect(".period_ms", (struct kt_work){ .type = KT_CGROUP_CHURN, .period_ms = 2000000 });
	expect(".dest", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM });
	expect(".dest", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "../x" });
	expect("root", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "d", .uid = 1 });
	expect(NULL, (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "d" });
}
