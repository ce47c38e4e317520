/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtual machine: configured, started or restored, driven by one event loop, destroyed in any
 * state.
 *
 * This is the contract that backends implement (vmm/qemu, vmm/kvm). No file above vmm/ knows which
 * backend runs.
 *
 * Life of a machine: kt_machine_new(), then once kt_machine_start() or kt_machine_restore(), then
 * any other operation, then kt_machine_destroy(). Operations that can wait take @deadline_ns, a
 * point of CLOCK_MONOTONIC; past it they return -ETIMEDOUT with an error that names what did not
 * happen. Functions that return int return 0 or a negative errno, with a text for people in @reterr
 * where they have one. One thread uses a machine; several machines in one process do not know of
 * each other.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/err.h"
#include "util/loop.h"
#include "vmm/mem.h"
#include "vmm/registers.h"
#include "vmm/watch.h"
#include "wire/hello.h"

enum kt_accel {
	KT_ACCEL_TCG, /* translation of instructions: works everywhere, some ten times slower */
	KT_ACCEL_KVM, /* hardware virtualisation */
};

/* Returns "tcg" or "kvm". */
const char *kt_accel_name(enum kt_accel accel);

/* Which virtual machine monitor runs a machine. */
enum kt_vmm {
	KT_VMM_QEMU, /* a QEMU child */
	KT_VMM_KVM,  /* this process, on /dev/kvm: KT_ACCEL_KVM and real time only */
};

/* Returns "qemu" or "kvm". */
const char *kt_vmm_name(enum kt_vmm vmm);

/* Whose time the guest's clocks show. */
enum kt_time {
	KT_TIME_REAL, /* the host's: how far a guest gets depends on what else the host does */
	/*
	 * The guest's own: each instruction takes the same time, and time in which all vCPUs are
	 * idle is skipped. What a guest does depends on nothing but its input. TCG only.
	 */
	KT_TIME_VIRTUAL,
};

/* Returns "real" or "virtual". */
const char *kt_time_name(enum kt_time time);

/* The vCPUs and how they share caches and nodes, and the nodes that have memory alone. */
struct kt_machine_topology {
	unsigned int numa_nodes;   /* with vCPUs, at least 1; divides llcs: all have as many LLCs */
	unsigned int llcs;         /* last-level caches of the whole machine; at least 1 */
	unsigned int cores;        /* per LLC; 0: the LLCs differ */
	unsigned int threads;      /* per core; at least 1 */
	unsigned int memory_nodes; /* nodes without vCPUs, numbered behind the others */
	/* The cores of each LLC, if they differ; at most KT_HELLO_LLCS LLCs. Otherwise all 0. */
	unsigned int llc_cores[KT_HELLO_LLCS];
};

static inline unsigned int kt_machine_llc_cores(const struct kt_machine_topology *topology,
						unsigned int llc)
{
	return topology->cores ?: topology->llc_cores[llc];
}

unsigned int kt_machine_n_vcpus(const struct kt_machine_topology *topology);

/* All nodes: the RAM is divided among them evenly, and the last one has the rest, too. */
static inline unsigned int kt_machine_n_nodes(const struct kt_machine_topology *topology)
{
	return topology->numa_nodes + topology->memory_nodes;
}

/* Where a vCPU is; each number counts from 0, the core within its LLC, the thread in its core. */
struct kt_machine_place {
	unsigned int node, llc, core, thread;
};

/* vCPUs are numbered in the order of nodes, LLCs, cores and threads. @vcpu must be one of them. */
struct kt_machine_place kt_machine_place(const struct kt_machine_topology *topology,
					 unsigned int vcpu);

/*
 * The topology in words, to be freed: "1 NUMA nodes, 2 LLCs, 4 cores each, 1 threads each". Two
 * topologies with the same text are equal. NULL when out of memory.
 */
char *kt_machine_topology_text(const struct kt_machine_topology *topology);

