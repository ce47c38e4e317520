/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The memory of the guest's kernel: read and written by the host, by name and type. The operations
 * KT_WRITE_KERNEL_HOT(), _COLD(), KT_READ_KERNEL_HOT() and _COLD() of ktest/scenario.h take lists
 * of what is here. docs/inspect.md has examples, and a table of what is safe to write.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* declared in ktest/ctx.h */
struct kt_ctx;
struct kt_where;

#ifdef __cplusplus
extern "C" {
#endif

/** enum kt_kernel_target_kind - how a place is named; see the macros below */
enum kt_kernel_target_kind {
	KT_KERNEL_TARGET_NONE, /* zero, so that a target that was never set is refused */
	KT_KERNEL_TARGET_PATH,
	KT_KERNEL_TARGET_SYMBOL,
	KT_KERNEL_TARGET_DIRECT,
	KT_KERNEL_TARGET_KVA,
	KT_KERNEL_TARGET_PER_CPU_FIELD,
	KT_KERNEL_TARGET_TASK_FIELD,
	KT_KERNEL_TARGET_WORKER_FIELD,
};

/**
 * struct kt_worker_identity - a task and no other; kt_worker_identity() finds it
 * @tid:      its thread ID, which another task may have later.
 * @start_ns: when it began, by the guest's CLOCK_MONOTONIC (task_struct.start_time).
 */
struct kt_worker_identity {
	pid_t tid;
	uint64_t start_ns;
};

/**
 * struct kt_kernel_target - a place in the memory of the guest's kernel; see the macros below
 * @kind:    which of the following members count.
 * @name:    a typed path, a symbol, or a cgroup.
 * @field:   members from there: "clock", "scx.flags".
 * @address: virtual address.
 * @cpu:     number of the CPU.
 * @task:    the task.
 * @worker:  number of a worker in its cgroup.
 * @any_class: the task need not be one of sched_ext.
 */
struct kt_kernel_target {
	enum kt_kernel_target_kind kind;
	const char *name;
	const char *field;
	uint64_t address;
	unsigned int cpu;
	struct kt_worker_identity task;
	unsigned int worker;
	bool any_class;
};

/*
 * A place as C names it: "scx_root->exit_kind", "runqueues[cpu 1].scx.nr_running",
 * "task(1234).scx.dsq_vtime", "init_task.comm". The type of the place says how wide it is.
 */
#define KT_KERNEL_PATH(path)                                                                       \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_PATH, .name = (path)                                      \
	}
/* A variable of the kernel by its symbol, whatever its type is: "jiffies_64". */
#define KT_KERNEL_SYMBOL(symbol)                                                                   \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_SYMBOL, .name = (symbol)                                  \
	}
/* An address of the direct map of all RAM; an error if it is not there. */
#define KT_KERNEL_DIRECT(kva)                                                                      \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_DIRECT, .address = (kva)                                  \
	}
/* Any address of the kernel, as of vmalloc() or a BPF map; the page tables say where it lies. */
#define KT_KERNEL_KVA(kva)                                                                         \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_KVA, .address = (kva)                                     \
	}
/* A field of a per-CPU variable: KT_KERNEL_PER_CPU_FIELD("runqueues", "scx.clock", 1). */
#define KT_KERNEL_PER_CPU_FIELD(symbol, members, cpu_number)                                       \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_PER_CPU_FIELD, .name = (symbol), .field = (members),      \
		.cpu = (cpu_number)                                                                \
	}
/*
 * A field of struct task_struct. An error if the task does not exist, if its ID has become another
 * task's, or if it is dead. To be written, it must sleep, be in no queue, and be one of sched_ext:
 * the kernel has the task's fields in sorted queues otherwise.
 */
#define KT_KERNEL_TASK_FIELD(identity, members)                                                    \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_TASK_FIELD, .field = (members), .task = (identity)        \
	}
/* As KT_KERNEL_TASK_FIELD(), for a task of any scheduling class. */
#define KT_KERNEL_TASK_FIELD_ANY_CLASS(identity, members)                                          \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_TASK_FIELD, .field = (members), .task = (identity),       \
		.any_class = true                                                                  \
	}
