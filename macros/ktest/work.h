/* SPDX-License-Identifier: MIT */
#pragma once
/* Workers: what they do, how many, and how the scheduler sees them. */

#include <stdbool.h>
#include <stdint.h>

#include <ktest/cpuset.h>

/**
 * enum kt_work_type - what a worker does until it is stopped
 *
 * docs/workloads.md says what one iteration of each is, which members of struct kt_work it looks at and
 * what they are by default. "(N)": N workers belong together, and .workers must be a multiple of it.
 */
enum kt_work_type {
	KT_WORK_NONE, /* not a work type: a work that was never set */

	/* on the CPU: guest/worker/work/spin.c */
	KT_SPIN_WAIT,        /* spins, never sleeps */
	KT_YIELD_HEAVY,      /* yields all the time */
	KT_MIXED,            /* spins, then yields */
	KT_ALU_HOT,          /* keeps the widest vector unit busy */
	KT_IPC_VARIANCE,     /* alternates dense arithmetic with cache misses */
	KT_SMT_SIBLING_SPIN, /* (2) spins on both threads of a core */

	/* on and off it: guest/worker/work/sleep.c */
	KT_BURSTY,        /* spins for a burst, sleeps */
	KT_IDLE_CHURN,    /* short bursts, short sleeps */
	KT_TIMER_LATENCY, /* wakes by a timer, measures how late */
	KT_SEQUENCE,      /* phases of other kinds, one after the other */

	/* waking one another: guest/worker/work/wakeup.c and guest/worker/work/queue.c */
	KT_PIPE_IO,          /* (2) a byte to and fro through pipes */
	KT_FUTEX_PING_PONG,  /* (2) to and fro through a futex */
	KT_FUTEX_FAN_OUT,    /* (fan_out + 1) one wakes all */
	KT_FAN_OUT_COMPUTE,  /* (fan_out + 1) likewise, and the woken multiply matrices */
	KT_THUNDERING_HERD,  /* (fan_out + 1) all wait on one futex and are woken at once */
	KT_WAKE_CHAIN,       /* (depth) each wakes the next, in a ring */
	KT_ASYMMETRIC_WAKER, /* (2) waker and wakee of different scheduling classes */
	KT_PRODUCER_CONSUMER, /* (producers + consumers) ProducerConsumerImbalance: a bounded queue */
	KT_EPOLL_STORM,       /* (producers + consumers) eventfds behind one epoll */
	KT_SIGNAL_STORM,      /* (2) each sends the other signals */

	/* memory: guest/worker/work/memory.c */
	KT_CACHE_PRESSURE,   /* strides through a buffer */
	KT_CACHE_YIELD,      /* likewise, and yields */
	KT_CACHE_PIPE,       /* (2) likewise, and passes a byte on */
	KT_PAGE_FAULT_CHURN, /* maps, touches, unmaps */
	KT_NUMA_SWEEP,       /* NumaWorkingSetSweep: moves its working set from node to node */

	/* locks and priorities: guest/worker/work/lock.c */
	KT_MUTEX_CONTENTION,   /* (contenders) one futex lock */
	KT_PRIORITY_INVERSION, /* (high + medium + low) a lock held at low priority */
	KT_RT_STARVATION,      /* (rt + cfs) SCHED_FIFO bursts beside normal workers */
	KT_PREEMPT_STORM,      /* (cfs + 1) a SCHED_FIFO worker that preempts all the time */

	/* scheduling parameters: guest/worker/work/churn.c */
	KT_NICE_SWEEP,          /* walks through nice -20..19 */
	KT_AFFINITY_CHURN,      /* changes its own affinity */
	KT_POLICY_CHURN,        /* changes its scheduling policy */
	KT_FORK_EXIT,           /* forks children that end at once; processes only */
	KT_CGROUP_CHURN,        /* moves itself between cgroups; processes only */
	KT_CGROUP_ATTACH_STORM, /* moves children that are ending; processes only */

	/* files: guest/worker/work/file.c */
	KT_IO_SYNC_WRITE, /* writes and syncs */
	KT_IO_RAND_READ,  /* reads at random places */

	KT_CUSTOM, /* .custom: a function of the test */
	KT_N_WORK_TYPES,
};

