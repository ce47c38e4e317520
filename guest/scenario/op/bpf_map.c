/* SPDX-License-Identifier: MIT */
/*
 * Operations on BPF maps of the kernel, found by name. A scheduler's maps go with it:
 * KT_PIN_BPF_MAP() keeps one. Fields are found by the map's BTF, so a wrong name is known only in
 * the guest.
 */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/scenario/state.h"
#include "guest/scheduler/bpf_map.h"
#include "util/cleanup.h"

static int pin_bpf_map(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	return kt_scheduler_set_pin(&scenario->schedulers, op->bpf.map, reterr);
}

static int write_bpf_map(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	KT_CLOSE int fd = -1;
	int r = kt_scheduler_set_open_map(&scenario->schedulers, &op->bpf, &fd, reterr);

	return r ?: kt_bpf_map_write_number(fd, &op->bpf, op->value, reterr);
}

static int read_bpf_map(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	KT_CLOSE int fd = -1;
	uint64_t value;
	int r = kt_scheduler_set_open_map(&scenario->schedulers, &op->bpf, &fd, reterr)
			?: kt_bpf_map_read_number(fd, &op->bpf, &value, reterr);

	return r ?: kt_scheduler_set_remember(&scenario->schedulers, op->tag, value, reterr);
}

static int check_map(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	(void)topology;
	if (op->kind == KT_OP_READ_BPF_MAP && !(op->tag && *op->tag))
		return kt_err_set(reterr, -EINVAL, "its tag is empty");
	return op->bpf.map && *op->bpf.map ? 0 : kt_err_set(reterr, -EINVAL, "it names no map");
}

const struct kt_op_ops kt_bpf_map_ops[KT_N_OP_KINDS] = {
	[KT_OP_PIN_BPF_MAP] = { "KT_PIN_BPF_MAP", KT_OP_NAMES_NONE, .apply = pin_bpf_map,
				.check = check_map },
	[KT_OP_READ_BPF_MAP] = { "KT_READ_BPF_MAP", KT_OP_NAMES_NONE, .apply = read_bpf_map,
				 .check = check_map },
	[KT_OP_WRITE_BPF_MAP] = { "KT_WRITE_BPF_MAP", KT_OP_NAMES_NONE, .apply = write_bpf_map,
				  .check = check_map },
};
