/* SPDX-License-Identifier: MIT */
#pragma once
/* Scenarios as data: cgroups with workers, operations on them, and steps in time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/cpuset.h>
#include <ktest/work.h>

struct kt_ctx;
struct kt_payload;   /* ktest/payload.h */
struct kt_scheduler; /* ktest/scheduler.h */

/* ---- cgroups ------------------------------------------------------------------------------------ */

/* Values of limits, in which 0 means that nothing is said. */
#define KT_UNLIMITED UINT64_MAX       /* "max" */
#define KT_ZERO      (UINT64_MAX - 1) /* 0 */

/**
 * struct kt_cgroup_def - a cgroup and what runs in it
 * @name:   path below the scenario's root, without a leading slash: "workers", "a/b". Parents are
 *          created as needed.
 * @work:   KT_WORK() or KT_WORKS(); NULL for an empty cgroup.
 * @payload, @payload_args: a program that runs in it, and what is added to its arguments.
 * @cpuset: cpuset.cpus.
 * @mems:   cpuset.mems: "0,1". Default: the nodes of @cpuset.
 * @cpu_quota_pct: cpu.max, in per cent of one CPU, with a period of 100 ms; or
 * @cpu_quota_us, @cpu_period_us: in microseconds (period 1,000..1,000,000, default 100,000).
 * @cpu_weight, @io_weight: 1..10000 (cpu.weight, io.weight).
 * @memory_max, @memory_high, @memory_low, @memory_swap_max: bytes.
 * @pids_max: processes.
 * @sched, @nice, @affinity, @mempolicy, @comm, @uid, @gid, @swappable: for those of its works that do not
 *          say themselves.
 *
 * What is 0 or NULL is left as the kernel has it. Limits of memory and I/O need their controllers enabled
 * in the cgroup above, which the kernel refuses while processes are in that one.
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

/* ---- what schedulers are and have --------------------------------------------------------------- */

/** enum kt_scx_exit - why the kernel has let go of a scheduler (enum scx_exit_kind, kernel/sched/ext_internal.h) */
enum kt_scx_exit {
	KT_SCX_EXIT_NONE = 0,           /* not said */
	KT_SCX_EXIT_UNREG = 64,         /* its program has unregistered it */
	KT_SCX_EXIT_UNREG_BPF = 65,     /* scx_bpf_exit() */
	KT_SCX_EXIT_UNREG_KERN = 66,    /* the kernel, without a fault of the scheduler */
	KT_SCX_EXIT_SYSRQ = 67,         /* sysrq-S */
	KT_SCX_EXIT_ERROR = 1024,       /* it did what it must not */
	KT_SCX_EXIT_ERROR_BPF = 1025,   /* scx_bpf_error() */
	KT_SCX_EXIT_ERROR_STALL = 1026, /* the watchdog: a task was left waiting */
	KT_SCX_EXIT_ANY = 0xfffe,       /* expected: whichever */
	KT_SCX_EXIT_OTHER = 0xffff,     /* in words that are not known here */
};

/**
 * struct kt_expected_exit - an end of a scheduler that a test is about
 * @kind:            which; KT_SCX_EXIT_NONE with a @reason_contains: any.
 * @reason_contains: a part of the kernel's reason or message; NULL: any.
 */
struct kt_expected_exit {
	enum kt_scx_exit kind;
	const char *reason_contains;
};

/**
 * struct kt_bpf_ref - a place in a BPF map; written with KT_BPF()
 * @map:    its name as the kernel has it: for the data of "fifo.bpf.o" "fifo.bss", "fifo.data" or
 *          "fifo.rodata". The kernel keeps 15 characters; of a longer name that many count.
 * @field:  the way to the field in the value: "stall", "cells[2].cpus". NULL: all of the value.
 * @key:    index of an array, or key of a hash as a number. Default 0.
 * @cpu:    of a per-CPU map, whose value. Default 0.
 * @pinned: the one that KT_PIN_BPF_MAP() holds; else the newest of that name.
 */
struct kt_bpf_ref {
	const char *map;
	const char *field;
	uint64_t key;
	unsigned int cpu;
	bool pinned;
};

#define KT_BPF(map_name, ...) ((struct kt_bpf_ref){ .map = (map_name), __VA_ARGS__ })

/* ---- operations --------------------------------------------------------------------------------- */

/** enum kt_op_kind - the operations of a step */
enum kt_op_kind {
	KT_OP_NONE, /* not an operation: one that was never set */
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
	KT_OP_STEER_IRQ,
	KT_OP_ATTACH_SCHEDULER,
	KT_OP_DETACH_SCHEDULER,
	KT_OP_RESTART_SCHEDULER,
	KT_OP_REPLACE_SCHEDULER,
	KT_OP_AWAIT_SCHEDULER_EXIT,
	KT_OP_PIN_BPF_MAP,
	KT_OP_WRITE_BPF_MAP,
	KT_OP_READ_BPF_MAP,
	KT_N_OP_KINDS,
};

