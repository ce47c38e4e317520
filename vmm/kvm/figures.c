/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/figures.h"

#include <errno.h>

#include "util/clock.h"

#define NSEC_PER_USEC 1000

static const char *const exit_names[KT_KVM_N_EXITS] = {
	[KT_KVM_EXIT_PORT] = "port", [KT_KVM_EXIT_MEMORY] = "memory", [KT_KVM_EXIT_DEBUG] = "debug",
	[KT_KVM_EXIT_KICK] = "kick", [KT_KVM_EXIT_OTHER] = "other",
};

static const char *const part_names[KT_KVM_N_PARTS] = {
	[KT_KVM_PART_RAM] = "ram",         [KT_KVM_PART_VM] = "vm",
	[KT_KVM_PART_VCPUS] = "vcpus",     [KT_KVM_PART_DEVICES] = "devices",
	[KT_KVM_PART_LOAD] = "load",       [KT_KVM_PART_STATE] = "state",
	[KT_KVM_PART_THREADS] = "threads",
};

enum kt_kvm_exit kt_kvm_exit_of(int r, int error, const struct kvm_run *run)
{
	if (r < 0)
		return error == EINTR || error == EAGAIN ? KT_KVM_EXIT_KICK : KT_KVM_EXIT_OTHER;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return KT_KVM_EXIT_PORT;
	case KVM_EXIT_MMIO:
		return KT_KVM_EXIT_MEMORY;
	case KVM_EXIT_DEBUG:
		return KT_KVM_EXIT_DEBUG;
	case KVM_EXIT_INTR:
		return KT_KVM_EXIT_KICK;
	default:
		return KT_KVM_EXIT_OTHER;
	}
}

void kt_kvm_laps_begin(struct kt_kvm_laps *laps)
{
	*laps = (struct kt_kvm_laps){ .last_ns = kt_now_ns() };
}

int kt_kvm_lap(struct kt_kvm_laps *laps, enum kt_kvm_part part, int r)
{
	uint64_t now_ns = kt_now_ns();

	laps->part_ns[part] += now_ns - laps->last_ns;
	laps->last_ns = now_ns;
	return r;
}

/* Those that are not 0. */
static json_t *to_json(const uint64_t *values, const char *const *names, size_t n, uint64_t unit)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < n; i++) {
		if (values[i])
			(void)json_object_set_new(json, names[i],
						  json_integer((json_int_t)(values[i] / unit)));
	}
	return json;
}

json_t *kt_kvm_figures(const uint64_t exits[KT_KVM_N_EXITS], const struct kt_kvm_laps *laps)
{
	return json_pack("{so so}", "exits", to_json(exits, exit_names, KT_KVM_N_EXITS, 1),
			 "parts_us",
			 to_json(laps->part_ns, part_names, KT_KVM_N_PARTS, NSEC_PER_USEC));
}
