/* SPDX-License-Identifier: MIT */
/* A BPF program that is not a scheduler. */
#include "schedulers/scx.bpf.h"

u64 nr_calls;

SEC("tp_btf/sched_switch")
int no_ops(void *context)
{
	count(&nr_calls);
	return 0;
}
