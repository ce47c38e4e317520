/* SPDX-License-Identifier: MIT */
/*
 * The BAR has the common structure, the ISR, the device's configuration, a notification word per
 * queue, and the table and pending bits of MSI-X, each in a page of its own. Capabilities in the
 * configuration space say so to the guest.
 *
 * Accesses come from vCPU threads with the device lock held. A notification wakes the loop through
 * the queue's eventfd: the kernel signals it at once (host->ops->notify), or the write comes here
 * and is passed on. Requests are worked on in the loop, or first in the vCPU's thread (at_once),
 * always under the lock; what is called without it is called in the loop.
 *
 * A guest owns the ring only while its queue is enabled; the fields of the queue do not change
 * meanwhile. A queue is checked when it is enabled.
 */
#include "vmm/kvm/virtio.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"

#define VENDOR   0x1af4u
#define FIRST_ID 0x1040u /* and the type */

#define PAGE          0x1000u
#define OFFSET_COMMON 0x0000u
#define OFFSET_ISR    0x1000u
#define OFFSET_CONFIG 0x2000u
#define OFFSET_NOTIFY 0x3000u
#define OFFSET_TABLE  0x4000u
#define OFFSET_PBA    0x5000u
#define BAR_LEN       0x8000u
#define NOTIFY_STEP   4u

#define CAP_VENDOR 0x09u
#define CAP_MSIX   0x11u

#define TRANSPORT_FEATURES                                                                         \
	(UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC)

#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

#define WINDOW_DATA 16u /* offset in the capability that is a window to the BAR */

static uint64_t offered(const struct kt_kvm_virtio *virtio)
{
	return virtio->ops->features | TRANSPORT_FEATURES;
}

static void interrupt_config(struct kt_kvm_virtio *virtio)
{
	virtio->isr |= ISR_CONFIG;
	kt_kvm_msix_raise(&virtio->msix, virtio->config_vector);
}

