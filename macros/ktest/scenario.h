/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Scenarios as data: cgroups with workers and payloads, operations on them, and steps in time.
 *
 * Milliseconds of timeouts are stretched on a slow machine (docs/running.md); those of holds and
 * durations are not. All memory that a scenario points to must exist until the end of the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/cpuset.h>
#include <ktest/kernel.h>
#include <ktest/watch.h>
#include <ktest/work.h>

/* declared in ktest/ctx.h */
struct kt_ctx;
struct kt_payload;   /* ktest/payload.h */
struct kt_scheduler; /* ktest/scheduler.h */

/* ---- cgroups --------------------------------------------------------------------------------- */

/* Values of limits. A limit of 0 leaves the kernel's value; these stand for "max" and for 0. */
#define KT_UNLIMITED UINT64_MAX       /* "max" */
#define KT_ZERO      (UINT64_MAX - 1) /* 0 */

/**
 * struct kt_cgroup_def - a cgroup and what runs in it
 * @name:   path below the scenario's root cgroup (/sys/fs/cgroup/ktest): "workers", "a/b". At most
 *          200 characters, without a leading slash; no part begins with a dot or "cgroup.".
 *          Cgroups above it that do not exist are created.
 * @work:   KT_WORK() or KT_WORKS(): workers that are started in it. NULL: none.
 * @payload: a program that is started in it. NULL: none.
 * @payload_args: arguments that follow the payload's own, NULL-terminated. NULL: none.
 * @cpuset: cpuset.cpus. Default: the CPUs of the cgroup above.
 * @mems:   cpuset.mems, a list of NUMA nodes: "0,1". Default: the nodes of @cpuset.
 * @cpu_quota_pct: cpu.max, in per cent of one CPU, with a period of 100 ms; or
 * @cpu_quota_us: cpu.max, in microseconds per period, at least 1000.
 * @cpu_period_us: the period for @cpu_quota_us, in microseconds, 1000..1 000 000. Default 100 000.
 * @cpu_weight: cpu.weight, 1..10 000.
 * @io_weight: io.weight, 1..10 000.
 * @memory_max, @memory_high, @memory_low, @memory_swap_max: the limit of that name, in bytes;
 *          KT_UNLIMITED is "max", KT_ZERO is 0.
 * @pids_max: pids.max, number of processes and threads; KT_UNLIMITED is "max", KT_ZERO is 0.
 * @sched, @nice, @affinity, @mempolicy, @comm, @uid, @gid: defaults for the works that leave the
 *          member of the same name at 0; see struct kt_work.
 * @swappable: all of its works are swappable; see struct kt_work.
 * @end:    terminates a list; set by the macros.
 *
 * A member that is 0 or NULL leaves the kernel's value as it is. Limits of memory, I/O and pids
 * need their controller enabled in the cgroup above. The kernel refuses to enable it while that
 * cgroup has processes; the step fails then.
 */
struct kt_cgroup_def {
	const char *name;
	const struct kt_work *work;
	const struct kt_payload *payload;
	const char *const *payload_args;
	struct kt_cpuset cpuset;
	const char *mems;
	unsigned int cpu_quota_pct;
	unsigned int cpu_quota_us;
	unsigned int cpu_period_us;
	unsigned int cpu_weight;
	unsigned int io_weight;
	uint64_t memory_max;
	uint64_t memory_high;
	uint64_t memory_low;
	uint64_t memory_swap_max;
	uint64_t pids_max;
	struct kt_sched sched;
	int nice;
	struct kt_affinity affinity;
	struct kt_mempolicy mempolicy;
	const char *comm;
	unsigned int uid;
	unsigned int gid;
	bool swappable;
	bool end; /* terminates a list; set by the macros */
};

/* ---- ends and maps of schedulers ------------------------------------------------------------- */

/**
 * enum kt_scx_exit - why the kernel has ended a scheduler
 *
 * Values of enum scx_exit_kind (kernel/sched/ext_internal.h), and three that are ktest's own.
 */
