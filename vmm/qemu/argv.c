/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/argv.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "vmm/qemu/qemu.h"
#include "wire/message.h"

#define VIRTUAL_EPOCH "2026-01-01T00:00:00" /* UTC; when a machine with virtual time boots */
#define NET_DELAY_NS  "10000"               /* in virtual time a frame is sent so much later */

/*
 * The command line begins from nothing (-nodefaults), and each device is added for a use that this
 * project has. A restore must find the devices of the machine that was saved, in the same order, so
 * both purposes share everything but the last options.
 */
struct args {
	char **at;
	size_t n;
	bool failed; /* out of memory; reported at the end */
};

static void add(struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct args *args, const char *format, ...)
{
	char **grown = reallocarray(args->at, args->n + 2, sizeof(*grown));
	va_list ap;

	if (!grown) {
		args->failed = true;
		return;
	}
	args->at = grown;
	va_start(ap, format);
	if (vasprintf(&grown[args->n], format, ap) < 0)
		args->failed = true;
	else
		args->n++;
	va_end(ap);
	grown[args->n] = NULL;
}

/*
 * All RAM is one file, which the host can map too; each NUMA node has a part of it. The CPUs of a
 * node are given by number, and QEMU numbers threads first, then cores, then sockets. A node
 * without CPUs is one of memory alone.
 */
static void add_memory(struct args *args, const struct kt_machine_config *config, int ram_fd,
		       const char *share)
{
	const struct kt_machine_topology *topology = &config->topology;
	unsigned int nodes = kt_machine_n_nodes(topology);
	unsigned int node_cpus = kt_machine_n_vcpus(topology) / topology->numa_nodes;
	unsigned int node_mib = config->memory_mib / nodes; /* the last node: and the rest */

	add(args, "-m");
	add(args, "%uM", config->memory_mib);
	for (unsigned int node = 0; node < nodes; node++) {
		unsigned int mib =
			node < nodes - 1 ? node_mib : config->memory_mib - node * node_mib;

		add(args, "-object");
		if (node == 0)
			add(args,
			    "memory-backend-file,id=ram0,mem-path=/proc/self/fd/"
			    "%d,share=%s,size=%uM",
			    ram_fd, share, mib);
		else
			add(args,
			    "memory-backend-file,id=ram%u,mem-path=/proc/self/fd/"
			    "%d,share=%s,size=%uM,"
			    "offset=%uM",
			    node, ram_fd, share, mib, node * node_mib);
		if (nodes == 1)
			continue;
		add(args, "-numa");
		if (node < topology->numa_nodes)
			add(args, "node,nodeid=%u,memdev=ram%u,cpus=%u-%u", node, node,
			    node * node_cpus, (node + 1) * node_cpus - 1);
		else
			add(args, "node,nodeid=%u,memdev=ram%u", node, node);
	}
}

static void add_cpus(struct args *args, const struct kt_machine_config *config)
{
	const struct kt_machine_topology *topology = &config->topology;

	add(args, "-accel");
	if (config->accel == KT_ACCEL_KVM)
		add(args, "kvm");
	else
		add(args, "tcg,thread=%s", kt_qemu_is_single_thread(config) ? "single" : "multi");
	/*
	 * Each LLC is a socket, which every kernel and CPU model understands. TCG's CPU describes
	 * caches that threads share only as an Intel CPU: as an AMD one it lacks topoext.
	 */
	add(args, "-cpu");
	add(args, "%s%s", config->accel == KT_ACCEL_KVM ? "host" : "max,vendor=GenuineIntel",
	    config->time == KT_TIME_VIRTUAL ? ",-rdrand,-rdseed,-erms,-fsrm,-fzrm,-fsrs" : "");
	add(args, "-smp");
	add(args, "%u,sockets=%u,cores=%u,threads=%u", kt_machine_n_vcpus(topology), topology->llcs,
	    topology->cores, topology->threads);
}

/*
 * A repeatable machine has the same date, and the same random numbers from QEMU, at each start.
 * sleep=off: when all vCPUs are idle, the clock goes to the next timer at once.
 */
static void add_virtual_time(struct args *args, const struct kt_machine_config *config)
{
	add(args, "-icount");
	add(args, "shift=%u,sleep=off", config->insn_shift);
	add(args, "-rtc");
	add(args, "base=" VIRTUAL_EPOCH ",clock=vm");
	add(args, "-seed");
	add(args, "1");
}

static void add_machine(struct args *args, const struct kt_machine_config *config)
{
	add(args, "-nodefaults");
	add(args, "-name");
	add(args, "ktest,debug-threads=on"); /* vcpus.c knows the threads by their names */
	add(args, "-no-user-config");
	add(args, "-no-reboot");
	if (config->keep)
		add(args, "-no-shutdown");
	if (config->qemu_sandbox) {
		add(args, "-sandbox");
		add(args, "%s", KT_QEMU_SANDBOX);
	}
	add(args, "-display");
	add(args, "none");
	/* Devices that are not used are off: each costs time to set up, to probe and to save. */
	add(args, "-machine");
	add(args, "q35%s,sata=off,smbus=off,vmport=off,hpet=off,i8042=off,graphics=off",
	    kt_machine_n_nodes(&config->topology) == 1 ? ",memory-backend=ram0" : "");
}

static void add_kernel(struct args *args, const struct kt_machine_config *config)
{
	add(args, "-kernel");
	add(args, "%s", config->kernel);
	add(args, "-initrd");
	add(args, "/proc/self/fd/%d", config->initramfs_fd);
	add(args, "-append");
	add(args, "%s", config->cmdline);
}