void kt_kvm_virtio_break(struct kt_kvm_virtio *virtio, const char *text)
{
	const struct kt_kvm_host *host = virtio->host;
	char line[512];

	if (virtio->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	virtio->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (virtio->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt_config(virtio);
	(void)snprintf(line, sizeof(line), "the device '%s' needs a reset: %.400s",
		       virtio->ops->name, text);
	if (host->ops->broken)
		host->ops->broken(host->data, line);
}

void kt_kvm_virtio_kick(struct kt_kvm_virtio *virtio, unsigned int queue)
{
	uint64_t one = 1;

	/* A counter that is full has woken the loop already. */
	if (write(virtio->queues[queue].eventfd, &one, sizeof(one)) < 0)
		return;
}

static void kick_all(struct kt_kvm_virtio *virtio)
{
	for (unsigned int i = 0; i < virtio->ops->n_queues; i++)
		kt_kvm_virtio_kick(virtio, i);
}

bool kt_kvm_virtio_is_ready(const struct kt_kvm_virtio *virtio, unsigned int queue)
{
	return !virtio->stopped && virtio->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	       !(virtio->status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
	       virtio->queues[queue].ring.enabled;
}

bool kt_kvm_virtio_pop(struct kt_kvm_virtio *virtio, unsigned int queue,
		       struct kt_kvm_chain *ret_chain)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!kt_kvm_virtio_is_ready(virtio, queue))
		return false;
	r = kt_kvm_queue_pop(&virtio->queues[queue].ring, virtio->host->ram, ret_chain, &err);
	if (r < 0)
		kt_kvm_virtio_break(virtio, err.text);
	return r > 0;
}

void kt_kvm_virtio_push(struct kt_kvm_virtio *virtio, unsigned int queue, uint16_t head,
			uint32_t written)
{
	struct kt_err err = KT_ERR_NULL;

	if (!kt_kvm_virtio_is_ready(virtio, queue))
		return;
	if (kt_kvm_queue_push(&virtio->queues[queue].ring, virtio->host->ram, head, written, &err))
		kt_kvm_virtio_break(virtio, err.text);
}

void kt_kvm_virtio_interrupt(struct kt_kvm_virtio *virtio, unsigned int queue)
{
	const struct kt_kvm_queue *ring = &virtio->queues[queue].ring;

	if (!kt_kvm_virtio_is_ready(virtio, queue) ||
	    !kt_kvm_queue_wants_interrupt(ring, virtio->host->ram))
		return;
	virtio->isr |= ISR_QUEUE;
	kt_kvm_msix_raise(&virtio->msix, ring->vector);
}

/* The loop: a queue was notified. */
static void on_notified(void *data, uint32_t events)
{
	struct kt_kvm_virtio_queue *queue = data;
	struct kt_kvm_virtio *virtio = queue->virtio;
	uint64_t n;

	(void)events;
	if (read(queue->eventfd, &n, sizeof(n)) < 0)
		return;
	(void)pthread_mutex_lock(virtio->host->lock);
	if (kt_kvm_virtio_is_ready(virtio, queue->ring.number))
		virtio->ops->work(virtio->data, queue->ring.number);
	(void)pthread_mutex_unlock(virtio->host->lock);
	if (virtio->ops->deliver)
		virtio->ops->deliver(virtio->data);
}

static void reset_queues(struct kt_kvm_virtio *virtio)
{
	for (unsigned int i = 0; i < virtio->ops->n_queues; i++)
		virtio->queues[i].ring = (struct kt_kvm_queue){
			.number = i,
			.size = virtio->ops->queue_size,
			.vector = KT_KVM_NO_VECTOR,
		};
}

static void reset(struct kt_kvm_virtio *virtio)
{
	virtio->status = 0;
	virtio->driver_features = 0;
	virtio->feature_select = virtio->driver_feature_select = 0;
	virtio->queue_select = 0;
	virtio->config_vector = KT_KVM_NO_VECTOR;
	virtio->isr = 0;
	reset_queues(virtio);
	if (virtio->ops->reset)
		virtio->ops->reset(virtio->data);
}

static bool features_are_good(const struct kt_kvm_virtio *virtio)
{
	return !(virtio->driver_features & ~offered(virtio)) &&
	       virtio->driver_features & UINT64_C(1) << VIRTIO_F_VERSION_1;
}

/* A driver only adds bits, and takes back all of them at once. */
static void set_status(struct kt_kvm_virtio *virtio, uint8_t status)
{
	uint8_t added = status & (uint8_t)~virtio->status & (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;

	if (!status) {
		reset(virtio);
		return;
	}
	if (added & VIRTIO_CONFIG_S_FEATURES_OK && !features_are_good(virtio))
		added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	virtio->status |= added;
	if (!(virtio->status & VIRTIO_CONFIG_S_FEATURES_OK))
		virtio->status &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	if (added & virtio->status & VIRTIO_CONFIG_S_DRIVER_OK)
		kick_all(virtio);
}

static void set_driver_features(struct kt_kvm_virtio *virtio, uint32_t value)
{
	unsigned int shift = 32 * (virtio->driver_feature_select & 1);

	if (virtio->driver_feature_select > 1 || virtio->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	virtio->driver_features &= ~(UINT64_C(0xffffffff) << shift);
	virtio->driver_features |= (uint64_t)value << shift;
}

/* A vector that does not exist is refused: the guest reads that there is none. */
static uint16_t checked_vector(const struct kt_kvm_virtio *virtio, uint32_t value)
{
	return value < virtio->msix.n ? (uint16_t)value : KT_KVM_NO_VECTOR;
}

static void enable_queue(struct kt_kvm_virtio *virtio, struct kt_kvm_queue *queue)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_kvm_queue_check(queue, virtio->host->ram, &err) < 0)
		kt_kvm_virtio_break(virtio, err.text);
	else
		queue->enabled = true;
}

static void set_half(uint64_t *number, bool high, uint32_t value)
{
	unsigned int shift = high ? 32 : 0;

	*number = (*number & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

/* Fields of the selected queue. They are fixed while it is enabled. */
static void write_queue(struct kt_kvm_virtio *virtio, unsigned int offset, uint32_t value)
{
	struct kt_kvm_queue *queue;

	if (virtio->queue_select >= virtio->ops->n_queues)
		return;
	queue = &virtio->queues[virtio->queue_select].ring;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		queue->vector = checked_vector(virtio, value);
		return;
	}
	if (queue->enabled)
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		queue->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			enable_queue(virtio, queue);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&queue->desc, offset == VIRTIO_PCI_COMMON_Q_DESCHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&queue->avail, offset == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&queue->used, offset == VIRTIO_PCI_COMMON_Q_USEDHI, value);
		break;
	default:
		break;
	}
}