/* What a machine is made of. Pointers and descriptors are borrowed until the machine is started. */
struct kt_machine_config {
	const char *kernel;  /* path of a vmlinux with a PVH entry, or of a bzImage */
	int initramfs_fd;    /* open for reading */
	const char *cmdline; /* of the kernel */
	struct kt_machine_topology topology;
	unsigned int memory_mib; /* the guest's RAM, at least 1 per node */
	/*
	 * A virtio disk of so many MiB, full of zeros when the machine starts and when it is
	 * restored; 0: none. In virtual time the machine has none (kt_machine_has_disk()).
	 */
	unsigned int disk_mib;
	bool net; /* two virtio network cards, each the other end of the other's cable */
	enum kt_accel accel;
	enum kt_vmm vmm;  /* as kt_machine_new() was given */
	const char *qemu; /* path of the QEMU program; not used by KT_VMM_KVM */
	bool qemu_sandbox; /* this QEMU can refuse itself system calls, and does */
	enum kt_time time;
	/* Virtual time only: an instruction takes 2^insn_shift ns, 0..10. */
	unsigned int insn_shift;
	/*
	 * Virtual time only: whether the machine serves host calls (wire/hostcall.h), and is so
	 * repeatable. Otherwise bytes of the port reach the guest at moments of the host.
	 */
	bool host_calls;
	bool conflicts; /* with host calls: accesses to memory are watched, which is slower */
	bool tcg_single_thread; /* TCG only: all vCPUs share one host thread (for old QEMUs) */
	/*
	 * The file that is the guest's RAM. The machine sets its length and maps it shared; a
	 * machine that will be saved needs one. -1: no file. A boot then uses a memfd of its own, a
	 * restore maps the RAM of the image copy-on-write.
	 */
	int ram_fd;
	/*
	 * A guest that ends, by a reset or a power-off, leaves its memory as it was: the machine
	 * stands still until it is destroyed. exited() is called all the same.
	 */
	bool keep;
};

/*
 * Whether the machine itself has the disk. In virtual time the guest must have one of its own: QEMU
 * completes requests in its main loop, at moments of the host.
 */
static inline bool kt_machine_has_disk(const struct kt_machine_config *config)
{
	return config->disk_mib && config->time == KT_TIME_REAL;
}

/* For backends: opens the file of the disk, sparse and without a name. 0 or a negative errno. */
int kt_machine_open_disk(const struct kt_machine_config *config, int *ret_fd);

/*
 * A saved machine. Any number of machines can be restored from one image at the same time, and none
 * of them changes it.
 */
struct kt_machine_image {
	int ram_fd;   /* the RAM file of the machine that was saved; for writing if it can be */
	int state_fd; /* everything else, as kt_machine_save() wrote it; open for reading */
	/*
	 * kt_machine_save_devices() wrote the state. The machine is then restored paused, and needs
	 * a RAM file of its own (config->ram_fd).
	 */
	bool devices_only;
};

/* Why a machine ended. Only KT_EXIT_SHUTDOWN is success. */
enum kt_exit_reason {
	KT_EXIT_SHUTDOWN,  /* the guest powered off */
	KT_EXIT_RESET,     /* the guest asked for a reset: a panic, a reboot, a triple fault */
	KT_EXIT_PANIC,     /* the guest reported a panic */
	KT_EXIT_VMM_ERROR, /* the virtual machine monitor failed, or was killed */
};

struct kt_machine_exit {
	enum kt_exit_reason reason;
	bool killed;      /* the virtual machine monitor was killed, as the OOM killer does */
	char detail[512]; /* one clause for people: "the guest powered off" */
};

/* Why a machine stands at a watch. */
struct kt_machine_stop {
	unsigned int watch; /* the number that kt_machine_watch() gave */
	unsigned int vcpu;  /* that made the access */
	uint64_t value;     /* kt_watch_value() after it; 0 for a watch of more than 8 bytes */
	uint64_t n_unmet;   /* hits of this watch so far whose condition did not hold */
};

/*
 * Called from the event loop; @data is what kt_machine_new() was given. Handlers may call
 * operations of the machine, except kt_machine_destroy().
 */
