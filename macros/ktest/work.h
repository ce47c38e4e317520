/* SPDX-License-Identifier: MIT */
#pragma once
/* Workers: what they do, how many there are, and how the kernel is asked to treat them. */

#include <stdbool.h>
#include <stdint.h>

#include <ktest/cpuset.h>

/**
 * enum kt_work_type - what a worker does until it is stopped
 *
 * docs/workloads.md describes one iteration of each type, the members of struct kt_work that the
 * type uses, and their defaults. A number in parentheses is the size of a unit: that many workers
 * belong together, and .workers must be a multiple of it.
 */
enum kt_work_type {
	KT_WORK_NONE, /* zero, so that a work that was never set is refused */

	/* on the CPU: guest/worker/work/spin.c */
	KT_SPIN_WAIT,        /* spins, never sleeps */
	KT_YIELD_HEAVY,      /* yields all the time */
	KT_MIXED,            /* spins, then yields */
	KT_ALU_HOT,          /* keeps the widest vector unit busy */
	KT_IPC_VARIANCE,     /* alternates dense arithmetic with cache misses */
	KT_SMT_SIBLING_SPIN, /* (2) spins on both threads of a core */

	/* running and sleeping: guest/worker/work/sleep.c */
	KT_BURSTY,        /* spins for a burst, sleeps */
	KT_IDLE_CHURN,    /* short bursts, short sleeps */
	KT_TIMER_LATENCY, /* wakes by a timer, measures how late */
	KT_SEQUENCE,      /* phases of other kinds, one after the other */

	/* waking one another: guest/worker/work/wakeup.c, guest/worker/work/queue.c */
	KT_PIPE_IO,           /* (2) a byte to and fro through pipes */
	KT_FUTEX_PING_PONG,   /* (2) to and fro through a futex */
	KT_FUTEX_FAN_OUT,     /* (fan_out + 1) one wakes the others */
	KT_FAN_OUT_COMPUTE,   /* (fan_out + 1) one wakes the others, they multiply matrices */
	KT_THUNDERING_HERD,   /* (fan_out + 1) all wait on one futex and are woken at once */
	KT_WAKE_CHAIN,        /* (depth) each wakes the next, in a ring */
	KT_ASYMMETRIC_WAKER,  /* (2) waker and wakee of different scheduling classes */
	KT_PRODUCER_CONSUMER, /* (producers + consumers) a bounded queue */
	KT_EPOLL_STORM,       /* (producers + consumers) eventfds behind one epoll */
	KT_SIGNAL_STORM,      /* (2) each sends the other signals */

	/* memory: guest/worker/work/memory.c */
	KT_CACHE_PRESSURE,   /* strides through a buffer */
	KT_CACHE_YIELD,      /* strides through a buffer, yields */
	KT_CACHE_PIPE,       /* (2) strides through a buffer, passes a byte on */
	KT_PAGE_FAULT_CHURN, /* maps, touches, unmaps */
	KT_NUMA_SWEEP,       /* moves its working set from node to node */

	/* locks and priorities: guest/worker/work/lock.c */
	KT_MUTEX_CONTENTION,   /* (contenders) one futex lock */
	KT_PRIORITY_INVERSION, /* (high + medium + low) a lock held at low priority */
	KT_RT_STARVATION,      /* (rt + cfs) SCHED_FIFO workers that never sleep, beside others */
	KT_PREEMPT_STORM,      /* (cfs + 1) a SCHED_FIFO worker that preempts all the time */

	/* scheduling parameters: guest/worker/work/churn.c */
	KT_NICE_SWEEP,          /* walks through nice -20..19 */
	KT_AFFINITY_CHURN,      /* changes its own affinity */
	KT_POLICY_CHURN,        /* changes its scheduling policy */
	KT_FORK_EXIT,           /* forks children that end at once; processes only */
	KT_CGROUP_CHURN,        /* moves itself between cgroups; processes only */
	KT_CGROUP_ATTACH_STORM, /* moves children that are ending; processes only */

	/* the disk, or a file: guest/worker/work/file.c */
	KT_IO_SYNC_WRITE, /* writes and syncs */
	KT_IO_RAND_READ,  /* reads at random places */
	KT_IO_CONVOY,     /* writes in order, reads at random places, syncs */

	/* the network cards of a test with .net: guest/worker/work/net.c */
	KT_NET_TRAFFIC, /* sends a frame per interval */
	KT_IRQ_WAKE,    /* sends a frame, sleeps until its interrupt has brought it back */

	KT_CUSTOM, /* .custom: a function of the test */
	KT_N_WORK_TYPES,
};

