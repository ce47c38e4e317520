/* SPDX-License-Identifier: MIT */
#include "vmm/rendezvous.h"

#include <stdio.h>

#include "util/cleanup.h"

void kt_rendezvous_begin(struct kt_rendezvous *rendezvous, enum kt_rendezvous_kind kind,
			 unsigned int n_vcpus, uint64_t now_ns, uint64_t deadline_ns)
{
	*rendezvous = (struct kt_rendezvous){
		.kind = kind,
		.n_vcpus = KT_MIN(n_vcpus, KT_RENDEZVOUS_VCPUS_MAX),
		.deadline_ns = KT_MIN(deadline_ns, now_ns + KT_RENDEZVOUS_NS),
	};
}

void kt_rendezvous_arrive(struct kt_rendezvous *rendezvous, unsigned int vcpu)
{
	if (vcpu < rendezvous->n_vcpus)
		rendezvous->arrived[vcpu / 64] |= 1ull << (vcpu % 64);
}

static bool is_missing(const struct kt_rendezvous *rendezvous, unsigned int vcpu)
{
	return !(rendezvous->arrived[vcpu / 64] >> (vcpu % 64) & 1);
}

static unsigned int count_missing(const struct kt_rendezvous *rendezvous)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < rendezvous->n_vcpus; i++)
		n += is_missing(rendezvous, i);
	return n;
}

enum kt_rendezvous_state kt_rendezvous_judge(const struct kt_rendezvous *rendezvous,
					     uint64_t now_ns)
{
	if (!count_missing(rendezvous))
		return KT_RENDEZVOUS_COMPLETE;
	return now_ns < rendezvous->deadline_ns ? KT_RENDEZVOUS_WAITING : KT_RENDEZVOUS_LATE;
}

/* A text that has no room for all numbers ends in the middle of them. */
const char *kt_rendezvous_describe(const struct kt_rendezvous *rendezvous, char *text, size_t room)
{
	static const char *const what[] = {
		[KT_RENDEZVOUS_FREEZE] = "park",
		[KT_RENDEZVOUS_THAW] = "run again",
		[KT_RENDEZVOUS_END] = "end",
	};
	unsigned int n = count_missing(rendezvous), told = 0;
	size_t len = (size_t)snprintf(text, room, "vCPU ");

	for (unsigned int i = 0; i < rendezvous->n_vcpus && len < room; i++) {
		if (!is_missing(rendezvous, i))
			continue;
		len += (size_t)snprintf(text + len, room - len, "%s%u",
					!told          ? ""
					: told + 1 < n ? ", "
						       : " and ",
					i);
		told++;
	}
	if (len < room)
		(void)snprintf(text + len, room - len, " of %u did not %s", rendezvous->n_vcpus,
			       what[rendezvous->kind]);
	return text;
}
