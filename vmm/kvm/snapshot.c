/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/cleanup.h"
#include "vmm/kvm/msr.h"

/*
 * A state is a header and sections {u32 name, u32 version, u64 length}, each followed by its bytes.
 *
 * The order of KVM's ioctls matters (Documentation/virt/kvm/api.rst; arch/x86/kvm/x86.c):
 * KVM_GET_MP_STATE comes first, because it accepts pending INIT and SIPI and so changes the local
 * APIC; KVM_GET_VCPU_EVENTS last. On the way back KVM_SET_REGS drops pending exceptions, so it
 * comes before the events; XCR0 says what of the XSAVE area counts; the local APIC needs the base
 * address that the special registers hold, and its timer's deadline needs the local APIC.
 *
 * A deadline of 0 may be that of an interrupt in flight, after which the vCPU would never tick
 * again: the present value of the counter takes its place, which is due at once.
 */

#define STATE_MAGIC UINT64_C(0x004d564b54534554) /* "TESTKVM" */

#define MSRS_MAX         1024u
#define LVTT_OFFSET      0x320u /* of the local APIC's timer */
#define LVTT_DEADLINE    0x40000u

struct head {
	uint32_t name, version;
	uint64_t len;
};

int kt_kvm_state_begin(struct kt_buffer *state)
{
	const uint64_t magic = STATE_MAGIC;

	return kt_buffer_append(state, &magic, sizeof(magic));
}

int kt_kvm_state_add(struct kt_buffer *state, enum kt_kvm_section section, const void *data,
		     size_t len)
{
	struct head head = { .name = section, .version = KT_KVM_STATE_VERSION, .len = len };
	int r = kt_buffer_append(state, &head, sizeof(head));

	return r ?: kt_buffer_append(state, data, len);
}

int kt_kvm_state_next(const void *state, size_t len, size_t *at, struct kt_kvm_piece *ret_piece,
		      struct kt_err *reterr)
{
	const uint8_t *bytes = state;
	struct head head;
	uint64_t magic;

	if (*at == 0) {
		if (len < sizeof(magic) || memcmp(bytes, &(uint64_t){ STATE_MAGIC }, sizeof(magic)))
			return kt_err_set(reterr, -EINVAL,
					  "this is not the state of a KVM machine");
		*at = sizeof(magic);
	}
	if (*at == len)
		return 0;
	if (len - *at < sizeof(head))
		return kt_err_set(reterr, -EINVAL, "the state ends in the head of a section");
	memcpy(&head, bytes + *at, sizeof(head));
	if (head.version != KT_KVM_STATE_VERSION)
		return kt_err_set(reterr, -EINVAL, "section '%.4s' has the version %u, not %u",
				  (const char *)&head.name, head.version, KT_KVM_STATE_VERSION);
	*at += sizeof(head);
	if (head.len > len - *at)
		return kt_err_set(reterr, -EINVAL,
				  "section '%.4s' has %" PRIu64 " bytes, and %zu are left",
				  (const char *)&head.name, head.len, len - *at);
	*ret_piece = (struct kt_kvm_piece){ head.name, bytes + *at, head.len };
	*at += head.len;
	return 1;
}

/* ---- One vCPU ---- */

/* The bytes of a section: this, the XSAVE area, and the entries of the MSRs. */
struct saved_vcpu {
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	uint32_t xsave_len, n_msrs;
};

#define GET(request, to)                                                                           \
	(ioctl(fd, request, to) < 0                                                                \
		 ? kt_err_set(reterr, -errno, "vCPU %u: " #request ": %m", vcpu->number)           \
		 : 0)

/* Kernels before 5.17 have the shorter request only. */
static int get_xsave(const struct kt_kvm_vcpu *vcpu, void *xsave, struct kt_err *reterr)
{
	int fd = vcpu->fd;

	return vcpu->crew->vm->has_xsave2 ? GET(KVM_GET_XSAVE2, xsave) : GET(KVM_GET_XSAVE, xsave);
}

static struct kvm_msrs *alloc_msrs(uint32_t n)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + n * sizeof(msrs->entries[0]));

	if (msrs)
		msrs->nmsrs = n;
	return msrs;
}

/* The counter is set by an offset (clock.c). */
static struct kvm_msrs *list_msrs(int kvm_fd)
{
	KT_FREE struct kvm_msr_list *list =
		calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));
	struct kvm_msrs *msrs = alloc_msrs(MSRS_MAX);

	if (!list || !msrs) {
		free(msrs);
		return NULL;
	}
	list->nmsrs = MSRS_MAX - 1;
	if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		list->nmsrs = 0;
	msrs->nmsrs = 0;
	for (uint32_t i = 0; i < list->nmsrs; i++) {
		if (list->indices[i] != KT_KVM_MSR_TSC &&
		    list->indices[i] != KT_KVM_MSR_TSC_DEADLINE)
			msrs->entries[msrs->nmsrs++].index = list->indices[i];
	}
	msrs->entries[msrs->nmsrs++].index = KT_KVM_MSR_TSC_DEADLINE; /* the last one */
	return msrs;
}