/** enum kt_sched_policy - the scheduling policies of sched(7) */
enum kt_sched_policy {
	KT_SCHED_UNSET, /* not set: that of the cgroup's definition, or SCHED_OTHER */
	KT_SCHED_OTHER,
	KT_SCHED_BATCH,
	KT_SCHED_IDLE,
	KT_SCHED_FIFO,
	KT_SCHED_RR,
	KT_SCHED_DEADLINE,
	KT_SCHED_EXT,
};

/**
 * struct kt_sched - the scheduling policy of a worker
 * @policy:      the policy. Default: see KT_SCHED_UNSET.
 * @priority:    1..99, for KT_SCHED_FIFO and KT_SCHED_RR; else 0.
 * @runtime_us:  for KT_SCHED_DEADLINE: microseconds of CPU time per period, at least 2.
 * @deadline_us: for KT_SCHED_DEADLINE: microseconds, at least @runtime_us.
 * @period_us:   for KT_SCHED_DEADLINE: microseconds, at least @deadline_us. Default: @deadline_us.
 */
struct kt_sched {
	enum kt_sched_policy policy;
	unsigned int priority;
	unsigned int runtime_us;
	unsigned int deadline_us;
	unsigned int period_us;
};

/**
 * enum kt_affinity_kind - which CPUs a worker may use, of those in its cgroup's cpuset
 * @KT_AFFINITY_INHERIT:       that of the cgroup's definition, or all of them.
 * @KT_AFFINITY_RANDOM_SUBSET: .count CPUs of .cpus, drawn at random for each worker.
 * @KT_AFFINITY_LLC_ALIGNED:   the CPUs of one LLC. Worker 0 gets the first LLC that the cpuset has
 *                             a CPU of, worker 1 the next one, and so on in turn.
 * @KT_AFFINITY_CROSS_CGROUP:  all CPUs of the machine; the cpuset alone limits them.
 * @KT_AFFINITY_SINGLE_CPU:    one CPU, in turn as above.
 * @KT_AFFINITY_EXACT:         the CPUs .cpus.
 * @KT_AFFINITY_SMT_SIBLINGS:  the threads of one core. Two workers share a core; cores are given
 *                             in turn as above. Needs a topology with .threads = 2.
 *
 * An affinity without a CPU of the cpuset is an error.
 */
enum kt_affinity_kind {
	KT_AFFINITY_INHERIT,
	KT_AFFINITY_RANDOM_SUBSET,
	KT_AFFINITY_LLC_ALIGNED,
	KT_AFFINITY_CROSS_CGROUP,
	KT_AFFINITY_SINGLE_CPU,
	KT_AFFINITY_EXACT,
	KT_AFFINITY_SMT_SIBLINGS,
};

/**
 * struct kt_affinity - the CPUs that a worker may use; written with the macros below
 * @kind:  see enum kt_affinity_kind.
 * @cpus:  for KT_AFFINITY_RANDOM_SUBSET and KT_AFFINITY_EXACT: the set.
 * @count: for KT_AFFINITY_RANDOM_SUBSET: number of CPUs, from 1 to the size of the set.
 */
struct kt_affinity {
	enum kt_affinity_kind kind;
	struct kt_cpuset cpus;
	unsigned int count;
};

/* KT_RANDOM_SUBSET() - @n random CPUs of a set: KT_RANDOM_SUBSET(2, KT_CPUSET_LLC(0)) */
#define KT_RANDOM_SUBSET(n, ...)                                                                   \
	{                                                                                          \
		.kind = KT_AFFINITY_RANDOM_SUBSET, .cpus = __VA_ARGS__, .count = (n)               \
	}
/* KT_LLC_ALIGNED - the CPUs of one LLC for each worker, in turn */
#define KT_LLC_ALIGNED                                                                             \
	{                                                                                          \
		.kind = KT_AFFINITY_LLC_ALIGNED                                                    \
	}
/* KT_CROSS_CGROUP - all CPUs of the machine that the cpuset allows */
#define KT_CROSS_CGROUP                                                                            \
	{                                                                                          \
		.kind = KT_AFFINITY_CROSS_CGROUP                                                   \
	}
/* KT_SINGLE_CPU - one CPU for each worker, in turn */
#define KT_SINGLE_CPU                                                                              \
	{                                                                                          \
		.kind = KT_AFFINITY_SINGLE_CPU                                                     \
	}
/* KT_EXACT_CPUS() - the CPUs of a set: KT_EXACT_CPUS(KT_CPUSET_EXACT("1")) */
#define KT_EXACT_CPUS(...)                                                                         \
	{                                                                                          \
		.kind = KT_AFFINITY_EXACT, .cpus = __VA_ARGS__                                     \
	}
/* KT_SMT_SIBLINGS - the threads of one core for each pair of workers, in turn */
#define KT_SMT_SIBLINGS                                                                            \
	{                                                                                          \
		.kind = KT_AFFINITY_SMT_SIBLINGS                                                   \
	}