enum kt_scx_exit {
	KT_SCX_EXIT_NONE = 0,           /* ktest's own: no kind is given */
	KT_SCX_EXIT_UNREG = 64,         /* user space has unregistered it */
	KT_SCX_EXIT_UNREG_BPF = 65,     /* scx_bpf_exit() */
	KT_SCX_EXIT_UNREG_KERN = 66,    /* the kernel has, without a fault of the scheduler */
	KT_SCX_EXIT_SYSRQ = 67,         /* sysrq-S */
	KT_SCX_EXIT_ERROR = 1024,       /* the kernel has found a fault of the scheduler */
	KT_SCX_EXIT_ERROR_BPF = 1025,   /* scx_bpf_error() */
	KT_SCX_EXIT_ERROR_STALL = 1026, /* the watchdog: a runnable task did not get to run */
	KT_SCX_EXIT_ANY = 0xfffe,       /* ktest's own: in an expectation, any kind */
	KT_SCX_EXIT_OTHER = 0xffff,     /* ktest's own: the kind is not known */
};

/**
 * struct kt_expected_exit - an end of a scheduler that a test expects
 * @kind:            the kind of the end. KT_SCX_EXIT_ANY matches any kind, and so does
 *                   KT_SCX_EXIT_NONE if @reason_contains is set.
 * @reason_contains: a part of the kernel's reason or message. NULL: any.
 */
struct kt_expected_exit {
	enum kt_scx_exit kind;
	const char *reason_contains;
};

/**
 * struct kt_bpf_ref - a place in a BPF map; written with KT_BPF()
 * @map:    name of the map as the kernel has it. The data sections of "fifo.bpf.o" are "fifo.bss",
 *          "fifo.data" and "fifo.rodata". Only the first 15 characters are compared, as the kernel
 *          keeps no more (BPF_OBJ_NAME_LEN, include/uapi/linux/bpf.h).
 * @field:  the way to a field of the value: "stall", "cells[2].cpus". NULL: the whole value.
 * @key:    index of an array, or key of a hash as a number. Default 0.
 * @cpu:    for a per-CPU map, the CPU whose value it is. Default 0.
 * @pinned: use the map that KT_PIN_BPF_MAP() holds under that name. Default: the newest map of
 *          that name.
 *
 * Arrays, hashes, and their per-CPU and LRU forms are supported; keys have at most 64 bytes.
 */
struct kt_bpf_ref {
	const char *map;
	const char *field;
	uint64_t key;
	unsigned int cpu;
	bool pinned;
};

/* KT_BPF() - a place in a BPF map: KT_BPF("fifo.bss", .field = "nr_queued") */
#define KT_BPF(map_name, ...) ((struct kt_bpf_ref){ .map = (map_name), __VA_ARGS__ })

/* ---- operations ------------------------------------------------------------------------------ */

/** enum kt_op_kind - the kinds of operations; see the macros below */
enum kt_op_kind {
	KT_OP_NONE, /* zero, so that an operation that was never set is refused */
	KT_OP_ADD_CGROUP,
	KT_OP_ADD_CGROUP_DEF,
	KT_OP_REMOVE_CGROUP,
	KT_OP_STOP_CGROUP,
	KT_OP_FREEZE_CGROUP,
	KT_OP_UNFREEZE_CGROUP,
	KT_OP_SET_CPUSET,
	KT_OP_CLEAR_CPUSET,
	KT_OP_SWAP_CPUSETS,
	KT_OP_SPAWN,
	KT_OP_SET_AFFINITY,
	KT_OP_MOVE_ALL_TASKS,
	KT_OP_RUN_PAYLOAD,
	KT_OP_WAIT_PAYLOAD,
	KT_OP_KILL_PAYLOAD,
	KT_OP_CAPTURE_CGROUP_PROCS,
	KT_OP_CAPTURE_CGROUP_THREADS,
	KT_OP_CAPTURE_SNAPSHOT,
	KT_OP_STEER_IRQ,
	KT_OP_ATTACH_SCHEDULER,
	KT_OP_DETACH_SCHEDULER,
	KT_OP_RESTART_SCHEDULER,
	KT_OP_REPLACE_SCHEDULER,
	KT_OP_AWAIT_SCHEDULER_EXIT,
	KT_OP_PIN_BPF_MAP,
	KT_OP_WRITE_BPF_MAP,
	KT_OP_READ_BPF_MAP,
	KT_OP_WRITE_KERNEL_HOT,
	KT_OP_WRITE_KERNEL_COLD,
	KT_OP_READ_KERNEL_HOT,
	KT_OP_READ_KERNEL_COLD,
	KT_OP_WATCH,
	KT_OP_UNWATCH,
	KT_N_OP_KINDS,
};

