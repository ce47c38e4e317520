/* SPDX-License-Identifier: MIT */
/*
 * The guest writes descriptors and the avail ring, the device the used ring. The guest may change
 * anything at any time: each number is read once, into a variable of ours, and checked there.
 * Addresses of rings are translated at each use, since a restored queue has foreign ones.
 *
 * A chain ends because it has at most as many descriptors as its table; an indirect table cannot
 * lead to another one.
 */
#include "vmm/kvm/virtqueue.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/cleanup.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

_Static_assert(sizeof(struct desc) == 16, "as the specification has it");

struct used_entry {
	uint32_t id, len;
};

#define RING_INDEX   2u /* offset of the index in both rings; the flags are at 0 */
#define RING_ENTRIES 4u

/* A table of descriptors. */
struct table {
	const uint8_t *at;
	unsigned int n;
};

/*
 * Copies what the guest may be changing. The compiler must not read it a second time, after the
 * check: the fence keeps it from that.
 */
static void fetch(void *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Returns -EPROTO. */
static int broken(const struct kt_kvm_queue *queue, struct kt_err *reterr, const char *what,
		  uint64_t value)
{
	return kt_err_set(reterr, -EPROTO, "queue %u: %s (0x%" PRIx64 ")", queue->number, what,
			  value);
}

static void *desc_ring(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram)
{
	return kt_kvm_ram_at(ram, queue->desc, sizeof(struct desc) * queue->size);
}

static void *avail_ring(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram)
{
	return kt_kvm_ram_at(ram, queue->avail, RING_ENTRIES + 2u * queue->size);
}

static void *used_ring(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram)
{
	return kt_kvm_ram_at(ram, queue->used,
			     RING_ENTRIES + sizeof(struct used_entry) * queue->size);
}

int kt_kvm_queue_check(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		       struct kt_err *reterr)
{
	if (!queue->size || queue->size > KT_KVM_QUEUE_SIZE_MAX || queue->size & (queue->size - 1))
		return broken(queue, reterr, "the size is not a power of two up to 256",
			      queue->size);
	if (queue->desc % 16 || !desc_ring(queue, ram))
		return broken(queue, reterr, "the descriptors do not lie in RAM", queue->desc);
	if (queue->avail % 2 || !avail_ring(queue, ram))
		return broken(queue, reterr, "the avail ring does not lie in RAM", queue->avail);
	if (queue->used % 4 || !used_ring(queue, ram))
		return broken(queue, reterr, "the used ring does not lie in RAM", queue->used);
	return 0;
}

/* Adds the buffer of a descriptor to the chain. */
static int add_part(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		    const struct desc *desc, struct kt_kvm_chain *chain, struct kt_err *reterr)
{
	unsigned int n = chain->n_out + chain->n_in;
	void *host = kt_kvm_ram_at(ram, desc->addr, desc->len);

	if (!desc->len)
		return broken(queue, reterr, "a buffer has no bytes", desc->addr);
	if (!host)
		return broken(queue, reterr, "a buffer does not lie in RAM", desc->addr);
	if (n == KT_ARRAY_LEN(chain->parts))
		return broken(queue, reterr, "a request has too many buffers", n);
	if (!(desc->flags & DESC_WRITE) && chain->n_in)
		return broken(queue, reterr, "a buffer to read follows one to write", desc->addr);
	chain->parts[n] = (struct iovec){ host, desc->len };
	if (desc->flags & DESC_WRITE) {
		chain->n_in++;
		chain->in_len += desc->len;
	} else {
		chain->n_out++;
		chain->out_len += desc->len;
	}
	return 0;
}

/* The table that an indirect descriptor leads to. */
static int enter_table(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		       const struct desc *desc, struct table *ret_table, struct kt_err *reterr)
{
	struct table table = { .n = desc->len / (unsigned int)sizeof(struct desc) };

	if (desc->flags & DESC_NEXT)
		return broken(queue, reterr, "an indirect descriptor has a next one", desc->next);
	if (!table.n || desc->len % sizeof(struct desc) || table.n > KT_KVM_QUEUE_SIZE_MAX)
		return broken(queue, reterr, "an indirect table has a wrong length", desc->len);
	table.at = kt_kvm_ram_at(ram, desc->addr, desc->len);
	if (!table.at)
		return broken(queue, reterr, "an indirect table does not lie in RAM", desc->addr);
	*ret_table = table;
	return 0;
}

/* Follows a chain within one table. *@ret_indirect leads to another one if its flags are not 0. */
static int walk(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram, struct table table,
		unsigned int at, struct kt_kvm_chain *chain, struct desc *ret_indirect,
		struct kt_err *reterr)
{
	struct desc desc = { .flags = DESC_NEXT };

	for (unsigned int n = 0; desc.flags & DESC_NEXT; n++, at = desc.next) {
		int r;

		if (at >= table.n)
			return broken(queue, reterr, "there is no such descriptor", at);
		if (n == table.n)
			return broken(queue, reterr, "descriptors form a loop", at);
		fetch(&desc, table.at + sizeof(desc) * at, sizeof(desc));
		if (desc.flags & DESC_INDIRECT) {
			*ret_indirect = desc;
			return 0;
		}
		r = add_part(queue, ram, &desc, chain, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Collects the buffers of the chain that begins with the descriptor chain->head. */
static int collect(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		   struct kt_kvm_chain *chain, struct kt_err *reterr)
{
	struct table table = { desc_ring(queue, ram), queue->size };
	struct desc indirect = { .flags = 0 };
	int r;

	if (!table.at)
		return broken(queue, reterr, "the descriptors do not lie in RAM", queue->desc);
	r = walk(queue, ram, table, chain->head, chain, &indirect, reterr);
	if (r < 0 || !indirect.flags)
		return r;
	r = enter_table(queue, ram, &indirect, &table, reterr);
	if (r < 0)
		return r;
	indirect.flags = 0;
	r = walk(queue, ram, table, 0, chain, &indirect, reterr);
	if (r == 0 && indirect.flags)
		return broken(queue, reterr, "an indirect table leads to another", indirect.addr);
	return r;
}

int kt_kvm_queue_pop(struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram,
		     struct kt_kvm_chain *ret_chain, struct kt_err *reterr)
{
	const uint8_t *avail = avail_ring(queue, ram);
	uint16_t index;
	int r;

	if (!avail)
		return broken(queue, reterr, "the avail ring does not lie in RAM", queue->avail);
	/* What the guest wrote before the index is seen after it. */
	index = __atomic_load_n((const uint16_t *)(avail + RING_INDEX), __ATOMIC_ACQUIRE);
	if (index == queue->next_avail)
		return 0;
	if ((uint16_t)(index - queue->next_avail) > queue->size)
		return broken(queue, reterr, "the avail index jumps", index);
	*ret_chain = (struct kt_kvm_chain){ .head = 0 };
	fetch(&ret_chain->head,
	      avail + RING_ENTRIES + 2u * (queue->next_avail & (queue->size - 1u)), 2);
	r = collect(queue, ram, ret_chain, reterr);
	if (r < 0)
		return r;
	queue->next_avail++;
	return 1;
}

int kt_kvm_queue_push(struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram, uint16_t head,
		      uint32_t written, struct kt_err *reterr)
{
	struct used_entry entry = { head, written };
	uint8_t *used = used_ring(queue, ram);

	if (!used)
		return broken(queue, reterr, "the used ring does not lie in RAM", queue->used);
	memcpy(used + RING_ENTRIES + sizeof(entry) * (queue->next_used & (queue->size - 1u)),
	       &entry, sizeof(entry));
	queue->next_used++;
	__atomic_store_n((uint16_t *)(used + RING_INDEX), queue->next_used, __ATOMIC_RELEASE);
	return 0;
}

bool kt_kvm_queue_wants_interrupt(const struct kt_kvm_queue *queue, const struct kt_kvm_ram *ram)
{
	const uint16_t *flags = avail_ring(queue, ram);

	/* The guest clears the flag, then looks at the index again: the store must come first. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return flags && !(__atomic_load_n(flags, __ATOMIC_RELAXED) & AVAIL_NO_INTERRUPT);
}

/* Copies between @bytes and @n buffers, from @offset on. */
static size_t copy(const struct iovec *parts, unsigned int n, uint64_t offset, uint8_t *bytes,
		   size_t len, bool to_guest)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		size_t piece;

		if (offset >= parts[i].iov_len) {
			offset -= parts[i].iov_len;
			continue;
		}
		piece = KT_MIN(parts[i].iov_len - offset, len - done);
		if (to_guest)
			memcpy((uint8_t *)parts[i].iov_base + offset, bytes + done, piece);
		else
			memcpy(bytes + done, (uint8_t *)parts[i].iov_base + offset, piece);
		done += piece;
		offset = 0;
	}
	return done;
}

size_t kt_kvm_chain_read(const struct kt_kvm_chain *chain, uint64_t offset, void *to, size_t len)
{
	return copy(chain->parts, chain->n_out, offset, to, len, false);
}

size_t kt_kvm_chain_write(const struct kt_kvm_chain *chain, uint64_t offset, const void *from,
			  size_t len)
{
	return copy(chain->parts + chain->n_out, chain->n_in, offset, (uint8_t *)from, len, true);
}