/**
 * struct kt_op - one operation; written with the macros below
 * @kind:   which.
 * @cgroup: the cgroup it is about; "" is where PID 1 is.
 * @to:     the other cgroup, for those that have two.
 * The rest are what the macros put there.
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
	bool end; /* terminates a list; set by the macros */
};

/* Creates an empty cgroup. It is an error if it exists. */
#define KT_ADD_CGROUP(name)                                                                        \
	{                                                                                          \
		.kind = KT_OP_ADD_CGROUP, .cgroup = (name)                                         \
	}
/* Creates a cgroup with all that a definition says: KT_ADD_CGROUP_DEF("w", .work = ...). */
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
/* Stops the cgroup's workers and removes it. It is an error if it does not exist. */
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
 * Freezes every task of the cgroup, and waits until cgroup.events says so and none is on a CPU any more.
 * Idempotent. Teardown thaws.
 */
#define KT_FREEZE_CGROUP(name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_FREEZE_CGROUP, .cgroup = (name)                                      \
	}
/* Thaws the cgroup and waits until cgroup.events says so, unless one above is frozen. Idempotent. */
#define KT_UNFREEZE_CGROUP(name)                                                                   \
	{                                                                                          \
		.kind = KT_OP_UNFREEZE_CGROUP, .cgroup = (name)                                    \
	}
/*
 * Gives the cgroup the CPUs: KT_SET_CPUSET("w", KT_CPUSET_LLC(0)). It is an error if the kernel does not
 * let it have all of them (cpuset.cpus.effective), as below a cgroup that has fewer.
 */
#define KT_SET_CPUSET(name, ...)                                                                   \
	{                                                                                          \
		.kind = KT_OP_SET_CPUSET, .cgroup = (name), .cpus = __VA_ARGS__                    \
	}
/* Gives the cgroup all CPUs of the one above it. */
#define KT_CLEAR_CPUSET(name)                                                                      \
	{                                                                                          \
		.kind = KT_OP_CLEAR_CPUSET, .cgroup = (name)                                       \
	}
/* Gives each of the cgroups what the other one has in cpuset.cpus. */
#define KT_SWAP_CPUSETS(a, b)                                                                      \
	{                                                                                          \
		.kind = KT_OP_SWAP_CPUSETS, .cgroup = (a), .to = (b)                               \
	}
/* Starts workers in a cgroup that exists: KT_SPAWN("w", KT_SPIN_WAIT, .workers = 4). */
#define KT_SPAWN(name, work_type, ...)                                                             \
	{                                                                                          \
		.kind = KT_OP_SPAWN, .cgroup = (name), .work = KT_WORK(work_type, __VA_ARGS__)     \
	}
/* Starts workers where PID 1 is, in the root cgroup; .workers_pct is not allowed. */
#define KT_SPAWN_IN_RUNNER(work_type, ...) KT_SPAWN("", work_type, __VA_ARGS__)
/* Gives every worker in the cgroup an affinity: KT_SET_AFFINITY("w", KT_SINGLE_CPU). */
#define KT_SET_AFFINITY(name, ...)                                                                 \
	{                                                                                          \
		.kind = KT_OP_SET_AFFINITY, .cgroup = (name), .affinity = __VA_ARGS__              \
	}
/*
 * Moves all tasks of a cgroup to another one, with which its workers and payloads live from then on. The
 * source "" means the workers that KT_SPAWN_IN_RUNNER() has started. Moving to where they are is an
 * error, and so is moving what the backdrop owns to a cgroup of a step.
 */
#define KT_MOVE_ALL_TASKS(from, to_cgroup)                                                         \
	{                                                                                          \
		.kind = KT_OP_MOVE_ALL_TASKS, .cgroup = (from), .to = (to_cgroup)                  \
	}
/* Starts a program in a cgroup ("": where PID 1 is). */
#define KT_RUN_PAYLOAD(payload_ref, name)                                                          \
	{                                                                                          \
		.kind = KT_OP_RUN_PAYLOAD, .cgroup = (name), .payload = (payload_ref)              \
	}