/**
 * struct kt_op - one operation; written with the macros below
 * @kind:      what it does; it decides which of the following members count.
 * @cgroup:    name of the cgroup that it is about. "": the root cgroup, where PID 1 is.
 * @to:        name of the second cgroup, for operations on two.
 * @def:       KT_ADD_CGROUP_DEF(): the definition.
 * @work:      KT_SPAWN(): the workers.
 * @cpus:      KT_SET_CPUSET(): the CPUs.
 * @affinity:  KT_SET_AFFINITY(): the affinity.
 * @payload:   operations on payloads: the payload.
 * @args:      further arguments of a payload or scheduler, NULL-terminated; NULL: none.
 * @timeout_ms: operations that wait for an end: how long, in milliseconds, at least 1.
 * @tag:       operations that store something: the name that it is stored under, not empty.
 * @irq_label: KT_STEER_IRQ_BY_LABEL(): name of an action of the interrupt; NULL: @irq counts.
 * @irq:       KT_STEER_IRQ(): number of the interrupt.
 * @cpu:       KT_STEER_IRQ(), _BY_LABEL(): number of the CPU.
 * @scheduler: operations that attach a scheduler: the scheduler.
 * @if_any:    KT_DETACH_SCHEDULER_IF_ANY(): succeed if no scheduler is attached.
 * @bpf:       operations on BPF maps: the place.
 * @value:     KT_WRITE_BPF_MAP(): the number.
 * @kernel:    operations on the kernel's memory: the reads or writes, in order.
 * @watch:     KT_WATCH(): what is watched.
 * @end:       terminates a list; set by the macros.
 *
 * An operation that fails ends the scenario, and fails the test with the operation, the cgroup and
 * the kernel's error. What can be known beforehand is checked before any machine starts.
 */
struct kt_op {
	enum kt_op_kind kind;
	const char *cgroup;
	const char *to;
	const struct kt_cgroup_def *def;
	const struct kt_work *work;
	struct kt_cpuset cpus;
	struct kt_affinity affinity;
	const struct kt_payload *payload;
	const char *const *args;
	unsigned int timeout_ms;
	const char *tag;
	const char *irq_label;
	unsigned int irq;
	unsigned int cpu;
	const struct kt_scheduler *scheduler;
	bool if_any;
	struct kt_bpf_ref bpf;
	uint64_t value;
	const struct kt_kernel_pair *kernel;
	const struct kt_kernel_watch *watch;
	bool end; /* terminates a list; set by the macros */
};

/* Creates an empty cgroup, and the cgroups above it. An error if it exists. */
#define KT_ADD_CGROUP(name)                                                                        \
	{                                                                                          \
		.kind = KT_OP_ADD_CGROUP, .cgroup = (name)                                         \
	}
/*
 * Creates a cgroup with limits, workers and a payload: KT_ADD_CGROUP_DEF("w", .work = ...). Takes
 * the members of struct kt_cgroup_def. An error if the cgroup exists.
 */
#define KT_ADD_CGROUP_DEF(cgroup_name, ...)                                                        \
	{                                                                                          \
		.kind = KT_OP_ADD_CGROUP_DEF, .cgroup = (cgroup_name),                             \
		.def = (const struct kt_cgroup_def[])                                              \
		{                                                                                  \
			{                                                                          \
				.name = (cgroup_name), __VA_ARGS__                                 \
			}                                                                          \
		}                                                                                  \
	}
/*
 * Stops the cgroup's workers and payloads, and removes the cgroup. Its name can be used again. An
 * error if the cgroup does not exist.
 */
#define KT_REMOVE_CGROUP(name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_REMOVE_CGROUP, .cgroup = (name)                                      \
	}
