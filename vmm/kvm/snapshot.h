/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of a KVM guest but for its RAM: vCPUs, interrupt controllers, clocks and devices, as
 * bytes. A saved state is foreign: each length is checked before it is used.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/err.h"
#include "vmm/kvm/clock.h"
#include "vmm/kvm/vcpu.h"

/* What a section holds; its name in the file. */
enum kt_kvm_section {
	KT_KVM_SECTION_CLOCK = 0x4b434c43,  /* "CLCK" */
	KT_KVM_SECTION_CHIPS = 0x50494843,  /* "CHIP": PIC, IOAPIC and PIT */
	KT_KVM_SECTION_VCPU = 0x55504356,   /* "VCPU", one for each, in order */
	KT_KVM_SECTION_SERIAL = 0x49524553, /* "SERI" */
	KT_KVM_SECTION_VIRTIO = 0x4f495456, /* "VTIO", one for each, in order */
	KT_KVM_SECTION_PCI = 0x20494350,    /* "PCI " */
};

#define KT_KVM_STATE_VERSION 2u          /* of every section, and of what RAM holds */
#define KT_KVM_STATE_MAX     (64u << 20) /* bytes of a whole state */

/* Begins a state, and adds a section of @len bytes. 0 or -ENOMEM. */
int kt_kvm_state_begin(struct kt_buffer *state);
int kt_kvm_state_add(struct kt_buffer *state, enum kt_kvm_section section, const void *data,
		     size_t len);

/* A section of a state that is read. */
struct kt_kvm_piece {
	uint32_t section;
	const uint8_t *data; /* in the state */
	size_t len;
};

/*
 * Takes the next section from @*at on, 0 at first. Returns 1, 0 at the end, or -EINVAL with a text
 * that says what is wrong.
 */
int kt_kvm_state_next(const void *state, size_t len, size_t *at, struct kt_kvm_piece *ret_piece,
		      struct kt_err *reterr);

/* Append the sections of the vCPUs, which stand, and of KVM's chips. */
int kt_kvm_vcpus_save(const struct kt_kvm_crew *crew, struct kt_buffer *state,
		      struct kt_err *reterr);
int kt_kvm_chips_save(const struct kt_kvm_vm *vm, struct kt_buffer *state, struct kt_err *reterr);

/*
 * Take over a section. The vCPU has its CPUID, and nothing else. After the vCPUs come the clocks
 * (kt_kvm_clock_set()), then the chips.
 */
int kt_kvm_vcpu_load(const struct kt_kvm_vcpu *vcpu, const struct kt_kvm_piece *piece,
		     struct kt_err *reterr);
int kt_kvm_chips_load(const struct kt_kvm_vm *vm, const struct kt_kvm_piece *piece,
		      struct kt_err *reterr);