/* Likewise, with more arguments. */
#define KT_RUN_PAYLOAD_WITH(payload_ref, name, ...)                                                \
	{                                                                                          \
		.kind = KT_OP_RUN_PAYLOAD, .cgroup = (name), .payload = (payload_ref),             \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Waits for a program's end, at most so long, and checks what came out of it. With NULL as the cgroup it
 * is the only one of that payload; several are an error then.
 */
#define KT_WAIT_PAYLOAD(payload_ref, name, ms)                                                     \
	{                                                                                          \
		.kind = KT_OP_WAIT_PAYLOAD, .cgroup = (name), .payload = (payload_ref),            \
		.timeout_ms = (ms)                                                                 \
	}
/* Kills a program, and checks what came out of it but its exit code. The cgroup as above. */
#define KT_KILL_PAYLOAD(payload_ref, name)                                                         \
	{                                                                                          \
		.kind = KT_OP_KILL_PAYLOAD, .cgroup = (name), .payload = (payload_ref)             \
	}
/* Remembers the processes (cgroup.procs) of a cgroup under a name, for kt_captured(). */
#define KT_CAPTURE_CGROUP_PROCS(tag_name, name)                                                    \
	{                                                                                          \
		.kind = KT_OP_CAPTURE_CGROUP_PROCS, .cgroup = (name), .tag = (tag_name)            \
	}
/* Likewise its threads (cgroup.threads). */
#define KT_CAPTURE_CGROUP_THREADS(tag_name, name)                                                  \
	{                                                                                          \
		.kind = KT_OP_CAPTURE_CGROUP_THREADS, .cgroup = (name), .tag = (tag_name)          \
	}
/* Delivers an interrupt to a CPU, which must be online. */
#define KT_STEER_IRQ(number, cpu_number)                                                           \
	{                                                                                          \
		.kind = KT_OP_STEER_IRQ, .irq = (number), .cpu = (cpu_number)                      \
	}
/* Likewise, by the name of one of its actions, as /proc/interrupts has it: "virtio0-virtqueues". */
#define KT_STEER_IRQ_BY_LABEL(label, cpu_number)                                                   \
	{                                                                                          \
		.kind = KT_OP_STEER_IRQ, .irq_label = (label), .cpu = (cpu_number)                 \
	}

/*
 * Starts a scheduler and waits until the kernel has enabled it. One that is attached already is an error, and
 * a scheduler that does not get as far makes the test an ERROR, with what it has printed: the verifier's log.
 */
#define KT_ATTACH_SCHEDULER(scheduler_ref)                                                         \
	{                                                                                          \
		.kind = KT_OP_ATTACH_SCHEDULER, .scheduler = (scheduler_ref)                       \
	}
/* Likewise, with more arguments: for an object, more variables. */
#define KT_ATTACH_SCHEDULER_WITH(scheduler_ref, ...)                                               \
	{                                                                                          \
		.kind = KT_OP_ATTACH_SCHEDULER, .scheduler = (scheduler_ref),                      \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Detaches the scheduler: the kernel is asked to let it go (sysrq-S), its program to end (SIGTERM), and it is
 * killed if it has not within 10 s. It is an error if none is attached.
 */
#define KT_DETACH_SCHEDULER()                                                                      \
	{                                                                                          \
		.kind = KT_OP_DETACH_SCHEDULER                                                     \
	}
/* Likewise, and does nothing when none is attached. */
#define KT_DETACH_SCHEDULER_IF_ANY()                                                               \
	{                                                                                          \
		.kind = KT_OP_DETACH_SCHEDULER, .if_any = true                                     \
	}
/* Detaches the scheduler that is attached, whichever, and attaches it anew with the same arguments. */
#define KT_RESTART_SCHEDULER()                                                                     \
	{                                                                                          \
		.kind = KT_OP_RESTART_SCHEDULER                                                    \
	}
/* Detaches the scheduler that is attached and attaches another one. It is an error if none is. */
#define KT_REPLACE_SCHEDULER(scheduler_ref)                                                        \
	{                                                                                          \
		.kind = KT_OP_REPLACE_SCHEDULER, .scheduler = (scheduler_ref)                      \
	}
/* Likewise, with more arguments. */
#define KT_REPLACE_SCHEDULER_WITH(scheduler_ref, ...)                                              \
	{                                                                                          \
		.kind = KT_OP_REPLACE_SCHEDULER, .scheduler = (scheduler_ref),                     \
		.args = (const char *const[])                                                      \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}
/*
 * Waits until the scheduler ends by itself, for .expect_scheduler_exit; that it has not within so many
 * milliseconds (more where the machine is slow) is an error.
 */
#define KT_AWAIT_SCHEDULER_EXIT(ms)                                                                \
	{                                                                                          \
		.kind = KT_OP_AWAIT_SCHEDULER_EXIT, .timeout_ms = (ms)                             \
	}
/*
 * Holds a BPF map until the end of the test, so that it outlives its scheduler; see .pinned of struct
 * kt_bpf_ref. Of several with that name the oldest. Holding it twice is holding it once.
 */
#define KT_PIN_BPF_MAP(map_name)                                                                   \
	{                                                                                          \
		.kind = KT_OP_PIN_BPF_MAP, .bpf = {.map = (map_name) }                             \
	}
/* Writes a number into a BPF map: KT_WRITE_BPF_MAP("fault.bss", "stall", 1). */
#define KT_WRITE_BPF_MAP(map_name, field_path, number)                                             \
	{                                                                                          \
		.kind = KT_OP_WRITE_BPF_MAP, .value = (uint64_t)(number),                          \
		.bpf = {.map = (map_name),                                                         \
			.field = (field_path) }                                                    \
	}
/* Likewise, with the other members of struct kt_bpf_ref: KT_WRITE_BPF_MAP_AT(1, "m", .key = 3, .cpu = 1). */
#define KT_WRITE_BPF_MAP_AT(number, map_name, ...)                                                 \
	{                                                                                          \
		.kind = KT_OP_WRITE_BPF_MAP, .value = (uint64_t)(number),                          \
		.bpf = {.map = (map_name),                                                         \
			__VA_ARGS__ }                                                              \
	}

/* Remembers a number of a BPF map under a name, for kt_bpf_captured(): KT_READ_BPF_MAP("n", "a.bss", "nr"). */
#define KT_READ_BPF_MAP(tag_name, map_name, field_path)                                            \
	{                                                                                          \
		.kind = KT_OP_READ_BPF_MAP, .tag = (tag_name),                                     \
		.bpf = {.map = (map_name),                                                         \
			.field = (field_path) }                                                    \
	}
/* Likewise, with the other members of struct kt_bpf_ref. */
#define KT_READ_BPF_MAP_AT(tag_name, map_name, ...)                                                \
	{                                                                                          \
		.kind = KT_OP_READ_BPF_MAP, .tag = (tag_name),                                     \
		.bpf = {.map = (map_name),                                                         \
			__VA_ARGS__ }                                                              \
	}

/* ---- steps -------------------------------------------------------------------------------------- */

/** enum kt_hold_kind - how the length of a hold is given */
enum kt_hold_kind {
	KT_HOLD_NONE,     /* the step ends when its operations are done */
	KT_HOLD_FRACTION, /* of the test's duration */
	KT_HOLD_FIXED,    /* in milliseconds */
	KT_HOLD_REPEAT,   /* operations over and over until the test's duration is over */
};

/**
 * struct kt_hold - how long a step lasts after its setup and operations
 * @kind:     which of the following counts.
 * @fraction: within (0, 1].
 * @ms:       milliseconds, 0 allowed; of a loop, from one round to the next, at least 1.
 */
struct kt_hold {
	enum kt_hold_kind kind;
	double fraction;
	unsigned int ms;
};

#define KT_HOLD_FRAC(f)                                                                            \
	{                                                                                          \
		.kind = KT_HOLD_FRACTION, .fraction = (f)                                          \
	}
#define KT_HOLD_MS(n)                                                                              \
	{                                                                                          \
		.kind = KT_HOLD_FIXED, .ms = (n)                                                   \
	}
#define KT_HOLD_FULL KT_HOLD_FRAC(1.0)
/*
 * Setup once, then the operations every @n milliseconds until the duration of the test is over, counted from
 * the first hold of the test.
 */
#define KT_HOLD_LOOP(n)                                                                            \
	{                                                                                          \
		.kind = KT_HOLD_REPEAT, .ms = (n)                                                  \
	}

/**
 * struct kt_step - one step of a scenario: setup, then operations, then the hold
 * @name:     for reports; optional.
 * @setup:    KT_SETUP(): cgroups to create, with their workers.
 * @setup_fn: instead: guest: gives the list when the step begins; NULL ends the test as failed. The list
 *            and all that it points to must live until the end of the test, as static variables do, and
 *            what KT_WORK() makes inside a function does not.
 * @ops:      KT_OPS(): operations, in order.
 * @hold:     KT_HOLD_FRAC(), KT_HOLD_MS(), KT_HOLD_FULL or KT_HOLD_LOOP().
 *
 * A cgroup that a step creates lives until the end of the last step that names it (or one above or
 * below it); with no later step naming it, until the end of its own. What is left at the end of a
 * step is torn down in the reverse order of creation, whatever happened before: payloads are killed,
 * workers are stopped, the cgroup is thawed and removed. Workers that were started where PID 1 is live
 * likewise, "" being the name.
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
 * struct kt_backdrop - what is there before the first step and until after the last
 * @setup: KT_SETUP().
 * @ops:   KT_OPS(), after the setup.
 *
 * Its cgroups, workers and payloads live until the end of the test.
 */
struct kt_backdrop {
	const struct kt_cgroup_def *setup;
	const struct kt_op *ops;
};

#define KT_SETUP(...)                                                                              \
	.setup = (const struct kt_cgroup_def[])                                                    \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
#define KT_OPS(...)                                                                                \
	.ops = (const struct kt_op[])                                                              \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
#define KT_STEPS(...) ((const struct kt_step[]){ __VA_ARGS__, { .end = true } })