static void write_common(struct kt_kvm_virtio *virtio, unsigned int offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		virtio->feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		virtio->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		set_driver_features(virtio, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		virtio->config_vector = checked_vector(virtio, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(virtio, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		virtio->queue_select = (uint16_t)value;
		break;
	default:
		write_queue(virtio, offset, value);
		break;
	}
}

static uint32_t read_queue(const struct kt_kvm_virtio *virtio, unsigned int offset)
{
	const struct kt_kvm_queue *queue;

	if (virtio->queue_select >= virtio->ops->n_queues)
		return 0; /* a size of 0: there is no such queue */
	queue = &virtio->queues[virtio->queue_select].ring;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return queue->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return virtio->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)queue->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return (uint32_t)(queue->desc >> 32);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)queue->avail;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return (uint32_t)(queue->avail >> 32);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)queue->used;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return (uint32_t)(queue->used >> 32);
	default:
		return 0;
	}
}

static uint32_t read_features(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static uint32_t read_common(const struct kt_kvm_virtio *virtio, unsigned int offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return virtio->feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return read_features(offered(virtio), virtio->feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return virtio->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return read_features(virtio->driver_features, virtio->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return virtio->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return virtio->ops->n_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio->status;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return virtio->queue_select;
	default:
		return read_queue(virtio, offset);
	}
}

static void read_device_config(const struct kt_kvm_virtio *virtio, unsigned int offset,
			       uint8_t *bytes, unsigned int len)
{
	size_t n;
	const uint8_t *config = virtio->ops->config(virtio->data, &n);

	if (offset + len <= n)
		memcpy(bytes, config + offset, len);
}

/* Accesses to the BAR. What is not there reads zeros and writes nothing. */
static void read_bar(void *data, uint64_t at, uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_virtio *virtio = data;
	unsigned int offset = (unsigned int)(at % PAGE);
	uint32_t value;

	memset(bytes, 0, len);
	switch (at - offset) {
	case OFFSET_COMMON:
		for (unsigned int i = 0; i < len; i += 4) {
			value = read_common(virtio, offset + i);
			memcpy(bytes + i, &value, KT_MIN(len - i, 4u));
		}
		break;
	case OFFSET_ISR:
		if (offset == 0)
			bytes[0] = virtio->isr;
		virtio->isr = 0;
		break;
	case OFFSET_CONFIG:
		read_device_config(virtio, offset, bytes, len);
		break;
	case OFFSET_TABLE:
		kt_kvm_msix_read_table(&virtio->msix, offset, bytes, len);
		break;
	case OFFSET_PBA:
		kt_kvm_msix_read_pending(&virtio->msix, offset, bytes, len);
		break;
	default:
		break;
	}
}

/* The loop delivers what came of the work, and does it if it was not done at once. */
static void notify(struct kt_kvm_virtio *virtio, unsigned int queue)
{
	if (virtio->ops->at_once && kt_kvm_virtio_is_ready(virtio, queue))
		virtio->ops->work(virtio->data, queue);
	kt_kvm_virtio_kick(virtio, queue);
}

static void write_bar(void *data, uint64_t at, const uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_virtio *virtio = data;
	unsigned int offset = (unsigned int)(at % PAGE);

	switch (at - offset) {
	case OFFSET_COMMON:
		for (unsigned int i = 0; i < len; i += 4) {
			uint32_t value = 0;

			memcpy(&value, bytes + i, KT_MIN(len - i, 4u));
			write_common(virtio, offset + i, value);
		}
		break;
	case OFFSET_NOTIFY:
		if (offset / NOTIFY_STEP < virtio->ops->n_queues)
			notify(virtio, offset / NOTIFY_STEP);
		break;
	case OFFSET_TABLE:
		kt_kvm_msix_write_table(&virtio->msix, offset, bytes, len);
		break;
	default:
		break;
	}
}

/* Has the kernel signal the eventfds where the notification words are now. */
static void register_notifications(void *data)
{
	struct kt_kvm_virtio *virtio = data;
	const struct kt_kvm_host *host = virtio->host;
	uint64_t gpa = virtio->pci.bar.len ? virtio->pci.bar.base + OFFSET_NOTIFY : 0;

	if (virtio->ops->at_once) /* the writes are wanted here */
		return;
	for (unsigned int i = 0; i < virtio->ops->n_queues; i++) {
		int eventfd = virtio->queues[i].eventfd;

		if (virtio->notified_gpa)
			(void)host->ops->unnotify(host->data,
						  virtio->notified_gpa + NOTIFY_STEP * i, eventfd);
		/* Where that fails, writes come here. */
		if (gpa)
			(void)host->ops->notify(host->data, gpa + NOTIFY_STEP * i, eventfd);
	}
	virtio->notified_gpa = gpa;
}

/*
 * The window in the configuration space is a second way to the BAR: the guest writes an offset and
 * a length, and accesses the data behind them. False: what it wrote is no access of the BAR 0.
 */
static bool window(const struct kt_kvm_virtio *virtio, uint32_t *ret_offset, uint32_t *ret_len)
{
	unsigned int cap = virtio->window_cap;
	uint32_t offset = kt_kvm_pci_get(&virtio->pci, cap + 8, 4);
	uint32_t len = kt_kvm_pci_get(&virtio->pci, cap + 12, 4);

	*ret_offset = offset;
	*ret_len = len;
	return kt_kvm_pci_get(&virtio->pci, cap + 4, 1) == 0 &&
	       (len == 1 || len == 2 || len == 4) && offset % len == 0 && offset < BAR_LEN;
}

static bool touches_window(const struct kt_kvm_virtio *virtio, unsigned int offset,
			   unsigned int len)
{
	unsigned int at = virtio->window_cap + WINDOW_DATA;

	return len <= 4 && offset < at + 4 && offset + len > at;
}

static void before_config_read(void *data, unsigned int offset, unsigned int len)
{
	struct kt_kvm_virtio *virtio = data;
	uint32_t at, n;

	if (touches_window(virtio, offset, len) && window(virtio, &at, &n))
		read_bar(virtio, at, virtio->pci.config + virtio->window_cap + WINDOW_DATA, n);
}

static void after_config_write(void *data, unsigned int offset, unsigned int len)
{
	struct kt_kvm_virtio *virtio = data;
	uint32_t at, n;

	kt_kvm_msix_set_control(&virtio->msix,
				(uint16_t)kt_kvm_pci_get(&virtio->pci, virtio->msix_cap + 2, 2));
	if (touches_window(virtio, offset, len) && window(virtio, &at, &n))
		write_bar(virtio, at, virtio->pci.config + virtio->window_cap + WINDOW_DATA, n);
}

/* Says where in the BAR a structure of the given type is. Returns the offset of the capability. */
static unsigned int add_structure(struct kt_kvm_virtio *virtio, uint8_t type, unsigned int cap_len,
				  uint32_t offset, uint32_t len)
{
	unsigned int cap = kt_kvm_pci_add_capability(&virtio->pci, CAP_VENDOR, cap_len);

	kt_kvm_pci_set(&virtio->pci, cap + 2, 1, cap_len);
	kt_kvm_pci_set(&virtio->pci, cap + 3, 1, type);
	kt_kvm_pci_set(&virtio->pci, cap + 8, 4, offset);
	kt_kvm_pci_set(&virtio->pci, cap + 12, 4, len);
	return cap;
}

static void add_capabilities(struct kt_kvm_virtio *virtio)
{
	struct kt_kvm_pci_device *pci = &virtio->pci;
	unsigned int n = virtio->ops->n_queues, cap;
	size_t config_len;

	(void)virtio->ops->config(virtio->data, &config_len);
	(void)add_structure(virtio, VIRTIO_PCI_CAP_COMMON_CFG, 16, OFFSET_COMMON,
			    sizeof(struct virtio_pci_common_cfg));
	(void)add_structure(virtio, VIRTIO_PCI_CAP_ISR_CFG, 16, OFFSET_ISR, 1);
	if (config_len)
		(void)add_structure(virtio, VIRTIO_PCI_CAP_DEVICE_CFG, 16, OFFSET_CONFIG,
				    (uint32_t)config_len);
	cap = add_structure(virtio, VIRTIO_PCI_CAP_NOTIFY_CFG, 20, OFFSET_NOTIFY, NOTIFY_STEP * n);
	kt_kvm_pci_set(pci, cap + 16, 4, NOTIFY_STEP);
	virtio->window_cap = add_structure(virtio, VIRTIO_PCI_CAP_PCI_CFG, 20, 0, 0);
	memset(pci->writable + virtio->window_cap + 4, 0xff, 1);
	memset(pci->writable + virtio->window_cap + 8, 0xff, 12);
	virtio->msix_cap = kt_kvm_pci_add_capability(pci, CAP_MSIX, 12);
	kt_kvm_pci_set(pci, virtio->msix_cap + 2, 2, virtio->msix.n - 1);
	kt_kvm_pci_set(pci, virtio->msix_cap + 4, 4, OFFSET_TABLE);
	kt_kvm_pci_set(pci, virtio->msix_cap + 8, 4, OFFSET_PBA);
	pci->writable[virtio->msix_cap + 3] = (KT_KVM_MSIX_ENABLE | KT_KVM_MSIX_MASK) >> 8;
}

static int open_queue(struct kt_kvm_virtio *virtio, struct kt_kvm_virtio_queue *queue)
{
	queue->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->eventfd < 0)
		return -errno;
	queue->source = (struct kt_source){ queue->eventfd, EPOLLIN, on_notified, queue };
	return kt_loop_add(virtio->host->loop, &queue->source);
}

int kt_kvm_virtio_init(struct kt_kvm_virtio *virtio, const struct kt_kvm_virtio_ops *ops,
		       void *data, const struct kt_kvm_host *host, unsigned int gsi,
		       struct kt_kvm_pci *pci, struct kt_kvm_bus *memory)
{
	assert(ops->n_queues <= KT_KVM_QUEUES_MAX && ops->n_queues < KT_KVM_MSIX_MAX);
	*virtio = (struct kt_kvm_virtio){ .host = host, .ops = ops, .data = data };
	for (unsigned int i = 0; i < KT_KVM_QUEUES_MAX; i++)
		virtio->queues[i] = (struct kt_kvm_virtio_queue){
			.source = KT_SOURCE_NULL,
			.eventfd = -1,
			.virtio = virtio,
		};
	kt_kvm_msix_init(&virtio->msix, host, gsi, ops->n_queues + 1);
	virtio->config_vector = KT_KVM_NO_VECTOR;
	reset_queues(virtio);
	for (unsigned int i = 0; i < ops->n_queues; i++) {
		int r = open_queue(virtio, &virtio->queues[i]);

		if (r < 0)
			return r;
	}
	kt_kvm_pci_device_init(&virtio->pci, VENDOR, (uint16_t)(FIRST_ID + ops->type),
			       ops->class_revision, BAR_LEN);
	add_capabilities(virtio);
	virtio->pci.bar.read = read_bar;
	virtio->pci.bar.write = write_bar;
	virtio->pci.bar.data = virtio->pci.data = virtio;
	virtio->pci.before_read = before_config_read;
	virtio->pci.after_write = after_config_write;
	virtio->pci.moved = register_notifications;
	return kt_kvm_pci_add(pci, &virtio->pci, memory);
}

void kt_kvm_virtio_deinit(struct kt_kvm_virtio *virtio)
{
	for (unsigned int i = 0; virtio->ops && i < virtio->ops->n_queues; i++) {
		kt_loop_remove(virtio->host->loop, &virtio->queues[i].source);
		virtio->queues[i].eventfd = kt_close(virtio->queues[i].eventfd);
	}
}

void kt_kvm_virtio_stop(struct kt_kvm_virtio *virtio)
{
	virtio->stopped = true;
}

void kt_kvm_virtio_go(struct kt_kvm_virtio *virtio)
{
	virtio->stopped = false;
	kick_all(virtio);
}

/* The saved state: numbers as this machine stores them, which is an x86 as the guest is. */
struct saved_entry {
	uint64_t address;
	uint32_t data, control;
	uint32_t pending, zero;
};

struct saved_queue {
	uint64_t desc, avail, used;
	uint16_t size, vector, next_avail, next_used;
	uint32_t enabled, zero;
};

struct saved {
	uint32_t len; /* of this struct; what the device itself saves follows */
	uint32_t version;
	uint64_t driver_features;
	uint32_t feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, isr, zero[2];
	uint32_t n_queues, n_vectors;
	uint8_t config[KT_KVM_PCI_CONFIG_LEN];
	struct saved_entry entries[KT_KVM_MSIX_MAX];
	struct saved_queue queues[KT_KVM_QUEUES_MAX];
};

#define SAVED_VERSION 1u

_Static_assert(sizeof(struct saved) == 1000, "a file format");

static void save_queues(const struct kt_kvm_virtio *virtio, struct saved *saved)
{
	for (unsigned int i = 0; i < virtio->ops->n_queues; i++) {
		const struct kt_kvm_queue *ring = &virtio->queues[i].ring;

		saved->queues[i] = (struct saved_queue){
			.desc = ring->desc,
			.avail = ring->avail,
			.used = ring->used,
			.size = ring->size,
			.vector = ring->vector,
			.next_avail = ring->next_avail,
			.next_used = ring->next_used,
			.enabled = ring->enabled,
		};
	}
}

static void save_entries(const struct kt_kvm_msix *msix, struct saved *saved)
{
	for (unsigned int i = 0; i < msix->n; i++)
		saved->entries[i] = (struct saved_entry){
			.address = msix->entries[i].msi.address,
			.data = msix->entries[i].msi.data,
			.control = msix->entries[i].control,
			.pending = msix->entries[i].pending,
		};
}

int kt_kvm_virtio_save(const struct kt_kvm_virtio *virtio, struct kt_buffer *state)
{
	struct saved saved = {
		.len = sizeof(saved),
		.version = SAVED_VERSION,
		.driver_features = virtio->driver_features,
		.feature_select = virtio->feature_select,
		.driver_feature_select = virtio->driver_feature_select,
		.queue_select = virtio->queue_select,
		.config_vector = virtio->config_vector,
		.status = virtio->status,
		.isr = virtio->isr,
		.n_queues = virtio->ops->n_queues,
		.n_vectors = virtio->msix.n,
	};
	int r;

	memcpy(saved.config, virtio->pci.config, sizeof(saved.config));
	save_entries(&virtio->msix, &saved);
	save_queues(virtio, &saved);
	r = kt_buffer_append(state, &saved, sizeof(saved));
	return r < 0 || !virtio->ops->save ? r : virtio->ops->save(virtio->data, state);
}

/* Returns -EINVAL. */
static int wrong(const struct kt_kvm_virtio *virtio, struct kt_err *reterr, const char *what,
		 uint64_t value)
{
	return kt_err_set(reterr, -EINVAL, "the saved device '%s' has %s (0x%llx)",
			  virtio->ops->name, what, (unsigned long long)value);
}

static bool is_vector(const struct kt_kvm_virtio *virtio, uint16_t vector)
{
	return vector < virtio->msix.n || vector == KT_KVM_NO_VECTOR;
}

static int load_queue(struct kt_kvm_virtio *virtio, const struct saved_queue *saved,
		      unsigned int number, struct kt_err *reterr)
{
	struct kt_kvm_queue ring = {
		.number = number,
		.size = saved->size,
		.vector = saved->vector,
		.enabled = saved->enabled != 0,
		.desc = saved->desc,
		.avail = saved->avail,
		.used = saved->used,
		.next_avail = saved->next_avail,
		.next_used = saved->next_used,
	};

	if (!is_vector(virtio, saved->vector))
		return wrong(virtio, reterr, "a vector that it does not have", saved->vector);
	if (ring.enabled && kt_kvm_queue_check(&ring, virtio->host->ram, reterr) < 0)
		return kt_err_prefix(reterr, -EINVAL, "the saved device '%s'", virtio->ops->name);
	virtio->queues[number].ring = ring;
	return 0;
}

static int check_saved(const struct kt_kvm_virtio *virtio, const struct saved *saved,
		       struct kt_err *reterr)
{
	if (saved->len != sizeof(*saved) || saved->version != SAVED_VERSION)
		return wrong(virtio, reterr, "another version", saved->version);
	if (saved->n_queues != virtio->ops->n_queues || saved->n_vectors != virtio->msix.n)
		return wrong(virtio, reterr, "another number of queues", saved->n_queues);
	if (!is_vector(virtio, saved->config_vector))
		return wrong(virtio, reterr, "a vector that it does not have",
			     saved->config_vector);
	if (saved->driver_features & ~offered(virtio))
		return wrong(virtio, reterr, "features that it does not offer",
			     saved->driver_features);
	return 0;
}

/*
 * The registers, the queues, the vectors. The configuration space comes last: it registers the
 * notifications, and raises what was pending.
 */
static int load_saved(struct kt_kvm_virtio *virtio, const struct saved *saved,
		      struct kt_err *reterr)
{
	virtio->driver_features = saved->driver_features;
	virtio->feature_select = saved->feature_select;
	virtio->driver_feature_select = saved->driver_feature_select;
	virtio->queue_select = saved->queue_select;
	virtio->config_vector = saved->config_vector;
	virtio->status = saved->status;
	virtio->isr = saved->isr;
	for (unsigned int i = 0; i < virtio->ops->n_queues; i++) {
		int r = load_queue(virtio, &saved->queues[i], i, reterr);

		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < virtio->msix.n; i++)
		virtio->msix.entries[i] = (struct kt_kvm_msix_entry){
			.msi = { saved->entries[i].address, saved->entries[i].data },
			.control = saved->entries[i].control & 1,
			.pending = saved->entries[i].pending != 0,
		};
	kt_kvm_pci_load(&virtio->pci, saved->config);
	return 0;
}

int kt_kvm_virtio_load(struct kt_kvm_virtio *virtio, const uint8_t *state, size_t len,
		       struct kt_err *reterr)
{
	struct saved saved;
	int r;

	if (len < sizeof(saved))
		return wrong(virtio, reterr, "too few bytes", len);
	memcpy(&saved, state, sizeof(saved));
	r = check_saved(virtio, &saved, reterr);
	if (r == 0)
		r = load_saved(virtio, &saved, reterr);
	virtio->stopped = true;
	state += sizeof(saved);
	len -= sizeof(saved);
	if (r < 0 || virtio->ops->load)
		return r ?: virtio->ops->load(virtio->data, state, len, reterr);
	return len ? wrong(virtio, reterr, "too many bytes", len) : 0;
}