/** enum kt_sched_policy - sched(7) */
enum kt_sched_policy {
	KT_SCHED_UNSET, /* as inherited: SCHED_OTHER */
	KT_SCHED_OTHER,
	KT_SCHED_BATCH,
	KT_SCHED_IDLE,
	KT_SCHED_FIFO,
	KT_SCHED_RR,
	KT_SCHED_DEADLINE,
	KT_SCHED_EXT,
};

/**
 * struct kt_sched - how the kernel is asked to schedule a worker
 * @policy:   which class.
 * @priority: 1..99, for KT_SCHED_FIFO and KT_SCHED_RR.
 * @runtime_us, @deadline_us, @period_us: for KT_SCHED_DEADLINE, 2 <= runtime <= deadline <= period; a
 *            period of 0 is the deadline.
 */
struct kt_sched {
	enum kt_sched_policy policy;
	unsigned int priority;
	unsigned int runtime_us;
	unsigned int deadline_us;
	unsigned int period_us;
};

/** enum kt_affinity_kind - which CPUs a worker may use, within its cgroup's cpuset */
enum kt_affinity_kind {
	KT_AFFINITY_INHERIT,       /* all of them */
	KT_AFFINITY_RANDOM_SUBSET, /* .count of .cpus, drawn for each worker */
	KT_AFFINITY_LLC_ALIGNED,   /* those of one LLC, dealt out to the workers in turn */
	KT_AFFINITY_CROSS_CGROUP,  /* every CPU of the machine that the cpuset leaves */
	KT_AFFINITY_SINGLE_CPU,    /* one, dealt out in turn */
	KT_AFFINITY_EXACT,         /* .cpus */
	KT_AFFINITY_SMT_SIBLINGS, /* the threads of one core, dealt out in turn; needs .threads = 2 */
};

/** struct kt_affinity - see enum kt_affinity_kind; written with the macros below */
struct kt_affinity {
	enum kt_affinity_kind kind;
	struct kt_cpuset cpus;
	unsigned int count;
};

#define KT_RANDOM_SUBSET(n, ...)                                                                   \
	{                                                                                          \
		.kind = KT_AFFINITY_RANDOM_SUBSET, .cpus = __VA_ARGS__, .count = (n)               \
	}
#define KT_LLC_ALIGNED                                                                             \
	{                                                                                          \
		.kind = KT_AFFINITY_LLC_ALIGNED                                                    \
	}
#define KT_CROSS_CGROUP                                                                            \
	{                                                                                          \
		.kind = KT_AFFINITY_CROSS_CGROUP                                                   \
	}
#define KT_SINGLE_CPU                                                                              \
	{                                                                                          \
		.kind = KT_AFFINITY_SINGLE_CPU                                                     \
	}
#define KT_EXACT_CPUS(...)                                                                         \
	{                                                                                          \
		.kind = KT_AFFINITY_EXACT, .cpus = __VA_ARGS__                                     \
	}
#define KT_SMT_SIBLINGS                                                                            \
	{                                                                                          \
		.kind = KT_AFFINITY_SMT_SIBLINGS                                                   \
	}

/** enum kt_mempolicy_mode - set_mempolicy(2) */
enum kt_mempolicy_mode {
	KT_MPOL_DEFAULT,
	KT_MPOL_BIND,
	KT_MPOL_PREFERRED,
	KT_MPOL_INTERLEAVE,
	KT_MPOL_LOCAL,
	KT_MPOL_PREFERRED_MANY,
	KT_MPOL_WEIGHTED_INTERLEAVE,
};

/** enum kt_mempolicy_flags - MPOL_F_* of set_mempolicy(2) */
enum kt_mempolicy_flags {
	KT_MPOL_STATIC_NODES = 1 << 0,
	KT_MPOL_RELATIVE_NODES = 1 << 1,
	KT_MPOL_NUMA_BALANCING = 1 << 2,
};

/**
 * struct kt_mempolicy - where a worker's memory comes from
 * @mode:  which policy.
 * @nodes: a list of NUMA nodes: "0,1". They must exist, and be among the cgroup's .mems.
 * @flags: of enum kt_mempolicy_flags.
 */
struct kt_mempolicy {
	enum kt_mempolicy_mode mode;
	const char *nodes;
	unsigned int flags;
};

/** enum kt_work_phase_kind - one phase of KT_SEQUENCE */
enum kt_work_phase_kind {
	KT_SEQ_END, /* terminates the list */
	KT_SEQ_SPIN,
	KT_SEQ_SLEEP,
	KT_SEQ_YIELD,
	KT_SEQ_IO,  /* writes 64 KiB to a file on tmpfs, then sleeps 100 us, over and over */
	KT_SEQ_ALU, /* as KT_ALU_HOT */
};

