/* SPDX-License-Identifier: MIT */
/* Its init fails, and it notes nowhere why: it has no exit callback and no exit information. */
#define BPF_NO_KFUNC_PROTOTYPES
#include <vmlinux.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

SEC("struct_ops.s/silent_init")
s32 BPF_PROG(silent_init)
{
	return -12; /* ENOMEM */
}

SEC(".struct_ops.link")
struct sched_ext_ops silent_ops = { .init = (void *)silent_init, .name = "silent" };