/** enum kt_mempolicy_mode - the memory policies of set_mempolicy(2); KT_MPOL_DEFAULT sets none */
enum kt_mempolicy_mode {
	KT_MPOL_DEFAULT,
	KT_MPOL_BIND,
	KT_MPOL_PREFERRED,
	KT_MPOL_INTERLEAVE,
	KT_MPOL_LOCAL,
	KT_MPOL_PREFERRED_MANY,
	KT_MPOL_WEIGHTED_INTERLEAVE,
};

/** enum kt_mempolicy_flags - the flags MPOL_F_* of set_mempolicy(2); bits */
enum kt_mempolicy_flags {
	KT_MPOL_STATIC_NODES = 1 << 0,
	KT_MPOL_RELATIVE_NODES = 1 << 1,
	KT_MPOL_NUMA_BALANCING = 1 << 2,
};

/**
 * struct kt_mempolicy - the memory policy of a worker
 * @mode:  the policy. Default: that of the cgroup's definition, or the kernel's.
 * @nodes: a list of NUMA nodes: "0,1". They must exist, and be among the nodes of the cgroup. NULL:
 *         no nodes.
 * @flags: bits of enum kt_mempolicy_flags.
 */
struct kt_mempolicy {
	enum kt_mempolicy_mode mode;
	const char *nodes;
	unsigned int flags;
};

/** enum kt_work_phase_kind - the kinds of phases of KT_SEQUENCE */
enum kt_work_phase_kind {
	KT_SEQ_END, /* terminates a list */
	KT_SEQ_SPIN,
	KT_SEQ_SLEEP,
	KT_SEQ_YIELD,
	KT_SEQ_IO,  /* writes 64 KiB to a file on tmpfs, then sleeps 100 us, over and over */
	KT_SEQ_ALU, /* multiplies and adds, without vectors */
};

/**
 * struct kt_work_phase - a phase of KT_SEQUENCE
 * @kind: what the worker does.
 * @us:   for how many microseconds, at least 1.
 */
struct kt_work_phase {
	enum kt_work_phase_kind kind;
	unsigned int us;
};

/* KT_PHASES() - a list of phases: KT_PHASES({ KT_SEQ_SPIN, 500 }, { KT_SEQ_SLEEP, 1000 }) */
#define KT_PHASES(...) ((const struct kt_work_phase[]){ __VA_ARGS__, { KT_SEQ_END, 0 } })

/** enum kt_lock_kind - the lock of KT_MUTEX_CONTENTION and KT_PRIORITY_INVERSION */
enum kt_lock_kind {
	KT_LOCK_PLAIN, /* FUTEX_WAIT and FUTEX_WAKE; the default */
	KT_LOCK_PI,    /* FUTEX_LOCK_PI: the kernel gives the holder the priority of its waiter */
};

/** enum kt_wake_kind - how a worker of KT_WAKE_CHAIN wakes the next one; by default by pipe */
enum kt_wake_kind {
	KT_WAKE_PIPE,
	KT_WAKE_FUTEX,
};

/** enum kt_alu_width - the vectors of KT_ALU_HOT; the test fails if the CPU does not have them */
enum kt_alu_width {
	KT_ALU_WIDEST, /* the widest that the CPU has, as CPUID says; the default */
	KT_ALU_SCALAR,
	KT_ALU_128, /* SSE2 */
	KT_ALU_256, /* AVX2 */
	KT_ALU_512, /* AVX-512F */
};

struct kt_custom; /* a worker, as its .custom function sees it; see ktest/custom.h */