/** struct kt_work_phase - what, and for how many microseconds */
struct kt_work_phase {
	enum kt_work_phase_kind kind;
	unsigned int us;
};

/* .phases = KT_PHASES({ KT_SEQ_SPIN, 500 }, { KT_SEQ_SLEEP, 1000 }) */
#define KT_PHASES(...) ((const struct kt_work_phase[]){ __VA_ARGS__, { KT_SEQ_END, 0 } })

/** enum kt_lock_kind - the lock of KT_MUTEX_CONTENTION and KT_PRIORITY_INVERSION */
enum kt_lock_kind {
	KT_LOCK_PLAIN, /* FUTEX_WAIT and FUTEX_WAKE */
	KT_LOCK_PI,    /* FUTEX_LOCK_PI: the kernel lends the holder its waiter's priority */
};

/** enum kt_wake_kind - how KT_WAKE_CHAIN passes on */
enum kt_wake_kind {
	KT_WAKE_PIPE,
	KT_WAKE_FUTEX,
};

/** enum kt_alu_width - vectors of KT_ALU_HOT */
enum kt_alu_width {
	KT_ALU_WIDEST, /* that the CPU has, by CPUID */
	KT_ALU_SCALAR,
	KT_ALU_128, /* SSE2 */
	KT_ALU_256, /* AVX2 */
	KT_ALU_512, /* AVX-512F */
};

struct kt_custom; /* a worker, as its own function sees it; see ktest/custom.h */

/**
 * struct kt_work - a group of workers that do the same
 * @type:        what they do.
 * @workers:     how many, 1..4096. Default 2, or the smallest number that the type allows.
 * @workers_pct: instead: so many per cent of the CPUs of the cgroup's cpuset, rounded up; over 100 is
 *               allowed. Only in a cgroup.
 * @threads:     they are threads of one process instead of processes.
 * @sched, @nice, @affinity, @mempolicy: how the kernel is to treat them. @nice is -20..19; 0 is what the
 *               cgroup's definition says.
 * @comm:        their name, at most 15 characters. Default: that of the type.
 * @uid, @gid:   who they are. Default root.
 * @swappable:   --work-type may put another type in its place.
 *
 * The rest are parameters of the type. 0 and NULL are its defaults (docs/workloads.md).
 *
 * @spins:       pauses of the CPU per iteration, or per burst.
 * @burst_us, @sleep_us, @interval_us, @period_ms: times.
 * @kib, @stride, @touches: size of a buffer in KiB; bytes from one access to the next; pages touched.
 * @fan_out, @depth, @contenders, @producers, @consumers, @high, @medium, @low, @rt, @cfs: how many
 *               workers play which part; @depth is also the length of a queue or chain.
 * @hold:        pauses while a lock is held, or to consume one piece of work.
 * @ops, @batch, @rate_hz: how much at once; how often.
 * @rt_priority: of workers that are SCHED_FIFO.
 * @sched2:      of the second party, for KT_ASYMMETRIC_WAKER.
 * @lock, @wake, @alu: kinds.
 * @nodes:       NUMA nodes: "0,1".
 * @groups:      cgroups to move between; @dest: the cgroup to move to, which must exist.
 * @precise:     the smallest timer slack.
 * @reap:        wait for children, instead of ignoring SIGCHLD.
 * @phases:      KT_PHASES().
 * @custom, @arg: for KT_CUSTOM: called in each worker, to return when kt_custom_stopping().
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
	bool precise;
	bool reap;
	const struct kt_work_phase *phases;
	void (*custom)(struct kt_custom *worker);
	uint64_t arg;

	bool end; /* terminates a list; set by the macros */
};

/* The work of a cgroup: KT_WORK(KT_SPIN_WAIT, .workers = 2). */
#define KT_WORK(work_type, ...)                                                                    \
	((const struct kt_work[]){ { .type = (work_type), __VA_ARGS__ }, { .end = true } })

/* Several groups of workers in one cgroup: KT_WORKS({ .type = KT_SPIN_WAIT }, { ... }). */
#define KT_WORKS(...) ((const struct kt_work[]){ __VA_ARGS__, { .end = true } })
