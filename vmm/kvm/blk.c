/* SPDX-License-Identifier: MIT */
/*
 * A request (virtio 1.2, 5.2.6) is a header that says what and where, the data, and one byte for
 * the status, which is the last that the guest lets the device write. How these are cut into
 * buffers is up to the guest.
 *
 * The data go between the file and the guest's RAM without a copy. A request cannot be longer than
 * the disk, so that one call ends. What a request wants wrongly is an error of that request, as on
 * a real disk; only one without a place for its status breaks the rules.
 */
#include "vmm/kvm/blk.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/cleanup.h"

#define QUEUE      0u
#define QUEUE_SIZE 128u
#define ROUND_MAX  64u /* requests before the loop does other work */

#define DISK_ID "ktest"

/* What is asked for, without the header and the status. */
struct request {
	uint32_t type;
	uint64_t offset, len; /* bytes, in the file */
	struct iovec parts[KT_KVM_QUEUE_SIZE_MAX];
	int n_parts;
};

static const uint8_t *get_config(void *data, size_t *ret_len)
{
	const struct kt_kvm_blk *blk = data;

	*ret_len = sizeof(blk->config);
	return (const uint8_t *)&blk->config;
}

/* The buffers from @skip bytes on, @len bytes of them. */
static void cut(const struct iovec *parts, unsigned int n, uint64_t skip, uint64_t len,
		struct request *request)
{
	request->n_parts = 0;
	for (unsigned int i = 0; i < n && len; i++) {
		uint64_t begin = KT_MIN(skip, parts[i].iov_len);
		uint64_t piece = KT_MIN(parts[i].iov_len - begin, len);

		skip -= begin;
		if (!piece)
			continue;
		request->parts[request->n_parts++] =
			(struct iovec){ (uint8_t *)parts[i].iov_base + begin, (size_t)piece };
		len -= piece;
	}
}

