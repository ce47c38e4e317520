/* SPDX-License-Identifier: MIT */
/* The operation that delivers an interrupt to a CPU (/proc/irq/N/smp_affinity_list). */

#include "guest/scenario/op.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/cgroup/cpuset.h"
#include "util/cleanup.h"
#include "util/io.h"

#define IRQ_DIR    "/proc/irq"
#define ONLINE     "/sys/devices/system/cpu/online"
#define CPUS_LIMIT 1024u

/*
 * The kernel takes a mask of offline CPUs, and chooses other ones (write_irq_affinity(),
 * kernel/irq/proc.c).
 */
static int check_online(unsigned int cpu, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	cpu_set_t online;
	int r = kt_file_read(ONLINE, 4096, &text, NULL);

	if (r < 0)
		return kt_err_set(reterr, r, ONLINE ": %m");
	text[strcspn(text, "\n")] = '\0';
	r = kt_cpuset_parse(text, CPUS_LIMIT, "CPU", &online, reterr);
	if (r < 0)
		return r;
	if (cpu >= CPUS_LIMIT || !CPU_ISSET(cpu, &online))
		return kt_err_set(reterr, -EINVAL, "CPU %u is not online (online: %s)", cpu, text);
	return 0;
}

/*
 * The directory /proc/irq/N has a directory for each action of the interrupt, named as the action.
 */
static int find_by_label(const char *label, unsigned int *ret_irq, struct kt_err *reterr)
{
	DIR *dir = opendir(IRQ_DIR);
	bool found = false;

	if (!dir)
		return kt_err_set(reterr, -errno, IRQ_DIR ": %m");
	for (struct dirent *ent; !found && (ent = readdir(dir));) {
		KT_FREE char *path = NULL;

		if (!isdigit((unsigned char)ent->d_name[0]))
			continue;
		path = kt_format(IRQ_DIR "/%s/%s", ent->d_name, label);
		found = path && access(path, F_OK) == 0;
		if (found)
			*ret_irq = (unsigned int)strtoul(ent->d_name, NULL, 10);
	}
	(void)closedir(dir);
	return found ? 0
		     : kt_err_set(
			       reterr, -ENOENT,
			       "no interrupt has an action called '%s' (/proc/interrupts has the "
			       "names)",
			       label);
}

static int steer(const char *label, unsigned int irq, unsigned int cpu, struct kt_err *reterr)
{
	char path[64], text[16];
	int r = check_online(cpu, reterr);

	if (r == 0 && label)
		r = strchr(label, '/') || !*label
			    ? kt_err_set(reterr, -EINVAL, "'%s' is not the name of an action",
					 label)
			    : find_by_label(label, &irq, reterr);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), IRQ_DIR "/%u/smp_affinity_list", irq);
	(void)snprintf(text, sizeof(text), "%u", cpu);
	r = kt_file_write(path, text);
	if (r == -ENOENT)
		return kt_err_set(reterr, r, "interrupt %u does not exist", irq);
	return r < 0 ? kt_err_set(reterr, r, "steering interrupt %u to CPU %u: %m", irq, cpu) : 0;
}

static int steer_irq(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	(void)scenario;
	return steer(op->irq_label, op->irq, op->cpu, reterr);
}

static int check_irq(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	if (op->cpu < kt_topology_cpus(topology))
		return 0;
	return kt_err_set(reterr, -EINVAL, "CPU %u of %u, counted from 0", op->cpu,
			  kt_topology_cpus(topology));
}

const struct kt_op_ops kt_irq_ops[KT_N_OP_KINDS] = {
	[KT_OP_STEER_IRQ] = { "KT_STEER_IRQ", KT_OP_NAMES_NONE, .apply = steer_irq,
			      .check = check_irq },
};
