/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The virtio console of a KVM guest, with the one port that PID 1 talks through, by the name of
 * KT_WIRE_PORT_NAME. It looks to the guest as the QEMU machine's does.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/buffer.h"
#include "vmm/kvm/virtio.h"

/*
 * Bytes that the guest wrote to the port, in order, cut at any place. Called in the loop without
 * the device lock, so that it may call operations of the machine.
 */
typedef void (*kt_kvm_console_fn)(void *data, const uint8_t *bytes, size_t len);

struct kt_kvm_console {
	struct kt_kvm_virtio virtio;
	kt_kvm_console_fn fn;
	void *data;
	unsigned int owed;           /* control messages that the guest has no buffer for yet */
	bool open;                   /* a process of the guest has opened the port */
	struct kt_buffer to_guest;   /* what the guest has no buffers for yet */
	struct kt_buffer from_guest; /* bytes that fn() has not been called with yet */
};

/*
 * Begins the console. @host, @fn and @data are borrowed; the rest is as for kt_kvm_virtio_init().
 * Returns 0 or a negative errno; either way the caller ends it with kt_kvm_console_deinit().
 */
int kt_kvm_console_init(struct kt_kvm_console *console, kt_kvm_console_fn fn, void *data,
			const struct kt_kvm_host *host, unsigned int gsi, struct kt_kvm_pci *pci,
			struct kt_kvm_bus *memory);
void kt_kvm_console_deinit(struct kt_kvm_console *console);

/*
 * Queues the @n @parts, one behind the other, for the guest; never blocks, and takes the device
 * lock itself. Returns 0 or -ENOMEM; then nothing was queued.
 */
int kt_kvm_console_write(struct kt_kvm_console *console, const struct iovec *parts, size_t n);

/*
 * Takes what the guest has written up to now, and hands it to fn(): nothing of a machine that has
 * ended is lost, although it stands still (kt_kvm_virtio_stop()). Called in the loop, without the
 * lock.
 */
void kt_kvm_console_drain(struct kt_kvm_console *console);
