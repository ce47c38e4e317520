/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtio device on the PCI bus (virtio 1.2, 4.1): negotiation, queues, notifications and
 * interrupts. What the device does with its requests is up to a struct kt_kvm_virtio_ops.
 *
 * A guest that breaks the rules stops its device: the device then needs a reset, does nothing else
 * meanwhile, and tells the machine's broken() why.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/err.h"
#include "vmm/kvm/msix.h"
#include "vmm/kvm/pci.h"
#include "vmm/kvm/virtqueue.h"

#define KT_KVM_QUEUES_MAX 8u

struct kt_kvm_virtio;

/* What makes a device a console or a disk. @data is that of struct kt_kvm_virtio. */
struct kt_kvm_virtio_ops {
	const char *name;        /* for texts */
	uint16_t type;           /* the number of the specification: 3 is a console */
	uint32_t class_revision; /* as PCI has it: class, subclass, interface, revision */
	uint64_t features;       /* those of the type; the transport adds its own */
	unsigned int n_queues;   /* at most KT_KVM_QUEUES_MAX */
	uint16_t queue_size;     /* at most KT_KVM_QUEUE_SIZE_MAX */
	const uint8_t *(*config)(void *data, size_t *ret_len); /* the space that the guest reads */
	/*
	 * Queues are worked on in the thread of the vCPU that has notified them, before it goes on,
	 * and then in the loop: for drivers that spin until a request is taken.
	 */
	bool at_once;
	/*
	 * The guest has notified a queue. Called with the device lock held; it takes requests with
	 * kt_kvm_virtio_pop().
	 */
	void (*work)(void *data, unsigned int queue);
	/* Called after work() without the lock, for callbacks to the session. May be NULL. */
	void (*deliver)(void *data);
	/* The guest has reset the device. With the lock held. May be NULL. */
	void (*reset)(void *data);
	/* Append what the device itself has to a saved state, and take it over. NULL: nothing. */
	int (*save)(void *data, struct kt_buffer *state);
	int (*load)(void *data, const uint8_t *state, size_t len, struct kt_err *reterr);
};

/* A queue, and the descriptor by which its notifications wake the loop. */
struct kt_kvm_virtio_queue {
	struct kt_kvm_queue ring;
	struct kt_source source;
	int eventfd; /* -1: none */
	struct kt_kvm_virtio *virtio;
};

struct kt_kvm_virtio {
	const struct kt_kvm_host *host;
	const struct kt_kvm_virtio_ops *ops;
	void *data;
	struct kt_kvm_pci_device pci;
	struct kt_kvm_msix msix;
	unsigned int msix_cap, window_cap; /* offsets in the configuration space */
	uint64_t notified_gpa;             /* where the eventfds are registered; 0: nowhere */

	uint8_t status;
	uint32_t feature_select, driver_feature_select; /* 0 or 1: which half is accessed */
	uint64_t driver_features;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t isr;
	bool stopped; /* the machine stands still: queues are left alone */
	struct kt_kvm_virtio_queue queues[KT_KVM_QUEUES_MAX];
};

/*
 * Begins a device and adds it to the bus. @host, @ops and @data are borrowed. The vectors of the
 * device are the GSIs from @gsi on, KT_KVM_MSIX_MAX at most. Returns 0 or a negative errno; either
 * way the caller ends it with kt_kvm_virtio_deinit().
 */
int kt_kvm_virtio_init(struct kt_kvm_virtio *virtio, const struct kt_kvm_virtio_ops *ops,
		       void *data, const struct kt_kvm_host *host, unsigned int gsi,
		       struct kt_kvm_pci *pci, struct kt_kvm_bus *memory);
void kt_kvm_virtio_deinit(struct kt_kvm_virtio *virtio);

/*
 * Stops the work on the queues while the machine stands still, and goes on: each queue is worked on
 * once then, since a notification may have come meanwhile. Both are called with the device lock
 * held. A device that was just initialised is not stopped.
 */
void kt_kvm_virtio_stop(struct kt_kvm_virtio *virtio);
void kt_kvm_virtio_go(struct kt_kvm_virtio *virtio);

/* Whether the queue can be used: the driver is ready, and the machine runs. */
bool kt_kvm_virtio_is_ready(const struct kt_kvm_virtio *virtio, unsigned int queue);

/*
 * Takes the next request of a queue that is ready. False when there is none, or when the guest has
 * broken the rules.
 */
bool kt_kvm_virtio_pop(struct kt_kvm_virtio *virtio, unsigned int queue,
		       struct kt_kvm_chain *ret_chain);

/* Gives a request back, after @written bytes were written into its buffers. */
void kt_kvm_virtio_push(struct kt_kvm_virtio *virtio, unsigned int queue, uint16_t head,
			uint32_t written);

/* Tells the guest of requests that were given back, if it wants to know. Once for many. */
void kt_kvm_virtio_interrupt(struct kt_kvm_virtio *virtio, unsigned int queue);

/* Has work() called again from the loop. */
void kt_kvm_virtio_kick(struct kt_kvm_virtio *virtio, unsigned int queue);

/* Stops the device, as the guest has broken a rule of its type. */
void kt_kvm_virtio_break(struct kt_kvm_virtio *virtio, const char *text);

/* Appends the state of the device, which is stopped. 0 or -ENOMEM. */
int kt_kvm_virtio_save(const struct kt_kvm_virtio *virtio, struct kt_buffer *state);

/*
 * Takes over a saved state, foreign bytes, into a device that was just initialised, whose RAM has
 * been restored. The device is stopped until kt_kvm_virtio_go(), as its machine stands still. 0, or
 * -EINVAL with a text that says what is wrong; the device can then only be deinitialised.
 */
int kt_kvm_virtio_load(struct kt_kvm_virtio *virtio, const uint8_t *state, size_t len,
		       struct kt_err *reterr);