struct kt_machine_events {
	/* Bytes that the guest wrote to the bulk port, in order, cut at any place. */
	void (*port)(void *data, const uint8_t *bytes, size_t len);
	/* Bytes of the console. Operations may call this too, before they return. */
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	/* The guest has reached the limit that it has set with KT_HOSTCALL_LIMIT. */
	void (*expired)(void *data);
	/*
	 * A watch was hit, and its condition holds. The machine stands still until the handler
	 * returns, and may be looked at meanwhile: pausing and resuming it then does nothing.
	 * Operations that resume a machine may call this too. NULL: nobody watches.
	 */
	void (*stopped)(void *data, const struct kt_machine_stop *stop);
	/* The machine has ended: called once, after the last byte of port and console. */
	void (*exited)(void *data, const struct kt_machine_exit *exit);
};

struct kt_machine;

/* What a backend implements. Each operation does what the function kt_machine_NAME() below says. */
struct kt_machine_ops {
	const char *name; /* of the backend */
	int (*start)(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr);
	int (*restore)(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr);
	int (*save)(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		    struct kt_err *reterr);
	int (*save_devices)(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			    struct kt_err *reterr);
	int (*serve_gdb)(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
			 struct kt_err *reterr);
	int (*guard)(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr);
	int (*memory)(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr);
	int (*port_write)(struct kt_machine *machine, const struct iovec *parts, size_t n);
	int (*pause)(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
	int (*resume)(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
	int (*registers)(struct kt_machine *machine, unsigned int vcpu,
			 struct kt_registers *ret_registers, uint64_t deadline_ns,
			 struct kt_err *reterr);
	int (*watch)(struct kt_machine *machine, const struct kt_watch *watch,
		     unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr);
	int (*unwatch)(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		       struct kt_err *reterr);
	void (*power_off)(struct kt_machine *machine);
	uint64_t (*clock_ns)(struct kt_machine *machine);
	void (*mark_steal)(struct kt_machine *machine);
	uint64_t (*stolen_ns)(struct kt_machine *machine);
	json_t *(*figures)(struct kt_machine *machine); /* NULL: it counts nothing */
	void (*destroy)(struct kt_machine *machine);
};

/* What a backend embeds as the first member of its own struct. Only backends look into it. */
struct kt_machine {
	const struct kt_machine_ops *ops;
	struct kt_loop *loop;
	const struct kt_machine_events *events;
	void *data;
};

/*
 * Why the backend cannot make such a machine, for the person who wants it to run; NULL: it can.
 * kt_machine_start() refuses with the same text. A test that needs the machine is skipped.
 */
const char *kt_machine_lack(const struct kt_machine_config *config);

/*
 * Makes a machine of the backend @vmm; nothing runs yet. @loop, @events and @data are borrowed for
 * the life of the machine. Returns 0 or -ENOMEM.
 */
int kt_machine_new(struct kt_loop *loop, enum kt_vmm vmm, const struct kt_machine_events *events,
		   void *data, struct kt_machine **ret_machine, struct kt_err *reterr);

/*
 * Boots the kernel of @config and returns without waiting for the guest. After a failure the
 * machine can only be destroyed.
 */
int kt_machine_start(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr);

/*
 * Continues a saved machine in @machine, and returns when the guest runs, or stands still ready
 * to run (image->devices_only). @config must describe the
 * machine that was saved; its kernel, initramfs and command line are not used. If @config has a RAM
 * file, that must hold a copy of the image's. After a failure the machine can only be destroyed.
 */
int kt_machine_restore(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr);

/*
 * Stops the machine and writes everything but its RAM to @state_fd, an empty regular file. The
 * machine must have been given a RAM file. It can only be destroyed then; after that, the RAM file
 * and @state_fd are an image.
 */
int kt_machine_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		    struct kt_err *reterr);

/*
 * Writes everything but the RAM of a machine that stands still to @state_fd, an empty regular file.
 * The machine can go on. Its RAM, as kt_machine_memory() gives it now, and @state_fd are an image.
 */
int kt_machine_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			    struct kt_err *reterr);

/*
 * Serves gdb on the UNIX socket @path, which must not be there yet; the caller removes it at last.
 * The first byte of gdb pauses the machine.
 */
int kt_machine_serve_gdb(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
			 struct kt_err *reterr);