/*
 * A field of struct task_struct of a worker: KT_KERNEL_WORKER_FIELD("w", 0, "scx.dsq_vtime"). The
 * workers of a cgroup are counted from 0, in the order in which they were started. The rules are
 * those of KT_KERNEL_TASK_FIELD(), but that a write waits, 5 s at most, until the worker sleeps.
 * In operations only.
 */
#define KT_KERNEL_WORKER_FIELD(cgroup, worker_number, members)                                     \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_WORKER_FIELD, .name = (cgroup), .field = (members),       \
		.worker = (worker_number)                                                          \
	}
/* As KT_KERNEL_WORKER_FIELD(), for a worker of any scheduling class. */
#define KT_KERNEL_WORKER_FIELD_ANY_CLASS(cgroup, worker_number, members)                           \
	{                                                                                          \
		.kind = KT_KERNEL_TARGET_WORKER_FIELD, .name = (cgroup), .field = (members),       \
		.worker = (worker_number), .any_class = true                                       \
	}

/** enum kt_kernel_value_kind - the forms of a value; see the macros below */
enum kt_kernel_value_kind {
	KT_KERNEL_VALUE_NONE,
	KT_KERNEL_VALUE_NUMBER,
	KT_KERNEL_VALUE_U32,
	KT_KERNEL_VALUE_U64,
	KT_KERNEL_VALUE_BYTES,
	KT_KERNEL_VALUE_OR_U32,
	KT_KERNEL_VALUE_OR_U64,
	KT_KERNEL_VALUE_TEXT,
};

#define KT_KERNEL_WRITE_MAX 192u  /* bytes of one write */
#define KT_KERNEL_READ_MAX  4096u /* bytes of one read */
#define KT_KERNEL_PAIRS_MAX 512u  /* of one operation */

/**
 * struct kt_kernel_value - what is written, or how wide a read is; see the macros below
 * @kind:   which of the following members count.
 * @number: the number, or the bits.
 * @bytes:  the bytes.
 * @len:    number of bytes.
 */
struct kt_kernel_value {
	enum kt_kernel_value_kind kind;
	uint64_t number;
	const void *bytes;
	size_t len;
};

/* A number, as wide as the type of the place says; an error if it does not fit. */
#define KT_KERNEL_NUMBER(value_)                                                                   \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_NUMBER, .number = (uint64_t)(value_)                       \
	}
/* A number of 4 or 8 bytes. Where the place has a type, that must be as wide. */
#define KT_KERNEL_U32(value_)                                                                      \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_U32, .number = (uint32_t)(value_)                          \
	}
#define KT_KERNEL_U64(value_)                                                                      \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_U64, .number = (uint64_t)(value_)                          \
	}
/* Up to KT_KERNEL_WRITE_MAX bytes, which are written whole or not at all. */
#define KT_KERNEL_BYTES(data, data_len)                                                            \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_BYTES, .bytes = (data), .len = (data_len)                  \
	}
/* Bits that are set in a number of 4 or 8 bytes; the other bits stay. */
#define KT_KERNEL_OR_U32(bits)                                                                     \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_OR_U32, .number = (uint32_t)(bits)                         \
	}
#define KT_KERNEL_OR_U64(bits)                                                                     \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_OR_U64, .number = (uint64_t)(bits)                         \
	}

/* Forms of reads. The first and the last need a place with a type. */
#define KT_AS_NUMBER          KT_KERNEL_NUMBER(0)
#define KT_AS_U32             KT_KERNEL_U32(0)
#define KT_AS_U64             KT_KERNEL_U64(0)
#define KT_AS_BYTES(data_len) /* at most KT_KERNEL_READ_MAX */                                     \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_BYTES, .len = (data_len)                                   \
	}
#define KT_AS_TEXT /* for people: a struct with its members, an enum by name */                    \
	{                                                                                          \
		.kind = KT_KERNEL_VALUE_TEXT                                                       \
	}