/* KVM stops at the first MSR that it does not have after all: that one is left out. */
static void read_msrs(int fd, struct kvm_msrs *msrs)
{
	while (msrs->nmsrs) {
		int n = ioctl(fd, KVM_GET_MSRS, msrs);

		if (n < 0 || (uint32_t)n >= msrs->nmsrs)
			break;
		msrs->nmsrs--;
		memmove(&msrs->entries[n], &msrs->entries[n + 1],
			(msrs->nmsrs - (uint32_t)n) * sizeof(msrs->entries[0]));
	}
}

static void mend_deadline(int fd, const struct kvm_lapic_state *lapic, struct kvm_msrs *msrs)
{
	struct kvm_msr_entry *last = msrs->entries + msrs->nmsrs - 1;
	uint32_t lvtt;

	memcpy(&lvtt, lapic->regs + LVTT_OFFSET, sizeof(lvtt));
	if (last < msrs->entries || last->index != KT_KVM_MSR_TSC_DEADLINE || last->data ||
	    !(lvtt & LVTT_DEADLINE))
		return;
	(void)kt_kvm_msr_get(fd, KT_KVM_MSR_TSC, (uint64_t *)&last->data);
}

static int get_vcpu(const struct kt_kvm_vcpu *vcpu, struct saved_vcpu *saved, void *xsave,
		    struct kvm_msrs *msrs, struct kt_err *reterr)
{
	int fd = vcpu->fd;
	int r = GET(KVM_GET_MP_STATE, &saved->mp) ?: GET(KVM_GET_REGS, &saved->regs)
		?: GET(KVM_GET_SREGS, &saved->sregs) ?: get_xsave(vcpu, xsave, reterr)
		?: GET(KVM_GET_XCRS, &saved->xcrs) ?: GET(KVM_GET_DEBUGREGS, &saved->debugregs)
		?: GET(KVM_GET_LAPIC, &saved->lapic);

	if (r < 0)
		return r;
	read_msrs(fd, msrs);
	mend_deadline(fd, &saved->lapic, msrs);
	saved->n_msrs = msrs->nmsrs;
	return GET(KVM_GET_VCPU_EVENTS, &saved->events);
}

static int save_vcpu(const struct kt_kvm_vcpu *vcpu, struct kt_buffer *state, struct kt_err *reterr)
{
	const struct kt_kvm_vm *vm = vcpu->crew->vm;
	struct saved_vcpu saved = { .xsave_len = (uint32_t)vm->xsave_len };
	KT_FREE struct kvm_msrs *msrs = list_msrs(vm->kvm_fd);
	KT_FREE void *xsave = calloc(1, vm->xsave_len);
	struct head head = { .name = KT_KVM_SECTION_VCPU, .version = KT_KVM_STATE_VERSION };
	size_t msrs_len;
	int r;

	if (!msrs || !xsave)
		return kt_err_oom(reterr);
	r = get_vcpu(vcpu, &saved, xsave, msrs, reterr);
	if (r < 0)
		return r;
	msrs_len = saved.n_msrs * sizeof(msrs->entries[0]);
	head.len = sizeof(saved) + saved.xsave_len + msrs_len;
	if (kt_buffer_append(state, &head, sizeof(head)) < 0 ||
	    kt_buffer_append(state, &saved, sizeof(saved)) < 0 ||
	    kt_buffer_append(state, xsave, saved.xsave_len) < 0 ||
	    kt_buffer_append(state, msrs->entries, msrs_len) < 0)
		return kt_err_oom(reterr);
	return 0;
}

int kt_kvm_vcpus_save(const struct kt_kvm_crew *crew, struct kt_buffer *state,
		      struct kt_err *reterr)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < crew->n; i++)
		r = save_vcpu(&crew->at[i], state, reterr);
	return r;
}

/* What KVM does not let be set, it had not in use: the reserved ones of other hosts are skipped. */
static int set_msrs(const struct kt_kvm_vcpu *vcpu, struct kvm_msrs *msrs, struct kt_err *reterr)
{
	while (msrs->nmsrs) {
		int n = ioctl(vcpu->fd, KVM_SET_MSRS, msrs);

		if (n < 0)
			return kt_err_set(reterr, -errno, "vCPU %u: KVM_SET_MSRS: %m",
					  vcpu->number);
		if ((uint32_t)n >= msrs->nmsrs)
			return 0;
		if (msrs->entries[n].data)
			return kt_err_set(reterr, -EINVAL,
					  "vCPU %u: the MSR 0x%x cannot be set to 0x%" PRIx64,
					  vcpu->number, msrs->entries[n].index,
					  (uint64_t)msrs->entries[n].data);
		msrs->nmsrs -= (uint32_t)n + 1;
		memmove(&msrs->entries[0], &msrs->entries[n + 1],
			msrs->nmsrs * sizeof(msrs->entries[0]));
	}
	return 0;
}

