/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the schedulers here have in common: the kernel's kfuncs (kernel/sched/ext.c), how a callback
 * is written, and what is left behind at the end.
 */

/*
 * vmlinux.h is made from the BTF of the kernel at build time. Whether it has prototypes of kfuncs
 * depends on the version of bpftool, so they are left out.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include <vmlinux.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* ---- kfuncs ---------------------------------------------------------------------------------- */

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym;
void scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
			      u64 enq_flags) __ksym;
bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;
int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
u32 scx_bpf_nr_cpu_ids(void) __ksym;
void scx_bpf_error_bstr(char *format, unsigned long long *data, u32 data__sz) __ksym;
void scx_bpf_exit_bstr(s64 exit_code, char *format, unsigned long long *data, u32 data__sz) __ksym;

/* ---- callbacks ------------------------------------------------------------------------------- */

#define SCX_CALLBACK(name, ...)  SEC("struct_ops/" #name) BPF_PROG(name, ##__VA_ARGS__)
#define SCX_SLEEPABLE(name, ...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##__VA_ARGS__)

/* Defines the scheduler. The loader overwrites .timeout_ms and .exit_dump_len on request. */
#define SCX_SCHEDULER(variable, ...)                                                               \
	SEC(".struct_ops.link") struct sched_ext_ops variable = { __VA_ARGS__ }

char _license[] SEC("license") = "GPL"; /* the kernel allows the kfuncs to GPL programs only */

/* ---- the end --------------------------------------------------------------------------------- */

/*
 * Why the scheduler was disabled. The loader reads it after the end. Names and layout are those of
 * schedulers that are built with the kernel's tools/sched_ext, so the loader handles both in the
 * same way.
 */
struct user_exit_info {
	int kind; /* enum scx_exit_kind; 0: not disabled so far */
	s64 exit_code;
	char reason[128];
	char msg[1024];
};

/* The loader sets the length and enlarges the array accordingly. */
const volatile u32 uei_dump_len;
char uei_dump[1] SEC(".data.uei_dump");
struct user_exit_info uei SEC(".data");

/* To be called by the exit callback of each scheduler. */
static inline void scx_note_exit(const struct scx_exit_info *info)
{
	bpf_probe_read_kernel_str(uei.reason, sizeof(uei.reason), info->reason);
	bpf_probe_read_kernel_str(uei.msg, sizeof(uei.msg), info->msg);
	if (uei_dump_len > 1)
		bpf_probe_read_kernel_str(uei_dump, uei_dump_len, info->dump);
	if (bpf_core_field_exists(info->exit_code))
		uei.exit_code = info->exit_code;
	/* The kind is written last, with a barrier: a reader that sees it also sees the others. */
	__sync_lock_test_and_set(&uei.kind, info->kind);
}

/* ---- counters -------------------------------------------------------------------------------- */

/* Increments a counter that tests read. */
static inline void count(u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* ---- select_cpu ------------------------------------------------------------------------------ */

/*
 * For select_cpu: takes the CPU that the kernel chooses by default. If that CPU is idle, the task
 * is dispatched to it at once with a slice of @slice_ns, and counted in *@nr_direct.
 */
static inline s32 scx_take_idle_cpu(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
				    u64 slice_ns, u64 *nr_direct)
{
	bool is_idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

	if (is_idle) {
		count(nr_direct);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	}
	return cpu;
}