/*
 * Gives the machine the addresses of the guest's kernel, so that it can undo a crash of the guest
 * that the VMM itself causes (vmm/qemu/stale.h); the machine says on its console when it has done
 * so. Called before a restore, or while the guest runs, which is paused meanwhile. Calls after the
 * first that knows the address of die() do nothing.
 */
int kt_machine_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr);

/*
 * Gives access to the guest's RAM, valid until the machine is destroyed. The caller releases it
 * with kt_mem_deinit().
 */
int kt_machine_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr);

/*
 * Queues the @n @parts, one behind the other, for the guest's end of the bulk port; never blocks.
 * Returns 0 or -ENOMEM. Bytes for a machine that has ended are dropped.
 */
int kt_machine_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n);

/*
 * Stops all vCPUs. Returns 0 when every vCPU is out of guest code. -ETIMEDOUT, at @deadline_ns or
 * after 30 s: the text names those that are not. A machine in which one is missing is ended.
 */
int kt_machine_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);

/* Lets a paused machine run. It has the same bound. */
int kt_machine_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * Reads the registers of the vCPU with this number, from 0, of a machine that stands still, which
 * it does, too, while the guest waits for an answer in a host call (KT_HOSTCALL_ASK). The machine
 * is paused meanwhile if it runs; who reads several vCPUs pauses it first, once. -ERANGE: there is
 * no such vCPU.
 */
int kt_machine_registers(struct kt_machine *machine, unsigned int vcpu,
			 struct kt_registers *ret_registers, uint64_t deadline_ns,
			 struct kt_err *reterr);

/* How many watches a machine can have at a time: an access that several see is one hit of each. */
unsigned int kt_machine_watches_max(enum kt_accel accel);

/*
 * Stops the machine at each access to the memory of @watch: behind the instruction that made it,
 * in virtual time at the same one in each run. stopped() is called if the condition holds;
 * otherwise the machine goes on at once, and the hit is counted. What the host writes is no access,
 * and KVM does not see the accesses of instructions that it emulates.
 *
 * The machine is paused meanwhile if it runs. *@ret_number names the watch until it is removed.
 * -ENOSPC: it has as many as it can have. -EBUSY: a part of the memory is watched already; the same
 * memory can be watched more than once, in the same kind of accesses. -EOPNOTSUPP: this backend
 * could not even watch it alone; a test that needs it is skipped.
 */
int kt_machine_watch(struct kt_machine *machine, const struct kt_watch *watch,
		     unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr);

/* Removes a watch. -ENOENT: there is none with this number. */
int kt_machine_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		       struct kt_err *reterr);

/* Begins to count the time that the host takes from the machine. */
void kt_machine_mark_steal(struct kt_machine *machine);

/*
 * Ends a machine whose guest has asked for that, at once. The event loop then calls exited() with
 * KT_EXIT_SHUTDOWN, after the last byte of port and console, as if the guest had powered off.
 */
void kt_machine_power_off(struct kt_machine *machine);

/*
 * The clock by which the machine's owner is patient, in ns: CLOCK_MONOTONIC without what the host
 * has stolen from the machine, or the CPU time that it has used if its time is virtual. 0 before
 * the start and after the end. A host that gives it no CPU is no reason to end it.
 */
uint64_t kt_machine_clock_ns(struct kt_machine *machine);

/*
 * Returns how long the host kept one of the machine's threads waiting for a CPU since the mark: the
 * longest of all threads, in ns. Times that the guest measures may be off by as much. 0 when the
 * host's kernel does not count.
 */
uint64_t kt_machine_stolen_ns(struct kt_machine *machine);

/*
 * What the backend has counted about this machine so far, for people and benchmarks: an object of
 * groups, each an object of integers whose unit the group's name ends with. docs/results.md has the
 * names. To be released; NULL: nothing is counted, or there is no memory.
 */
json_t *kt_machine_figures(struct kt_machine *machine);

/*
 * Kills the machine, whatever it does, and frees it; exited() is not called any more. If the host's
 * kernel does not let go of it within 30 s, the console tells so, and its memory goes with this
 * process. NULL is allowed. Returns NULL, to be stored back.
 */
struct kt_machine *kt_machine_destroy(struct kt_machine *machine);
