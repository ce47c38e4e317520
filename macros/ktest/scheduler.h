/* SPDX-License-Identifier: MIT */
#pragma once
/* KT_SCHEDULER(): sched_ext schedulers that tests run under, and what is asked of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/check.h>
#include <ktest/ctx.h>
#include <ktest/test.h>
#include <ktest/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct kt_scheduler - a sched_ext scheduler; written with KT_SCHEDULER()
 * @name:        unique in the binary. Set by KT_SCHEDULER().
 * @file, @line: where it stands. Set by KT_SCHEDULER().
 * @object:      a BPF object file (.bpf.o), which ktest loads; or
 * @binary:      a program that loads its own, as those of the kernel's tools/sched_ext do.
 *               Either is looked for in the directories of KTESTS_SCHEDULER_PATH (with colons between them),
 *               beside the test program, and a binary in PATH. With a slash it is a path, and one that does
 *               not begin with a slash is relative to the directory of the test program.
 * @package:     what to install where it is missing.
 * @args:        KT_ARGS(): for an object "VARIABLE=VALUE", for a binary its arguments. A variable is a
 *               global one of the BPF program, read-only or not, or a part of it: "cells[2].cpus=0xf".
 * @topology:    of the machines of tests that do not say themselves, dimension by dimension.
 * @checks:      for tests that do not say themselves; they come before the binary's KT_DEFAULT_CHECKS().
 * @dump_kib:    room for what the kernel dumps when the scheduler fails, in KiB, at most 16384. Default
 *               1024. Of a binary, which asks the kernel for room itself, it is that of the other way that
 *               the dump takes, by the tracepoint sched_ext_dump.
 *
 * It is packed for the tests that name it; a test whose scheduler is not there is skipped, and so is one on
 * a kernel without sched_ext or without what the scheduler needs.
 */
struct kt_scheduler {
	const char *name;
	const char *file;
	unsigned int line;
	const char *object;
	const char *binary;
	const char *package;
	const char *const *args;
	struct kt_topology topology;
	struct kt_checks checks;
	unsigned int dump_kib;
};

/* A link of the binary's list of schedulers; its storage is provided by KT_SCHEDULER(). */
struct kt_scheduler_node {
	const struct kt_scheduler *scheduler;
	struct kt_scheduler_node *next;
};

/* Appends @node to the list. Called by constructors, before main(). */
void kt_scheduler_register(struct kt_scheduler_node *node);

/**
 * KT_SCHEDULER() - defines and registers a scheduler
 * @scheduler_name: an identifier
 * @...:            members of struct kt_scheduler, as designated initialisers
 *
 * It is known in its source file only.
 *
 * Example:
 *
 *	KT_SCHEDULER(short_slices, .object = "fifo.bpf.o", .args = KT_ARGS("slice_us=5000"));
 *	KTEST(fair, .scheduler = KT_SCHEDULER_REF(short_slices), .steps = ...);
 */