/* Stops the cgroup's workers and payloads, and keeps the cgroup. */
#define KT_STOP_CGROUP(name)                                                                       \
	{                                                                                          \
		.kind = KT_OP_STOP_CGROUP, .cgroup = (name)                                        \
	}
/*
 * Freezes all tasks of the cgroup (cgroup.freeze). Waits until cgroup.events has "frozen 1" and
 * none of the tasks is on a CPU; an error if that takes more than 5 s. May be repeated. A frozen
 * cgroup is thawed before it is removed.
 */
#define KT_FREEZE_CGROUP(name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_FREEZE_CGROUP, .cgroup = (name)                                      \
	}
/*
 * Thaws the cgroup. Waits until cgroup.events has "frozen 0", unless a cgroup above it is frozen;
 * an error if that takes more than 5 s. May be repeated.
 */
#define KT_UNFREEZE_CGROUP(name)                                                                   \
	{                                                                                          \
		.kind = KT_OP_UNFREEZE_CGROUP, .cgroup = (name)                                    \
	}
/*
 * Sets the cgroup's CPUs (cpuset.cpus): KT_SET_CPUSET("w", KT_CPUSET_LLC(0)). An error if the
 * kernel gives it fewer (cpuset.cpus.effective), because a cgroup above it has fewer.
 */
#define KT_SET_CPUSET(name, ...)                                                                   \
	{                                                                                          \
		.kind = KT_OP_SET_CPUSET, .cgroup = (name), .cpus = __VA_ARGS__                    \
	}
/* Empties cpuset.cpus, so that the cgroup has the CPUs of the cgroup above it. */
#define KT_CLEAR_CPUSET(name)                                                                      \
	{                                                                                          \
		.kind = KT_OP_CLEAR_CPUSET, .cgroup = (name)                                       \
	}
/*
 * Exchanges cpuset.cpus of two cgroups. An error if one of them has none, or if they are the same.
 */
#define KT_SWAP_CPUSETS(a, b)                                                                      \
	{                                                                                          \
		.kind = KT_OP_SWAP_CPUSETS, .cgroup = (a), .to = (b)                               \
	}
/*
 * Starts workers in an existing cgroup: KT_SPAWN("w", KT_SPIN_WAIT, .workers = 4). Takes the
 * members of struct kt_work. The defaults of the cgroup's definition do not apply to them.
 */
#define KT_SPAWN(name, work_type, ...)                                                             \
	{                                                                                          \
		.kind = KT_OP_SPAWN, .cgroup = (name), .work = KT_WORK(work_type, __VA_ARGS__)     \
	}
/* As KT_SPAWN(), in the root cgroup, where PID 1 is; .workers_pct is not allowed. */
#define KT_SPAWN_IN_RUNNER(work_type, ...) KT_SPAWN("", work_type, __VA_ARGS__)
/*
 * Changes the affinity of all workers in the cgroup: KT_SET_AFFINITY("w", KT_SINGLE_CPU). An error
 * if the cgroup has no workers, or if the affinity has no CPU of the cgroup's cpuset.
 */
#define KT_SET_AFFINITY(name, ...)                                                                 \
	{                                                                                          \
		.kind = KT_OP_SET_AFFINITY, .cgroup = (name), .affinity = __VA_ARGS__              \
	}
/*
 * Moves all tasks of a cgroup to another one. Its workers and payloads then end with that one. The
 * source "" stands for the workers that KT_SPAWN_IN_RUNNER() has started.
 *
 * An error if both are the same cgroup, or if the backdrop owns the source and a step owns the
 * destination: the tasks would lose their cgroup at the end of the step.
 */
#define KT_MOVE_ALL_TASKS(from, to_cgroup)                                                         \
	{                                                                                          \
		.kind = KT_OP_MOVE_ALL_TASKS, .cgroup = (from), .to = (to_cgroup)                  \
	}
/*
 * Starts a payload in a cgroup; "" is the root cgroup, where PID 1 is. An error if the payload
 * already runs in that cgroup.
 */
