/* SPDX-License-Identifier: MIT */
#pragma once
/* KT_SCHEDULER(): sched_ext schedulers that tests run under, how they ended, and their BPF maps. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/check.h>
#include <ktest/ctx.h>
#include <ktest/declaration.h>
#include <ktest/test.h>
#include <ktest/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct kt_scheduler - a sched_ext scheduler; written with KT_SCHEDULER()
 * @name:        unique in the program. Set by KT_SCHEDULER().
 * @file, @line: where the scheduler is defined. Set by KT_SCHEDULER().
 * @object:      a BPF object file (.bpf.o), which ktest loads. A scheduler has either @object or
 *               @binary.
 * @binary:      a program that loads its own scheduler, like those in the kernel's tools/sched_ext.
 * @package:     the package that contains it, for the message of a skipped test. NULL: none.
 * @args:        KT_ARGS(). For an object: "VARIABLE=VALUE", global variables of the BPF program
 *               (read-only or not) or parts of them: "cells[2].cpus=0xf". For a program: its
 *               arguments. NULL: none.
 * @files:       KT_ARGS(): paths of files that are put beside it in the guest, as for a payload
 *               (struct kt_payload). NULL: none.
 * @topology:    default for the dimensions that a test of this scheduler leaves at 0.
 * @checks:      default for the members that a test of this scheduler leaves out. They override
 *               KT_DEFAULT_CHECKS().
 * @dump_kib:    room for the text that the kernel dumps when the scheduler fails, in KiB, at most
 *               16384. Default 1024. For an object, it is also set as ops.exit_dump_len. A program
 *               sets that itself; for it, @dump_kib is the room of the tracepoint sched_ext_dump
 *               only.
 *
 * A name without a slash is looked for in the directories of KTESTS_SCHEDULER_PATH (separated by
 * colons), then beside the test program. A program is also looked up in PATH. A name with a slash
 * is a path; a relative one begins in the directory of the test program.
 *
 * The file is packed for the tests that use it. A test is skipped if its scheduler is not found, or
 * if the kernel has no sched_ext or lacks something that the scheduler needs.
 */
struct kt_scheduler {
	const char *name;
	const char *file;
	unsigned int line;
	const char *object;
	const char *binary;
	const char *package;
	const char *const *args;
	const char *const *files;
	struct kt_topology topology;
	struct kt_checks checks;
	unsigned int dump_kib;
};

/**
 * struct kt_scheduler_node - an element of the program's list of schedulers
 * @scheduler: the scheduler.
 * @next:      the element behind it; NULL: the last one. Set by kt_scheduler_register().
 *
 * KT_SCHEDULER() provides the storage, which exists as long as the program.
 */
struct kt_scheduler_node {
	const struct kt_scheduler *scheduler;
	struct kt_scheduler_node *next;
};

/**
 * kt_scheduler_register() - appends @node to the program's list of schedulers
 *
 * Constructors call it, before main(). The list keeps @node.
 */
void kt_scheduler_register(struct kt_scheduler_node *node);

/**
 * KT_SCHEDULER() - defines and registers a scheduler
 * @scheduler_name: an identifier, which becomes its name
 * @...:            members of struct kt_scheduler, as designated initialisers
 *
 * The definition is local to its source file.
 *
 * Example:
 *
 *	KT_SCHEDULER(short_slices, .object = "fifo.bpf.o", .args = KT_ARGS("slice_us=5000"));
 *	KTEST(fair, .scheduler = KT_SCHEDULER_REF(short_slices), .steps = ...);
 */