#define KT_SCHEDULER(scheduler_name, ...)                                                          \
	static const struct kt_scheduler kt_scheduler_##scheduler_name = {                         \
		.name = #scheduler_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__           \
	};                                                                                         \
	__attribute__((constructor(KT_TEST_CONSTRUCTOR_PRIORITY))) static void                     \
		kt_enlist_scheduler_##scheduler_name(void)                                         \
	{                                                                                          \
		static struct kt_scheduler_node node = { &kt_scheduler_##scheduler_name, NULL };   \
		kt_scheduler_register(&node);                                                      \
	}                                                                                          \
	typedef int kt_scheduler_needs_semicolon_##scheduler_name

/** KT_SCHEDULER_REF() - a scheduler by its name */
#define KT_SCHEDULER_REF(scheduler_name) (&kt_scheduler_##scheduler_name)

/** KT_SCHEDULERS() - the list of a test: .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fifo)) */
#define KT_SCHEDULERS(...) ((const struct kt_scheduler *const[]){ __VA_ARGS__, NULL })

/* "SCX_EXIT_ERROR_STALL" and so on, for messages. */
const char *kt_scx_exit_name(enum kt_scx_exit kind);

/**
 * struct kt_scheduler_end - how a scheduler ended that nobody had detached
 * @scheduler: which.
 * @kind:      why, as the kernel says.
 * @reason:    the kernel's words for that: "runnable task stall".
 * @message:   what the kernel, or the scheduler by scx_bpf_error(), has said besides; "" if nothing.
 * @backtrace: of the kernel at that moment, a line for each function; "" if there is none.
 * @elapsed_ns: since the test began.
 */
struct kt_scheduler_end {
	const struct kt_scheduler *scheduler;
	enum kt_scx_exit kind;
	const char *reason;
	const char *message;
	const char *backtrace;
	uint64_t elapsed_ns;
};

/**
 * kt_scheduler_ended() - the last end of a scheduler that nobody had detached
 *
 * NULL when there was none. Its texts are valid until the next such end, or that of the test. Guest only.
 */
const struct kt_scheduler_end *kt_scheduler_ended(const struct kt_ctx *ctx);

/** kt_scheduler_attached() - the scheduler that is attached; NULL for the kernel's own. Guest only. */
const struct kt_scheduler *kt_scheduler_attached(const struct kt_ctx *ctx);

/**
 * kt_vm_scheduler_log(), kt_vm_scheduler_dump() - what the schedulers of the test have printed, and what
 * the kernel has dumped of those that failed (the tracepoint sched_ext_dump). .post_vm only; NULL elsewhere.
 */
const char *kt_vm_scheduler_log(const struct kt_ctx *ctx);
const char *kt_vm_scheduler_dump(const struct kt_ctx *ctx);

/* ---- BPF maps ----------------------------------------------------------------------------------- */

/**
 * kt_bpf_read(), kt_bpf_write() - a number in a BPF map, found by BTF
 * @ref:   KT_BPF("fifo.bss", .field = "nr_queued"); see struct kt_bpf_ref.
 * @value: of any width; negative ones extended to 64 bits.
 *
 * Signed and unsigned integers, booleans, enums, pointers and bit fields can be read and written. Of a map
 * that user space can map (.bss, .data) the field alone is written; of others all of the value, as it was a
 * moment before. Return 0, or KT_FAILED with the failure recorded. Guest only.
 */
#define kt_bpf_read(ctx, ref, value)                                                               \
	kt_bpf_read_number((ctx), (struct kt_where){ __FILE__, __LINE__ }, (ref), (value))
#define kt_bpf_write(ctx, ref, value)                                                              \
	kt_bpf_write_number((ctx), (struct kt_where){ __FILE__, __LINE__ }, (ref), (value))
int kt_bpf_read_number(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
		       uint64_t *ret_value);
int kt_bpf_write_number(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
			uint64_t value);

/**
 * kt_bpf_captured() - what KT_READ_BPF_MAP() has remembered as @tag
 *
 * The latest of that name. Returns false, and leaves *@ret_value, when there is none. Guest only.
 */
bool kt_bpf_captured(const struct kt_ctx *ctx, const char *tag, uint64_t *ret_value);

/**
 * kt_bpf_read_bytes(), kt_bpf_write_bytes() - likewise a field of any type and width, as it lies in memory
 * @len: must be the width of the field.
 */
#define kt_bpf_read_bytes(ctx, ref, data, len)                                                     \
	kt_bpf_read_data((ctx), (struct kt_where){ __FILE__, __LINE__ }, (ref), (data), (len))
#define kt_bpf_write_bytes(ctx, ref, data, len)                                                    \
	kt_bpf_write_data((ctx), (struct kt_where){ __FILE__, __LINE__ }, (ref), (data), (len))
int kt_bpf_read_data(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref, void *data,
		     size_t len);
int kt_bpf_write_data(struct kt_ctx *ctx, struct kt_where where, struct kt_bpf_ref ref,
		      const void *data, size_t len);

#ifdef __cplusplus
}
#endif