static int set_vcpu(const struct kt_kvm_vcpu *vcpu, struct saved_vcpu *saved, void *xsave,
		    struct kvm_msrs *msrs, struct kt_err *reterr)
{
	int fd = vcpu->fd;
	int r = GET(KVM_SET_MP_STATE, &saved->mp) ?: GET(KVM_SET_REGS, &saved->regs)
		?: GET(KVM_SET_SREGS, &saved->sregs) ?: GET(KVM_SET_XCRS, &saved->xcrs)
		?: GET(KVM_SET_XSAVE, xsave) ?: GET(KVM_SET_DEBUGREGS, &saved->debugregs)
		?: GET(KVM_SET_LAPIC, &saved->lapic);

	return r ?: set_msrs(vcpu, msrs, reterr) ?: GET(KVM_SET_VCPU_EVENTS, &saved->events);
}

int kt_kvm_vcpu_load(const struct kt_kvm_vcpu *vcpu, const struct kt_kvm_piece *piece,
		     struct kt_err *reterr)
{
	const struct kt_kvm_vm *vm = vcpu->crew->vm;
	KT_FREE void *xsave = calloc(1, vm->xsave_len);
	KT_FREE struct kvm_msrs *msrs = NULL;
	struct saved_vcpu saved;
	size_t left = piece->len;

	if (left < sizeof(saved))
		return kt_err_set(reterr, -EINVAL, "vCPU %u: %zu bytes of state", vcpu->number,
				  left);
	memcpy(&saved, piece->data, sizeof(saved));
	left -= sizeof(saved);
	if (saved.xsave_len != vm->xsave_len || left < saved.xsave_len || saved.n_msrs > MSRS_MAX ||
	    left - saved.xsave_len != saved.n_msrs * sizeof(msrs->entries[0]))
		return kt_err_set(reterr, -EINVAL,
				  "vCPU %u: %u bytes of XSAVE and %u MSRs do not fit this host, or "
				  "the %zu bytes that are there",
				  vcpu->number, saved.xsave_len, saved.n_msrs, left);
	msrs = alloc_msrs(saved.n_msrs);
	if (!xsave || !msrs)
		return kt_err_oom(reterr);
	memcpy(xsave, piece->data + sizeof(saved), saved.xsave_len);
	memcpy(msrs->entries, piece->data + sizeof(saved) + saved.xsave_len,
	       saved.n_msrs * sizeof(msrs->entries[0]));
	return set_vcpu(vcpu, &saved, xsave, msrs, reterr);
}

/* ---- KVM's interrupt controllers ---- */

struct saved_chips {
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
};

int kt_kvm_chips_save(const struct kt_kvm_vm *vm, struct kt_buffer *state, struct kt_err *reterr)
{
	struct saved_chips saved = { 0 };

	for (uint32_t i = 0; i < KT_ARRAY_LEN(saved.chips); i++) {
		saved.chips[i].chip_id = i;
		if (ioctl(vm->fd, KVM_GET_IRQCHIP, &saved.chips[i]) < 0)
			return kt_err_set(reterr, -errno, "KVM_GET_IRQCHIP %u: %m", i);
	}
	if (ioctl(vm->fd, KVM_GET_PIT2, &saved.pit) < 0)
		return kt_err_set(reterr, -errno, "KVM_GET_PIT2: %m");
	return kt_kvm_state_add(state, KT_KVM_SECTION_CHIPS, &saved, sizeof(saved)) < 0
		       ? kt_err_oom(reterr)
		       : 0;
}

int kt_kvm_chips_load(const struct kt_kvm_vm *vm, const struct kt_kvm_piece *piece,
		      struct kt_err *reterr)
{
	struct saved_chips saved;

	if (piece->len != sizeof(saved))
		return kt_err_set(reterr, -EINVAL,
				  "interrupt controllers: %zu bytes of state, not %zu", piece->len,
				  sizeof(saved));
	memcpy(&saved, piece->data, sizeof(saved));
	if (ioctl(vm->fd, KVM_SET_PIT2, &saved.pit) < 0)
		return kt_err_set(reterr, -errno, "KVM_SET_PIT2: %m");
	for (uint32_t i = 0; i < KT_ARRAY_LEN(saved.chips); i++) {
		saved.chips[i].chip_id = i;
		if (ioctl(vm->fd, KVM_SET_IRQCHIP, &saved.chips[i]) < 0)
			return kt_err_set(reterr, -errno, "KVM_SET_IRQCHIP %u: %m", i);
	}
	return 0;
}