/**
 * struct kt_work - a group of workers that do the same work
 * @type:        what they do. Required.
 * @workers:     number of workers, 1..4096, a multiple of the type's unit. Default: one unit, or 2
 *               workers if the type has no units.
 * @workers_pct: instead of @workers: number of workers in per cent of the number of CPUs in the
 *               cgroup's cpuset, rounded up; above 0 and at most 10 000. Not in the root cgroup.
 * @threads:     the workers are threads of one process. Default: each is a process.
 * @sched:       scheduling policy. Default: that of the cgroup's definition.
 * @nice:        nice value, -20..19. 0 (the default): that of the cgroup's definition.
 * @affinity:    CPUs. Default: those of the cgroup's definition.
 * @mempolicy:   memory policy. Default: that of the cgroup's definition.
 * @comm:        name of the tasks, at most 15 characters. Default: that of the cgroup's definition,
 *               or the name of the type.
 * @uid, @gid:   user and group. 0 (the default): those of the cgroup's definition, or root.
 * @swappable:   --work-type may replace the type by another one.
 *
 * The following members are parameters of the type. docs/workloads.md lists the parameters of each
 * type and their defaults. A parameter that is 0 or NULL has its default. A parameter that the type
 * does not use is ignored.
 *
 * @spins:       pause instructions per iteration or per burst.
 * @burst_us:    length of a burst, in microseconds.
 * @sleep_us:    length of a sleep, in microseconds.
 * @interval_us: time between two deadlines or attempts, in microseconds.
 * @period_ms:   time between two moves to another node or cgroup, in milliseconds, at most
 *               1 000 000.
 * @kib:         size of a buffer, file or set of matrices, in KiB. KT_NUMA_SWEEP,
 *               KT_IO_RAND_READ and KT_IO_CONVOY need at least 4; fan-outs take at most 1 048 576.
 * @stride:      bytes from one access to the next, at most the size of the buffer.
 * @touches:     pages that are written, or cache lines that are read, per iteration or round. For
 *               KT_PAGE_FAULT_CHURN at most the pages that @kib has.
 * @fan_out:     workers that one worker wakes, at most 4095.
 * @depth:       KT_WAKE_CHAIN: workers in the ring, 2..4095, by pipe 2..32. KT_PRODUCER_CONSUMER:
 *               slots of the queue, 2..1 048 576.
 * @contenders:  workers that share a lock.
 * @producers, @consumers: workers that produce and that consume, at most 4095 of each; at most 63
 *               producers for KT_EPOLL_STORM.
 * @high, @medium, @low: workers at each priority.
 * @rt, @cfs:    workers that are SCHED_FIFO, and that keep their policy.
 * @hold:        pause instructions while a lock is held, or to consume one piece of work.
 * @ops:         multiply-adds, matrix multiplications, events (at most 65 536) or signals that are
 *               done at once.
 * @batch:       rounds of computing and cache misses per iteration.
 * @rate_hz:     pieces of work per second that a producer makes, at most 1 000 000.
 * @rt_priority: priority of the workers that are SCHED_FIFO, 1..99. For KT_PRIORITY_INVERSION it is
 *               that of the high workers, 21..99.
 * @sched2:      KT_ASYMMETRIC_WAKER: scheduling policy of the second worker of each pair.
 * @lock:        kind of lock.
 * @wake:        kind of wake-up.
 * @alu:         width of the vectors.
 * @nodes:       a list of NUMA nodes: "0,1".
 * @groups:      number of cgroups that a worker moves between, 2..1000.
 * @dest:        name of the cgroup that children are moved to; it must exist.
 * @frame_bytes: length of a frame, 60..1514.
 * @precise:     set the timer slack to 1 ns (PR_SET_TIMERSLACK).
 * @reap:        wait for children, instead of ignoring SIGCHLD.
 * @phases:      KT_PHASES(): the phases, at least one.
 * @custom:      KT_CUSTOM: the function, called once in each worker. Required. It must return when
 *               kt_custom_stopping() is true.
 * @arg:         KT_CUSTOM: for kt_custom_arg().
 * @end:         terminates a list; set by the macros.
 */
struct kt_work {
	enum kt_work_type type;
	unsigned int workers;
	double workers_pct;
	bool threads;
	struct kt_sched sched;
	int nice;
	struct kt_affinity affinity;
	struct kt_mempolicy mempolicy;
	const char *comm;
	unsigned int uid;
	unsigned int gid;
	bool swappable;

	unsigned int spins;
	unsigned int burst_us;
	unsigned int sleep_us;
	unsigned int interval_us;
	unsigned int period_ms;
	unsigned int kib;
	unsigned int stride;
	unsigned int touches;
	unsigned int fan_out;
	unsigned int depth;
	unsigned int contenders;
	unsigned int producers;
	unsigned int consumers;
	unsigned int high, medium, low;
	unsigned int rt, cfs;
	unsigned int hold;
	unsigned int ops;
	unsigned int batch;
	unsigned int rate_hz;
	unsigned int rt_priority;
	struct kt_sched sched2;
	enum kt_lock_kind lock;
	enum kt_wake_kind wake;
	enum kt_alu_width alu;
	const char *nodes;
	unsigned int groups;
	const char *dest;
	unsigned int frame_bytes;
	bool precise;
	bool reap;
	const struct kt_work_phase *phases;
	void (*custom)(struct kt_custom *worker);
	uint64_t arg;

	bool end; /* terminates a list; set by the macros */
};

/* KT_WORK() - one group of workers in a cgroup: KT_WORK(KT_SPIN_WAIT, .workers = 2) */
#define KT_WORK(work_type, ...)                                                                    \
	((const struct kt_work[]){ { .type = (work_type), __VA_ARGS__ }, { .end = true } })

/*
 * KT_WORKS() - several groups of workers in a cgroup: KT_WORKS({ .type = KT_SPIN_WAIT }, { ... })
 */
#define KT_WORKS(...) ((const struct kt_work[]){ __VA_ARGS__, { .end = true } })
