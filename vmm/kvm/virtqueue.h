/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A split virtqueue (virtio 1.2, 2.7) in the RAM of a hostile guest. Whatever the guest has
 * written, nothing outside of its RAM is reached, nothing is allocated, and each call ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util/err.h"
#include "vmm/kvm/ram.h"

#define KT_KVM_QUEUE_SIZE_MAX 256u /* descriptors of a queue, and of an indirect table */
#define KT_KVM_NO_VECTOR      0xffffu

struct kt_kvm_queue {
	unsigned int number; /* for texts */
	uint16_t size;       /* descriptors; a power of two up to KT_KVM_QUEUE_SIZE_MAX */
	uint16_t vector;     /* of MSI-X, or KT_KVM_NO_VECTOR */
	bool enabled;
	uint64_t desc, avail, used; /* guest-physical addresses of the three rings */
	uint16_t next_avail;        /* the next entry that is taken; counts on without end */
	uint16_t next_used;         /* likewise, that is given back */
};

/* The buffers of one request, in RAM: those that are read, then those that are written. */
struct kt_kvm_chain {
	uint16_t head; /* the number of its first descriptor */
	unsigned int n_out, n_in;
	uint64_t out_len, in_len; /* bytes, all together */
	struct iovec parts[KT_KVM_QUEUE_SIZE_MAX];
};

/*
 * Checks what the guest has set up before it enables the queue: the size, and that the rings are
 * aligned and lie in RAM. Returns 0, or -EPROTO with a text that names the queue and the value.
 */
int kt_kvm_queue_check(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		       struct kt_err *reterr);

/*
 * Takes the next request. Returns 1, or 0 when there is none. -EPROTO: the guest has broken the
 * rules, and the text names the queue and the value. The queue must not be used any more then.
 */
int kt_kvm_queue_pop(struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		     struct kt_kvm_chain *ret_chain, struct kt_err *reterr);

/* Gives a request back, into whose buffers @written bytes were written. 0 or -EPROTO. */
int kt_kvm_queue_push(struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram, uint16_t head,
		      uint32_t written, struct kt_err *reterr);

/* Whether the guest wants an interrupt for what is given back. */
bool kt_kvm_queue_wants_interrupt(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram);

/*
 * Copy bytes from the buffers that are read, from @offset on, or to those that are written. Return
 * how many there were, at most @len.
 */
size_t kt_kvm_chain_read(const struct kt_kvm_chain *chain, uint64_t offset, void *to, size_t len);
size_t kt_kvm_chain_write(const struct kt_kvm_chain *chain, uint64_t offset, const void *from,
			  size_t len);
