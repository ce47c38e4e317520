/* SPDX-License-Identifier: MIT */
/*
 * Forwards each operation to the backend; the only file that chooses one. What backends have in
 * common, such as the file of a disk, is here, too.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "vmm/kvm/machine.h"
#include "vmm/qemu/qemu.h"

const char *kt_accel_name(enum kt_accel accel)
{
	static const char *const names[] = { [KT_ACCEL_TCG] = "tcg", [KT_ACCEL_KVM] = "kvm" };

	return names[accel];
}

const char *kt_vmm_name(enum kt_vmm vmm)
{
	static const char *const names[] = { [KT_VMM_QEMU] = "qemu", [KT_VMM_KVM] = "kvm" };

	return names[vmm];
}

int kt_machine_open_disk(const struct kt_machine_config *config, int *ret_fd)
{
	KT_CLOSE int fd = memfd_create("ktest-disk", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)config->disk_mib << 20) < 0)
		return -errno;
	*ret_fd = kt_steal_fd(fd);
	return 0;
}

unsigned int kt_machine_n_vcpus(const struct kt_machine_topology *topology)
{
	unsigned int cores = topology->llcs * topology->cores;

	for (unsigned int llc = 0; !topology->cores && llc < topology->llcs; llc++)
		cores += kt_machine_llc_cores(topology, llc);
	return cores * topology->threads;
}

struct kt_machine_place kt_machine_place(const struct kt_machine_topology *topology,
					 unsigned int vcpu)
{
	unsigned int core = vcpu / topology->threads, llc = 0;

	for (; core >= kt_machine_llc_cores(topology, llc); llc++)
		core -= kt_machine_llc_cores(topology, llc);
	return (struct kt_machine_place){
		.node = llc / (topology->llcs / topology->numa_nodes),
		.llc = llc,
		.core = core,
		.thread = vcpu % topology->threads,
	};
}

/* "4 cores each", or "2+1 cores" if the LLCs differ. */
static void put_cores(FILE *out, const struct kt_machine_topology *topology)
{
	unsigned int n = KT_MIN(topology->llcs, KT_HELLO_LLCS);

	if (topology->cores)
		(void)fprintf(out, "%u cores each", topology->cores);
	for (unsigned int llc = 0; !topology->cores && llc < n; llc++)
		(void)fprintf(out, "%u%s", topology->llc_cores[llc], llc + 1 < n ? "+" : " cores");
}

char *kt_machine_topology_text(const struct kt_machine_topology *topology)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	(void)fprintf(out, "%u NUMA nodes, ", topology->numa_nodes);
	if (topology->memory_nodes)
		(void)fprintf(out, "%u more of memory alone, ", topology->memory_nodes);
	(void)fprintf(out, "%u LLCs, ", topology->llcs);
	put_cores(out, topology);
	(void)fprintf(out, ", %u threads each", topology->threads);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

const char *kt_machine_lack(const struct kt_machine_config *config)
{
	return config->vmm == KT_VMM_QEMU ? kt_qemu_lack(config) : NULL;
}

int kt_machine_new(struct kt_loop *loop, enum kt_vmm vmm, const struct kt_machine_events *events,
		   void *data, struct kt_machine **ret_machine, struct kt_err *reterr)
{
	if (vmm == KT_VMM_KVM)
		return kt_kvm_new(loop, events, data, ret_machine, reterr);
	return kt_qemu_new(loop, events, data, ret_machine, reterr);
}

int kt_machine_start(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr)
{
	return machine->ops->start(machine, config, reterr);
}

int kt_machine_restore(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	return machine->ops->restore(machine, config, image, deadline_ns, reterr);
}

int kt_machine_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		    struct kt_err *reterr)
{
	return machine->ops->save(machine, state_fd, deadline_ns, reterr);
}

int kt_machine_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			    struct kt_err *reterr)
{
	return machine->ops->save_devices(machine, state_fd, deadline_ns, reterr);
}

int kt_machine_serve_gdb(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
			 struct kt_err *reterr)
{
	return machine->ops->serve_gdb(machine, path, deadline_ns, reterr);
}

int kt_machine_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	return machine->ops->guard(machine, hello, deadline_ns, reterr);
}

int kt_machine_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	return machine->ops->memory(machine, ret_mem, reterr);
}

int kt_machine_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n)
{
	return machine->ops->port_write(machine, parts, n);
}

int kt_machine_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	return machine->ops->pause(machine, deadline_ns, reterr);
}

int kt_machine_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr)
{
	return machine->ops->resume(machine, deadline_ns, reterr);
}

int kt_machine_registers(struct kt_machine *machine, unsigned int vcpu,
			 struct kt_registers *ret_registers, uint64_t deadline_ns,
			 struct kt_err *reterr)
{
	return machine->ops->registers(machine, vcpu, ret_registers, deadline_ns, reterr);
}

/* KVM has those of the processor. QEMU has no bound for TCG: each makes its page slower. */
unsigned int kt_machine_watches_max(enum kt_accel accel)
{
	return accel == KT_ACCEL_KVM ? 4 : KT_WATCHES_MAX;
}

int kt_machine_watch(struct kt_machine *machine, const struct kt_watch *watch,
		     unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr)
{
	return machine->ops->watch(machine, watch, ret_number, deadline_ns, reterr);
}

int kt_machine_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	return machine->ops->unwatch(machine, number, deadline_ns, reterr);
}

const char *kt_time_name(enum kt_time time)
{
	return time == KT_TIME_VIRTUAL ? "virtual" : "real";
}

void kt_machine_power_off(struct kt_machine *machine)
{
	machine->ops->power_off(machine);
}

uint64_t kt_machine_clock_ns(struct kt_machine *machine)
{
	return machine->ops->clock_ns(machine);
}

void kt_machine_mark_steal(struct kt_machine *machine)
{
	machine->ops->mark_steal(machine);
}

uint64_t kt_machine_stolen_ns(struct kt_machine *machine)
{
	return machine->ops->stolen_ns(machine);
}

json_t *kt_machine_figures(struct kt_machine *machine)
{
	return machine->ops->figures ? machine->ops->figures(machine) : NULL;
}

struct kt_machine *kt_machine_destroy(struct kt_machine *machine)
{
	if (machine)
		machine->ops->destroy(machine);
	return NULL;
}