#define KT_RUN_PAYLOAD(payload_ref, name)                                                          \
	{                                                                                          \
		.kind = KT_OP_RUN_PAYLOAD, .cgroup = (name), .payload = (payload_ref)              \
	}
/* As KT_RUN_PAYLOAD(), with arguments that follow the payload's own; at least one. */
#define KT_RUN_PAYLOAD_WITH(payload_ref, name, ...)                                                \
	{                                                                                          \
		.kind = KT_OP_RUN_PAYLOAD, .cgroup = (name), .payload = (payload_ref),             \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Waits until a payload ends, at most @ms milliseconds, and then makes its checks. An error if it
 * does not end in time, or if it does not run. A cgroup of NULL stands for whichever cgroup the
 * payload runs in; an error if it runs in several.
 */
#define KT_WAIT_PAYLOAD(payload_ref, name, ms)                                                     \
	{                                                                                          \
		.kind = KT_OP_WAIT_PAYLOAD, .cgroup = (name), .payload = (payload_ref),            \
		.timeout_ms = (ms)                                                                 \
	}
/*
 * Kills a payload and the processes of its group, and makes its checks, except those of the exit
 * code. An error if it does not run. A cgroup of NULL is as for KT_WAIT_PAYLOAD().
 */
#define KT_KILL_PAYLOAD(payload_ref, name)                                                         \
	{                                                                                          \
		.kind = KT_OP_KILL_PAYLOAD, .cgroup = (name), .payload = (payload_ref)             \
	}
/* Stores the process IDs in a cgroup (cgroup.procs) under a tag, for kt_captured(). */
#define KT_CAPTURE_CGROUP_PROCS(tag_name, name)                                                    \
	{                                                                                          \
		.kind = KT_OP_CAPTURE_CGROUP_PROCS, .cgroup = (name), .tag = (tag_name)            \
	}
/* As KT_CAPTURE_CGROUP_PROCS(), for thread IDs (cgroup.threads). */
#define KT_CAPTURE_CGROUP_THREADS(tag_name, name)                                                  \
	{                                                                                          \
		.kind = KT_OP_CAPTURE_CGROUP_THREADS, .cgroup = (name), .tag = (tag_name)          \
	}
/*
 * Takes a snapshot of the whole machine, and keeps it under a name of 1 to 40 letters, digits, '_',
 * '-' and '.': KT_CAPTURE_SNAPSHOT("busy"). See kt_capture(). An error if it cannot be taken.
 */
#define KT_CAPTURE_SNAPSHOT(snapshot_name)                                                         \
	{                                                                                          \
		.kind = KT_OP_CAPTURE_SNAPSHOT, .tag = (snapshot_name)                             \
	}
/* Directs interrupt @number to a CPU (smp_affinity_list). An error if the CPU is not online. */
#define KT_STEER_IRQ(number, cpu_number)                                                           \
	{                                                                                          \
		.kind = KT_OP_STEER_IRQ, .irq = (number), .cpu = (cpu_number)                      \
	}
/* As KT_STEER_IRQ(), by the name of an action in /proc/interrupts: "virtio0-virtqueues". */
#define KT_STEER_IRQ_BY_LABEL(label, cpu_number)                                                   \
	{                                                                                          \
		.kind = KT_OP_STEER_IRQ, .irq_label = (label), .cpu = (cpu_number)                 \
	}

/*
 * Starts a scheduler, and waits until the kernel has enabled it. An error if one is attached. If
 * the kernel does not enable it within 30 s, the test is an ERROR with what the scheduler has
 * printed, which includes the verifier's log.
 */
#define KT_ATTACH_SCHEDULER(scheduler_ref)                                                         \
	{                                                                                          \
		.kind = KT_OP_ATTACH_SCHEDULER, .scheduler = (scheduler_ref)                       \
	}
/* As KT_ATTACH_SCHEDULER(), with further arguments; for an object, further variables. */
#define KT_ATTACH_SCHEDULER_WITH(scheduler_ref, ...)                                               \
	{                                                                                          \
		.kind = KT_OP_ATTACH_SCHEDULER, .scheduler = (scheduler_ref),                      \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Detaches the scheduler: sysrq-S makes the kernel disable it, and SIGTERM asks its process to end.
 * The process is killed if it has not ended within 10 s, which is an error. An error if no
 * scheduler is attached.
 */
#define KT_DETACH_SCHEDULER()                                                                      \
	{                                                                                          \
		.kind = KT_OP_DETACH_SCHEDULER                                                     \
	}
/* As KT_DETACH_SCHEDULER(), but does nothing if no scheduler is attached. */
#define KT_DETACH_SCHEDULER_IF_ANY()                                                               \
	{                                                                                          \
		.kind = KT_OP_DETACH_SCHEDULER, .if_any = true                                     \
	}
/*
 * Detaches the scheduler that is attached, and attaches it again with the same arguments. An error
 * if none is attached.
 */
#define KT_RESTART_SCHEDULER()                                                                     \
	{                                                                                          \
		.kind = KT_OP_RESTART_SCHEDULER                                                    \
	}
/*
 * Detaches the scheduler that is attached, and attaches another one. An error if none is attached.
 */
#define KT_REPLACE_SCHEDULER(scheduler_ref)                                                        \
	{                                                                                          \
		.kind = KT_OP_REPLACE_SCHEDULER, .scheduler = (scheduler_ref)                      \
	}
/* As KT_REPLACE_SCHEDULER(), with further arguments; at least one. */
#define KT_REPLACE_SCHEDULER_WITH(scheduler_ref, ...)                                              \
	{                                                                                          \
		.kind = KT_OP_REPLACE_SCHEDULER, .scheduler = (scheduler_ref),                     \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Waits until the scheduler ends by itself, for .expect_scheduler_exit. Does not wait if one has
 * ended by itself before. An error if the scheduler has not ended within @ms milliseconds, or if
 * none is attached.
 */
#define KT_AWAIT_SCHEDULER_EXIT(ms)                                                                \
	{                                                                                          \
		.kind = KT_OP_AWAIT_SCHEDULER_EXIT, .timeout_ms = (ms)                             \
	}
/*
 * Holds a BPF map until the end of the test, so that it outlives its scheduler. Operations with
 * .pinned of struct kt_bpf_ref use that map. If several maps have the name, the oldest one is held.
 * Does nothing if a map of that name is held already.
 */
#define KT_PIN_BPF_MAP(map_name)                                                                   \
	{                                                                                          \
		.kind = KT_OP_PIN_BPF_MAP, .bpf = {.map = (map_name) }                             \
	}
/*
 * Writes a number to a field of a BPF map: KT_WRITE_BPF_MAP("fault.bss", "stall", 1). See
 * kt_bpf_write().
 */
#define KT_WRITE_BPF_MAP(map_name, field_path, number)                                             \
	{                                                                                          \
		.kind = KT_OP_WRITE_BPF_MAP, .value = (uint64_t)(number),                          \
		.bpf = {.map = (map_name),                                                         \
			.field = (field_path) }                                                    \
	}
/*
 * As KT_WRITE_BPF_MAP(), with any members of struct kt_bpf_ref:
 * KT_WRITE_BPF_MAP_AT(1, "m", .key = 3, .cpu = 1).
 */
#define KT_WRITE_BPF_MAP_AT(number, map_name, ...)                                                 \
	{                                                                                          \
		.kind = KT_OP_WRITE_BPF_MAP, .value = (uint64_t)(number),                          \
		.bpf = {.map = (map_name),                                                         \
			__VA_ARGS__ }                                                              \
	}

/*
 * Reads a number from a field of a BPF map, and stores it under a tag for kt_bpf_captured():
 * KT_READ_BPF_MAP("n", "a.bss", "nr").
 */
#define KT_READ_BPF_MAP(tag_name, map_name, field_path)                                            \
	{                                                                                          \
		.kind = KT_OP_READ_BPF_MAP, .tag = (tag_name),                                     \
		.bpf = {.map = (map_name),                                                         \
			.field = (field_path) }                                                    \
	}
/* As KT_READ_BPF_MAP(), with any members of struct kt_bpf_ref. */
#define KT_READ_BPF_MAP_AT(tag_name, map_name, ...)                                                \
	{                                                                                          \
		.kind = KT_OP_READ_BPF_MAP, .tag = (tag_name),                                     \
		.bpf = {.map = (map_name),                                                         \
			__VA_ARGS__ }                                                              \
	}

/* An operation on the memory of the guest's kernel, with these pairs. */
#define KT_KERNEL_OP(op, ...)                                                                      \
	{                                                                                          \
		.kind = (op), .kernel = (const struct kt_kernel_pair[])                            \
		{                                                                                  \
			__VA_ARGS__,                                                               \
			{                                                                          \
				.end = true                                                        \
			}                                                                          \
		}                                                                                  \
	}
/*
 * Writes to the memory of the guest's kernel, while its vCPUs run:
 * KT_WRITE_KERNEL_HOT(KT_PUT(KT_KERNEL_SYMBOL("jiffies_64"), KT_KERNEL_U64(n)), ...). Takes one or
 * more KT_PUT(), which are made in their order. All places are looked up before the first is
 * written; an error if one of them does not exist.
 *
 * Bits (KT_KERNEL_OR_U32()) are set in one step; an error where that is not possible, as the RAM of
 * a forked machine in real time is private to it.
 */
#define KT_WRITE_KERNEL_HOT(...) KT_KERNEL_OP(KT_OP_WRITE_KERNEL_HOT, __VA_ARGS__)
/*
 * As KT_WRITE_KERNEL_HOT(), while all vCPUs stand still: no code of the guest sees one write
 * without the others. Such operations that follow each other are made as one.
 */
#define KT_WRITE_KERNEL_COLD(...) KT_KERNEL_OP(KT_OP_WRITE_KERNEL_COLD, __VA_ARGS__)
/*
 * Reads from the memory of the guest's kernel, while its vCPUs run, for kt_kernel_captured():
 * KT_READ_KERNEL_HOT(KT_GET("kind", KT_KERNEL_PATH("scx_root->exit_kind"), KT_AS_NUMBER), ...).
 * Takes one or more KT_GET(). The values are in the JSON output, too.
 */
#define KT_READ_KERNEL_HOT(...) KT_KERNEL_OP(KT_OP_READ_KERNEL_HOT, __VA_ARGS__)
/*
 * As KT_READ_KERNEL_HOT(), while all vCPUs stand still: the values are of one moment. Such
 * operations that follow each other are made as one.
 */
#define KT_READ_KERNEL_COLD(...) KT_KERNEL_OP(KT_OP_READ_KERNEL_COLD, __VA_ARGS__)

/*
 * Watches memory of the guest's kernel from now on: KT_WATCH("runqueues[cpu 1].nr_running",
 * .when = KT_GT(3), .interval_ms = 10). Takes the members of struct kt_kernel_watch. At each hit
 * the machine stands still, and its state is captured. An error if the path leads nowhere, if a
 * watch has that name already, or if the machine cannot have one more.
 */
#define KT_WATCH(path_, ...)                                                                       \
	{                                                                                          \
		.kind = KT_OP_WATCH, .watch = (const struct kt_kernel_watch[])                     \
		{                                                                                  \
			{                                                                          \
				.path = (path_), __VA_ARGS__                                       \
			}                                                                          \
		}                                                                                  \
	}
/* KT_WATCH() of each write to a variable: KT_WATCH_SNAPSHOT("jiffies_64"). */
#define KT_WATCH_SNAPSHOT(symbol) KT_WATCH(symbol, .name = (symbol))
/* Ends a watch, by its name. An error if there is none of that name. */
#define KT_UNWATCH(watch_name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_UNWATCH, .tag = (watch_name)                                         \
	}

/* ---- steps ----------------------------------------------------------------------------------- */

/** enum kt_hold_kind - how the length of a hold is given */
enum kt_hold_kind {
	KT_HOLD_NONE,     /* no hold: the step ends when its operations are done */
	KT_HOLD_FRACTION, /* a fraction of the test's .duration_ms */
	KT_HOLD_FIXED,    /* a number of milliseconds */
	KT_HOLD_REPEAT,   /* the operations are repeated until the test's .duration_ms is over */
};

/**
 * struct kt_hold - how long a step lasts after its setup and operations; see the macros below
 * @kind:     which of the following members counts.
 * @fraction: KT_HOLD_FRACTION: fraction of the test's .duration_ms, above 0 and at most 1.
 * @ms:       KT_HOLD_FIXED: milliseconds, 0 allowed. KT_HOLD_REPEAT: milliseconds from the
 *            beginning of one round to that of the next, at least 1.
 *
 * The holds of all steps together must not exceed .duration_ms.
 */
struct kt_hold {
	enum kt_hold_kind kind;
	double fraction;
	unsigned int ms;
};

/* KT_HOLD_FRAC() - the fraction @f of the test's .duration_ms, 0 < f <= 1 */
#define KT_HOLD_FRAC(f)                                                                            \
	{                                                                                          \
		.kind = KT_HOLD_FRACTION, .fraction = (f)                                          \
	}
/* KT_HOLD_MS() - @n milliseconds */
#define KT_HOLD_MS(n)                                                                              \
	{                                                                                          \
		.kind = KT_HOLD_FIXED, .ms = (n)                                                   \
	}
/* KT_HOLD_FULL - the whole .duration_ms */
#define KT_HOLD_FULL KT_HOLD_FRAC(1.0)
/*
 * KT_HOLD_LOOP() - the step's operations are done every @n milliseconds until the .duration_ms of
 * the test is over, which counts from the first hold of the test. The setup is done once.
 */
#define KT_HOLD_LOOP(n)                                                                            \
	{                                                                                          \
		.kind = KT_HOLD_REPEAT, .ms = (n)                                                  \
	}

/**
 * struct kt_step - one step of a scenario: setup, then operations, then the hold
 * @name:     for reports. NULL: none.
 * @setup:    KT_SETUP(): cgroups to create, with their workers and payloads. NULL: none.
 * @setup_fn: instead of @setup: a function that returns the list when the step begins. It runs in
 *            the guest. NULL as its result fails the test. The list and all that it points to must
 *            exist until the end of the test. Use static variables: an array that KT_WORK()
 *            creates inside a function is gone when the function returns.
 * @ops:      KT_OPS(): operations, in order. NULL: none.
 * @hold:     KT_HOLD_FRAC(), KT_HOLD_MS(), KT_HOLD_FULL or KT_HOLD_LOOP(). Default: no hold.
 * @end:      terminates a list; set by the macros.
 *
 * A step must have a setup, an operation or a hold.
 *
 * A cgroup that a step creates exists until the end of the last step that names it, or that names a
 * cgroup above or below it; at least until the end of its own step. The same holds for workers and
 * payloads in the root cgroup, whose name is "". At the end of a step, what no later step needs is
 * torn down, newest first, whatever has failed before: payloads are killed, workers are stopped,
 * and the cgroup is thawed and removed.
 */
struct kt_step {
	const char *name;
	const struct kt_cgroup_def *setup;
	const struct kt_cgroup_def *(*setup_fn)(struct kt_ctx *ctx);
	const struct kt_op *ops;
	struct kt_hold hold;
	bool end; /* terminates a list; set by the macros */
};

/**
 * struct kt_backdrop - what exists from before the first step until after the last one
 * @setup: KT_SETUP(): cgroups to create, with their workers and payloads. NULL: none.
 * @ops:   KT_OPS(): operations, done once after the setup. NULL: none.
 *
 * Its cgroups, workers and payloads live until the end of the test.
 */
struct kt_backdrop {
	const struct kt_cgroup_def *setup;
	const struct kt_op *ops;
};

/* KT_SETUP() - the setup of a step or backdrop, a list of struct kt_cgroup_def; at least one */
#define KT_SETUP(...)                                                                              \
	.setup = (const struct kt_cgroup_def[])                                                    \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
/* KT_OPS() - the operations of a step or backdrop, a list of operation macros; at least one */
#define KT_OPS(...)                                                                                \
	.ops = (const struct kt_op[])                                                              \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
/* KT_STEPS() - the steps of a test, a list of struct kt_step; at least one */
#define KT_STEPS(...) ((const struct kt_step[]){ __VA_ARGS__, { .end = true } })