#define KT_SCHEDULER(scheduler_name, ...)                                                          \
	KT_DECLARATION_BEGIN									   \
	static const struct kt_scheduler kt_scheduler_##scheduler_name = {                         \
		.name = #scheduler_name, .file = __FILE__, .line = __LINE__, __VA_ARGS__           \
	};                                                                                         \
	__attribute__((constructor(KT_TEST_CONSTRUCTOR_PRIORITY))) static void                     \
		kt_enlist_scheduler_##scheduler_name(void)                                         \
	{                                                                                          \
		static struct kt_scheduler_node node = { &kt_scheduler_##scheduler_name, NULL };   \
		kt_scheduler_register(&node);                                                      \
	}                                                                                          \
	KT_DECLARATION_END									   \
	typedef int kt_scheduler_needs_semicolon_##scheduler_name

/** KT_SCHEDULER_REF() - a pointer to the scheduler of that name, which the same file defines */
#define KT_SCHEDULER_REF(scheduler_name) (&kt_scheduler_##scheduler_name)

/** KT_SCHEDULERS() - the list of a test: .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fifo)) */
#define KT_SCHEDULERS(...) ((const struct kt_scheduler *const[]){ __VA_ARGS__, NULL })

/**
 * kt_scx_exit_name() - the kernel's name of @kind, for messages: "SCX_EXIT_ERROR_STALL"
 *
 * Returns "unknown" for KT_SCX_EXIT_OTHER. Returns "any" for every other value that is not a kind
 * of the kernel, such as KT_SCX_EXIT_ANY. Never NULL.
 */
const char *kt_scx_exit_name(enum kt_scx_exit kind);

/**
 * struct kt_scheduler_end - how a scheduler ended by itself
 * @scheduler:  the scheduler.
 * @kind:       why it ended, as the kernel says. KT_SCX_EXIT_OTHER if the kernel says nothing.
 * @reason:     the kernel's words for @kind: "runnable task stall".
 * @message:    what the kernel, or the scheduler by scx_bpf_error(), adds; "" if nothing.
 * @backtrace:  the kernel's stack at that moment, a line for each function; "" if there is none.
 * @elapsed_ns: when it ended, in nanoseconds since the test began.
 *
 * No text is NULL.
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
 * kt_scheduler_ended() - the last time a scheduler ended by itself
 *
 * Returns NULL if no scheduler has ended by itself. What it points to is valid until the next such
 * end, or until the test ends. Guest only; NULL elsewhere.
 */
const struct kt_scheduler_end *kt_scheduler_ended(const struct kt_ctx *ctx);

/**
 * kt_scheduler_attached() - the scheduler that is attached
 *
 * Returns NULL if tasks run under the kernel's own scheduler. Guest only; NULL elsewhere.
 */
const struct kt_scheduler *kt_scheduler_attached(const struct kt_ctx *ctx);

/**
 * kt_vm_scheduler_log(), kt_vm_scheduler_dump() - texts of all schedulers of the test
 *
 * The log is what the schedulers have printed. The dump is what the kernel has dumped of those that
 * failed, by the tracepoint sched_ext_dump. Strings, "" if there was nothing; valid until .post_vm
 * returns. .post_vm only; NULL elsewhere.
 */
const char *kt_vm_scheduler_log(const struct kt_ctx *ctx);
const char *kt_vm_scheduler_dump(const struct kt_ctx *ctx);

/* ---- BPF maps -------------------------------------------------------------------------------- */

/**
 * kt_bpf_read(), kt_bpf_write() - read and write a number in a BPF map; BTF says where it is
 * @ref:   the place: KT_BPF("fifo.bss", .field = "nr_queued"); see struct kt_bpf_ref.
 * @value: kt_bpf_read(): a uint64_t * for the number, which stays as it is on failure.
 *         kt_bpf_write(): the number. Negative numbers are extended to 64 bits.
 *
 * The field is an integer, boolean, enum, pointer or bit field of at most 64 bits. A number that
 * does not fit into it is not written, which is a failure.
 *
 * In a map that user space can mmap() (.bss, .data), only the field is written. In other maps, the
 * whole value is read, changed and written back; changes that the BPF program makes to it in the
 * meantime are lost. Writing to a key that a hash does not have adds it, with zeroes around the
 * field.
 *
 * Return 0, or KT_FAILED with the failure recorded. Guest only; a failure elsewhere.
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
 * kt_bpf_captured() - the number that KT_READ_BPF_MAP() stored under @tag
 *
 * If several are stored under the tag, it is the latest. Returns false, and leaves *@ret_value as
 * it is, if there is none. Guest only; false elsewhere.
 */
bool kt_bpf_captured(const struct kt_ctx *ctx, const char *tag, uint64_t *ret_value);

/**
 * kt_bpf_read_bytes(), kt_bpf_write_bytes() - as kt_bpf_read() and kt_bpf_write(), for any field
 * @data: the bytes of the field as they lie in the map's memory.
 * @len:  number of bytes; must be the size of the field.
 *
 * The field may have any type and size, but must not be a bit field.
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
