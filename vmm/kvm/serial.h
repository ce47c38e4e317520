/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The serial port of a KVM guest, a 16550 at KT_KVM_PORT_SERIAL that only sends: it is the console
 * on which the kernel writes. Its line is always free, so the guest never waits for it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/err.h"
#include "vmm/kvm/bus.h"

#define KT_KVM_SERIAL_STATE_LEN 8u /* bytes of a saved state */

struct kt_kvm_serial {
	struct kt_kvm_range ports;
	uint8_t ier, lcr, mcr, scr, fcr; /* the registers of the 16550 by their names */
	uint8_t dll, dlm;
	bool sent; /* the transmitter has become empty, and nobody has read IIR since */
	struct kt_buffer output;       /* what the guest has written, and nobody has taken */
	void (*interrupt)(void *data); /* raises the IRQ: an edge */
	void (*written)(void *data);   /* output has become non-empty; with the device lock held */
	void *data;
};

/* The caller sets the functions and data; they are called with the device lock held. */
int kt_kvm_serial_init(struct kt_kvm_serial *serial, struct kt_kvm_bus *ports);
void kt_kvm_serial_deinit(struct kt_kvm_serial *serial);

/* Appends the registers to a saved state; 0 or -ENOMEM. */
int kt_kvm_serial_save(const struct kt_kvm_serial *serial, struct kt_buffer *state);

/* Takes over saved registers, foreign bytes. 0, or -EINVAL with a text. */
int kt_kvm_serial_load(struct kt_kvm_serial *serial, const uint8_t *state, size_t len,
		       struct kt_err *reterr);
