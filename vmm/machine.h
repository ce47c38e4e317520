/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtual machine: configured, started, driven by one event loop, destroyed from any state.
 *
 * This is the contract that backends implement (vmm/qemu). Nothing above it knows which one runs.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/err.h"
#include "util/loop.h"
#include "vmm/mem.h"
#include "wire/hello.h"

enum kt_accel {
	KT_ACCEL_TCG, /* instruction translation: everywhere, some ten times slower */
	KT_ACCEL_KVM, /* hardware virtualisation */
};

const char *kt_accel_name(enum kt_accel accel);

/* Every dimension at least 1; numa_nodes divides llcs. */
struct kt_machine_topology {
	unsigned int numa_nodes;
	unsigned int llcs;    /* in all */
	unsigned int cores;   /* per LLC */
	unsigned int threads; /* per core */
};

/* All pointers are borrowed until the machine is started. */
struct kt_machine_config {
	const char *kernel; /* path of a vmlinux with a PVH entry, or of a bzImage */
	int initramfs_fd;   /* open for reading */
	const char *cmdline;
	struct kt_machine_topology topology;
	unsigned int memory_mib;
	enum kt_accel accel;
	const char *qemu;       /* path of the program */
	bool tcg_single_thread; /* one thread for all vCPUs: for a QEMU that is too old for more */
	/*
	 * A file that is the guest's RAM, shared; it is given the right length. A machine that is to
	 * be saved needs one. -1: in a boot memory without a file, in a restore a copy-on-write view
	 * of the image's.
	 */
	int ram_fd;
};

/*
 * A machine that was saved: its RAM, as the file of its configuration was left, and everything
 * else. Any number of machines can be restored from it at once; none changes it.
 */
struct kt_machine_image {
	int ram_fd;
	int state_fd;
};

/* Why a machine ended. Only KT_EXIT_SHUTDOWN is success. */
enum kt_exit_reason {
	KT_EXIT_SHUTDOWN,  /* the guest powered off */
	KT_EXIT_RESET,     /* the guest asked for a reset: a panic, or a triple fault */
	KT_EXIT_PANIC,     /* the guest reported a panic */
	KT_EXIT_DESTROYED, /* by its owner */
	KT_EXIT_VMM_ERROR, /* the virtual machine monitor failed */
};

struct kt_machine_exit {
	enum kt_exit_reason reason;
	char detail[512]; /* one sentence for people */
};

/* Called from the event loop; @console from operations too. @exited comes last and once. */
struct kt_machine_events {
	void (*port)(void *data, const uint8_t *bytes, size_t len);
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	void (*exited)(void *data, const struct kt_machine_exit *exit);
};

struct kt_machine;

struct kt_machine_ops {
	const char *name;
	int (*start)(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr);
	int (*restore)(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr);
	int (*save)(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		    struct kt_err *reterr);
	int (*guard)(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr);
	int (*memory)(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr);
	int (*port_write)(struct kt_machine *machine, const struct iovec *parts, size_t n);
	int (*pause)(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
	int (*resume)(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
	uint64_t (*stolen_ns)(struct kt_machine *machine);
	void (*destroy)(struct kt_machine *machine);
};

/* What backends embed as their first member. */
struct kt_machine {
	const struct kt_machine_ops *ops;
	struct kt_loop *loop;
	const struct kt_machine_events *events;
	void *data;
};

/* Makes one of the host's backend. @events and @data must live as long as it. */
int kt_machine_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
		   struct kt_machine **ret_machine, struct kt_err *reterr);

/* Boots. On failure the machine can only be destroyed. */
int kt_machine_start(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr);

/*
 * Continues a saved machine in a new one. If @config has a RAM file, that must hold a copy of the
 * image's. Its kernel, initramfs and command line are not used; the rest must be as it was.
 */
int kt_machine_restore(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr);

/*
 * Stops the machine and writes everything but its RAM to @state_fd, a regular file. The RAM file of
 * its configuration and @state_fd are then an image, once the machine is destroyed, which is all
 * that can be done with it.
 */
int kt_machine_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		    struct kt_err *reterr);

/*
 * Tells what the guest has said of its kernel, so that the machine can undo a death that it has caused
 * itself (vmm/qemu/stale.h); on its console it says when it has. Before a restore, or while the guest
 * runs, which is paused for it. Only the first that knows the kernel's die() counts.
 */
int kt_machine_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr);

/* Access to the guest's RAM, good as long as the machine; to be released by kt_mem_deinit(). */
int kt_machine_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr);

/* Queues bytes for the guest's end of the port, to arrive together; never blocks. */
int kt_machine_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n);

/* Returns when every vCPU is parked, or -ETIMEDOUT naming what is not. */
int kt_machine_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
int kt_machine_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * How long the host has kept one of its threads waiting for a CPU since it was started: the largest of
 * all of them. What the guest measures may be off by as much. 0 when nobody knows.
 */
uint64_t kt_machine_stolen_ns(struct kt_machine *machine);

/* Ends it, whatever it does, and frees it; @exited is not called any more. NULL is allowed. */
struct kt_machine *kt_machine_destroy(struct kt_machine *machine);