/*
 * With host calls the plugin is the guest's port. The console is a file then: QEMU writes to it at
 * once, where a socket that is full would delay the guest's serial port. A state that does not tell
 * whether the machine was stopped is restored running.
 */
static void add_host_calls(struct args *args, const struct kt_qemu_fds *fds)
{
	add(args, "-global");
	add(args, "migration.store-global-state=off");
	add(args, "-plugin");
	add(args, "/proc/self/fd/%d,port=%d,stand=%d,alarm=%d,where=%d%s", fds->plugin, fds->port,
	    fds->stand, fds->alarm, fds->where, fds->conflicts ? ",conflicts=on" : "");
	add(args, "-chardev");
	add(args, "file,id=console,path=/proc/self/fd/%d", fds->console);
}

static void add_sockets(struct args *args, const struct kt_qemu_fds *fds)
{
	add(args, "-chardev");
	add(args, "socket,id=console,fd=%d", fds->console);
	add(args, "-chardev");
	add(args, "socket,id=bulk,fd=%d", fds->port);
	add(args, "-device");
	add(args, "virtio-serial-pci,id=ports,max_ports=4");
	add(args, "-device");
	add(args, "virtserialport,bus=ports.0,chardev=bulk,name=" KT_WIRE_PORT_NAME);
}

/*
 * ioeventfd=off: what a vCPU asks of a device begins in its own thread, not in QEMU's main loop.
 * The file is nobody else's, and is not to outlive the machine: it needs neither locks nor syncs.
 */
static void add_disk(struct args *args, const struct kt_qemu_fds *fds)
{
	add(args, "-blockdev");
	add(args,
	    "file,node-name=disk,filename=/proc/self/fd/%d,locking=off,cache.direct=off,"
	    "cache.no-flush=on",
	    fds->disk);
	add(args, "-device");
	add(args, "virtio-blk-pci,drive=disk,serial=ktest,ioeventfd=off");
}

/*
 * Two cards on a hub. tx=timer: in virtual time a frame is sent, and received by the other card, in
 * the thread of the vCPUs at a moment of the guest. Neither a migration nor the guest behind it
 * announces itself: that would be a frame at a moment of the host.
 */
static void add_net(struct args *args, const struct kt_machine_config *config)
{
	const char *tx = config->time == KT_TIME_VIRTUAL ? ",tx=timer,x-txtimer=" NET_DELAY_NS : "";

	add(args, "-global");
	add(args, "migration.announce-rounds=0");
	for (unsigned int i = 0; i < 2; i++) {
		add(args, "-netdev");
		add(args, "hubport,id=cable%u,hubid=0", i);
		add(args, "-device");
		add(args,
		    "virtio-net-pci,netdev=cable%u,mac=02:00:00:00:00:%02u,romfile=,"
		    "guest_announce=off,ioeventfd=off%s",
		    i, i + 1, tx);
	}
}

static void add_channels(struct args *args, const struct kt_qemu_fds *fds)
{
	add(args, "-chardev");
	add(args, "socket,id=qmp,fd=%d", fds->qmp);
	add(args, "-mon");
	add(args, "chardev=qmp,mode=control");
	if (fds->plugin >= 0)
		add_host_calls(args, fds);
	else
		add_sockets(args, fds);
	add(args, "-serial");
	add(args, "chardev:console");
	if (fds->gdb >= 0) {
		add(args, "-chardev");
		add(args, "socket,id=stub,fd=%d", fds->gdb);
		add(args, "-gdb");
		add(args, "chardev:stub");
	}
}

/*
 * What QEMU writes for Xen lacks two things that it writes at the begin and at the end of a
 * migration. The machine is not let run when it is there (-S).
 */
static void add_reopen(struct args *args)
{
	add(args, "-global");
	add(args, "migration.send-configuration=off");
	add(args, "-machine");
	add(args, "suppress-vmdesc=on");
	add(args, "-S");
}

/* How the RAM file is mapped. A private mapping can be written to where the file cannot. */
static const char *share(const struct kt_qemu_fds *fds)
{
	int flags = fcntl(fds->ram, F_GETFL);

	if (fds->ram_is_shared)
		return "on";
	return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY ? "off,readonly=on,rom=off" : "off";
}

bool kt_qemu_is_single_thread(const struct kt_machine_config *config)
{
	return config->tcg_single_thread || config->time == KT_TIME_VIRTUAL;
}

char **kt_qemu_argv(enum kt_qemu_purpose purpose, const struct kt_machine_config *config,
		    const struct kt_qemu_fds *fds)
{
	struct args args = { 0 };

	add(&args, "%s", config->qemu);
	add_machine(&args, config);
	add_cpus(&args, config);
	if (config->time == KT_TIME_VIRTUAL)
		add_virtual_time(&args, config);
	add_memory(&args, config, fds->ram, share(fds));
	add_channels(&args, fds);
	if (fds->disk >= 0)
		add_disk(&args, fds);
	if (config->net)
		add_net(&args, config);
	if (purpose == KT_QEMU_BOOT) {
		add_kernel(&args, config);
		add(&args, "-S"); /* until QMP is heard: events before that would be lost */
	} else {
		/* The saved RAM holds the kernel; loading it again would take time and memory. */
		add(&args, "-incoming");
		add(&args, "defer");
	}
	if (purpose == KT_QEMU_REOPEN)
		add_reopen(&args);
	if (args.failed) {
		kt_qemu_argv_free(args.at);
		return NULL;
	}
	return args.at;
}

void kt_qemu_argv_free(char **argv)
{
	for (char **at = argv; at && *at; at++)
		free(*at);
	free(argv);
}
