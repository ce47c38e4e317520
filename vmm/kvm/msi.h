/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a device asks of the machine that it is a part of: interrupts and notifications. The machine
 * gives a table of functions; tests and fuzzers give their own.
 */

#include <pthread.h>
#include <stdint.h>

#include "util/loop.h"
#include "vmm/kvm/ram.h"

/* The first GSI of a message-signalled interrupt: the ones below are pins of the IOAPIC. */
#define KT_KVM_GSI_MSI 24u

/* A message-signalled interrupt, as a device would write it to the bus. */
struct kt_kvm_msi {
	uint64_t address;
	uint32_t data;
};

/*
 * Functions return 0 or a negative errno. @data is that of struct kt_kvm_host. All are called with
 * the device lock held.
 */
struct kt_kvm_host_ops {
	/* From now on the GSI @gsi, from KT_KVM_GSI_MSI on, is the message @msi. */
	int (*route)(void *data, unsigned int gsi, const struct kt_kvm_msi *msi);
	/* Raises a GSI that was routed: through its irqfd. */
	int (*raise)(void *data, unsigned int gsi);
	/*
	 * A write of any value and length to @gpa signals @eventfd from now on, or no more. Without
	 * it, the write reaches the device by the bus, which then signals the descriptor itself.
	 */
	int (*notify)(void *data, uint64_t gpa, int eventfd);
	int (*unnotify)(void *data, uint64_t gpa, int eventfd);
	/*
	 * The guest has broken the rules of a device, which has stopped. @text is for people: it
	 * names the device, what was wrong, and the value. NULL: nobody wants to know.
	 */
	void (*broken)(void *data, const char *text);
};

/* The machine, as its devices see it. Everything is borrowed for the life of the devices. */
struct kt_kvm_host {
	const struct kt_kvm_ram *ram;
	struct kt_loop *loop; /* of the session: queues are worked on in it */
	/*
	 * The device lock: held by the vCPUs while they access the bus, and by the loop while it
	 * works on a queue. A callback to the session is made without it.
	 */
	pthread_mutex_t *lock;
	const struct kt_kvm_host_ops *ops;
	void *data;
};