/**
 * struct kt_kernel_pair - one read or write of an operation; written with KT_PUT() or KT_GET()
 * @target: the place.
 * @value:  what is written, or the form of what is read.
 * @tag:    reads: the name under which the result is stored.
 * @end:    terminates a list; set by the macros.
 */
struct kt_kernel_pair {
	struct kt_kernel_target target;
	struct kt_kernel_value value;
	const char *tag;
	bool end;
};

/* KT_PUT() - one write: KT_PUT(KT_KERNEL_SYMBOL("jiffies_64"), KT_KERNEL_U64(n)) */
#define KT_PUT(target_, value_)                                                                    \
	{                                                                                          \
		.target = target_, .value = value_                                                 \
	}
/* KT_GET() - one read: KT_GET("kind", KT_KERNEL_PATH("scx_root->exit_kind"), KT_AS_NUMBER) */
#define KT_GET(tag_name, target_, form_)                                                           \
	{                                                                                          \
		.target = target_, .value = form_, .tag = (tag_name)                               \
	}

/**
 * kt_kernel_read(), kt_kernel_write(), kt_kernel_text() - a typed path of the guest's kernel
 * @path:  as in KT_KERNEL_PATH().
 * @value: kt_kernel_read(): a uint64_t * for the number, which stays as it is on failure; a signed
 *         one is extended to 64 bits. kt_kernel_write(): the number.
 * @text:  kt_kernel_text(): where the value is stored as a text for people, cut to @room bytes.
 *
 * The vCPUs stand still meanwhile. In .post_vm, the machine is in the last state of the test, also
 * after a panic; what is written there has no effect. A machine whose QEMU has died has no memory
 * any more: a failure.
 *
 * Return 0, or KT_FAILED with the failure recorded. Not for forked children.
 */
#define kt_kernel_read(ctx, path, value)                                                           \
	kt_kernel_read_path((ctx), (struct kt_where){ __FILE__, __LINE__ }, (path), (value))
#define kt_kernel_write(ctx, path, value)                                                          \
	kt_kernel_write_path((ctx), (struct kt_where){ __FILE__, __LINE__ }, (path), (value))
#define kt_kernel_text(ctx, path, text, room)                                                      \
	kt_kernel_text_path((ctx), (struct kt_where){ __FILE__, __LINE__ }, (path), (text), (room))
int kt_kernel_read_path(struct kt_ctx *ctx, struct kt_where where, const char *path,
			uint64_t *ret_value);
int kt_kernel_write_path(struct kt_ctx *ctx, struct kt_where where, const char *path,
			 uint64_t value);
int kt_kernel_text_path(struct kt_ctx *ctx, struct kt_where where, const char *path, char *text,
			size_t room);

/**
 * kt_kernel_captured(), kt_kernel_captured_bytes() - what a read has stored under a tag
 *
 * If several are stored under the tag, it is the latest. kt_kernel_captured() gives a number; it
 * returns false, and leaves *@ret_value as it is, if there is none. kt_kernel_captured_bytes()
 * gives bytes, or a text (KT_AS_TEXT), with a NUL behind it that *@ret_len does not count; NULL if
 * there is none. Valid until the end of the test. Guest only.
 */
bool kt_kernel_captured(const struct kt_ctx *ctx, const char *tag, uint64_t *ret_value);
const void *kt_kernel_captured_bytes(const struct kt_ctx *ctx, const char *tag, size_t *ret_len);

/**
 * kt_worker_identity() - finds what tells the task @tid from a later one with the same ID
 *
 * The task must be known to live, such as a worker. Returns 0, or KT_FAILED with the failure
 * recorded. Guest only; a failure elsewhere.
 */
#define kt_worker_identity(ctx, tid, identity)                                                     \
	kt_worker_identity_of((ctx), (struct kt_where){ __FILE__, __LINE__ }, (tid), (identity))
int kt_worker_identity_of(struct kt_ctx *ctx, struct kt_where where, pid_t tid,
			  struct kt_worker_identity *ret_identity);

#ifdef __cplusplus
}
#endif