/* Reads or writes all parts; what a file gives in pieces is continued by. */
static int transfer(const struct kt_kvm_blk *blk, struct request *request)
{
	struct iovec *part = request->parts;
	uint64_t offset = request->offset;

	while (request->n_parts) {
		ssize_t n = request->type == VIRTIO_BLK_T_IN
				    ? preadv(blk->fd, part, request->n_parts, (off_t)offset)
				    : pwritev(blk->fd, part, request->n_parts, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		offset += (uint64_t)n;
		while (request->n_parts && (size_t)n >= part->iov_len) {
			n -= (ssize_t)part->iov_len;
			part++;
			request->n_parts--;
		}
		if (request->n_parts) {
			part->iov_base = (uint8_t *)part->iov_base + n;
			part->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* A read or write of whole sectors that the disk has. */
static uint8_t do_transfer(const struct kt_kvm_blk *blk, struct request *request, uint64_t sector)
{
	uint64_t n = request->len / KT_KVM_SECTOR_LEN, capacity = blk->config.capacity;

	if (request->len % KT_KVM_SECTOR_LEN || n > capacity || sector > capacity - n)
		return VIRTIO_BLK_S_IOERR;
	request->offset = sector * KT_KVM_SECTOR_LEN;
	return transfer(blk, request) < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

/* Does what is asked for; *@ret_written is how much of the guest's RAM that has changed. */
static uint8_t execute(const struct kt_kvm_blk *blk, const struct kt_kvm_chain *chain,
		       uint64_t *ret_written)
{
	char id[VIRTIO_BLK_ID_BYTES] = DISK_ID;
	struct virtio_blk_outhdr header;
	struct request request;
	uint8_t status;

	*ret_written = 0;
	if (kt_kvm_chain_read(chain, 0, &header, sizeof(header)) < sizeof(header))
		return VIRTIO_BLK_S_IOERR;
	request.type = header.type;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		request.len = chain->in_len - 1;
		cut(chain->parts + chain->n_out, chain->n_in, 0, request.len, &request);
		status = do_transfer(blk, &request, header.sector);
		*ret_written = status == VIRTIO_BLK_S_OK ? chain->in_len - 1 : 0;
		return status;
	case VIRTIO_BLK_T_OUT:
		request.len = chain->out_len - sizeof(header);
		cut(chain->parts, chain->n_out, sizeof(header), request.len, &request);
		return do_transfer(blk, &request, header.sector);
	case VIRTIO_BLK_T_FLUSH:
		return fdatasync(blk->fd) < 0 && errno != EINVAL ? VIRTIO_BLK_S_IOERR
								 : VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		*ret_written = kt_kvm_chain_write(chain, 0, id,
						  KT_MIN(sizeof(id), (size_t)chain->in_len - 1));
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void work(void *data, unsigned int queue)
{
	struct kt_kvm_blk *blk = data;
	struct kt_kvm_chain chain;
	unsigned int n = 0;

	for (; n < ROUND_MAX && kt_kvm_virtio_pop(&blk->virtio, queue, &chain); n++) {
		uint64_t written;
		uint8_t status;

		if (!chain.in_len) {
			kt_kvm_virtio_break(&blk->virtio,
					    "queue 0: a request has no room for its status");
			return;
		}
		status = execute(blk, &chain, &written);
		(void)kt_kvm_chain_write(&chain, chain.in_len - 1, &status, 1);
		kt_kvm_virtio_push(&blk->virtio, queue, chain.head, (uint32_t)written + 1);
	}
	if (n)
		kt_kvm_virtio_interrupt(&blk->virtio, queue);
	if (n == ROUND_MAX)
		kt_kvm_virtio_kick(&blk->virtio, queue); /* for the rest */
}

/* Nothing of a request outlives a round; the size of the disk must be the same. */
static int save(void *data, struct kt_buffer *state)
{
	const struct kt_kvm_blk *blk = data;
	uint64_t capacity = blk->config.capacity;

	return kt_buffer_append(state, &capacity, sizeof(capacity));
}

static int load(void *data, const uint8_t *state, size_t len, struct kt_err *reterr)
{
	const struct kt_kvm_blk *blk = data;
	uint64_t capacity = 0;

	if (len == sizeof(capacity))
		memcpy(&capacity, state, sizeof(capacity));
	if (!capacity || capacity != blk->config.capacity)
		return kt_err_set(reterr, -EINVAL, "the saved disk has %llu sectors, and not %llu",
				  (unsigned long long)capacity,
				  (unsigned long long)blk->config.capacity);
	return 0;
}

static const struct kt_kvm_virtio_ops ops = {
	.name = "disk",
	.type = VIRTIO_ID_BLOCK,
	.class_revision = 0x01000001, /* a mass storage controller, not a legacy one */
	.features = UINT64_C(1) << VIRTIO_BLK_F_SEG_MAX | UINT64_C(1) << VIRTIO_BLK_F_FLUSH,
	.n_queues = 1,
	.queue_size = QUEUE_SIZE,
	.config = get_config,
	.work = work,
	.save = save,
	.load = load,
};

int kt_kvm_blk_init(struct kt_kvm_blk *blk, int fd, const struct kt_kvm_host *host,
		    unsigned int gsi, struct kt_kvm_pci *pci, struct kt_kvm_bus *memory)
{
	struct stat st;

	*blk = (struct kt_kvm_blk){ .fd = fd };
	if (fstat(fd, &st) < 0)
		return -errno;
	blk->config.capacity = (uint64_t)st.st_size / KT_KVM_SECTOR_LEN;
	blk->config.seg_max = QUEUE_SIZE - 2; /* without header and status */
	return kt_kvm_virtio_init(&blk->virtio, &ops, blk, host, gsi, pci, memory);
}

void kt_kvm_blk_deinit(struct kt_kvm_blk *blk)
{
	kt_kvm_virtio_deinit(&blk->virtio);
}
