/* SPDX-License-Identifier: MIT */
/* The virtio disk and the virtio network card of a KVM machine, used by a driver. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kvm_guest.h"
#include "tests/unit/leaks.h"
#include "util/buffer.h"
#include "util/cleanup.h"
#include "vmm/kvm/blk.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/net.h"

UNIT_SUITE(kvm_disk);

#define GSI       KT_KVM_GSI_MSI
#define VERSION_1 (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define READY                                                                                      \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK)

#define NEXT  1u
#define WRITE 2u

#define SECTORS 16u
#define DISK    (SECTORS * 512u)

struct fixture {
	struct kvm_guest guest;
	struct kt_kvm_blk blk;
	struct kvm_ring *ring;
	int fd;
};

static void begin(struct fixture *f)
{
	char bytes[512];

	kvm_guest_init(&f->guest);
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	for (unsigned int i = 0; i < SECTORS; i++) {
		memset(bytes, 'a' + (int)i, sizeof(bytes));
		cr_assert(eq(sz, (size_t)write(f->fd, bytes, sizeof(bytes)), sizeof(bytes)));
	}
	cr_assert(zero(int, ftruncate(f->fd, DISK + 100))); /* not a whole sector more */
	cr_assert(zero(int, kt_kvm_blk_init(&f->blk, f->fd, &f->guest.host, GSI, &f->guest.pci,
					    &f->guest.memory)));
	cr_assert(eq(u8, kvm_driver_start(&f->guest, VERSION_1 | 1u << VIRTIO_BLK_F_FLUSH), READY));
	f->ring = &f->guest.rings[0];
}

static void end(struct fixture *f)
{
	kt_kvm_blk_deinit(&f->blk);
	kvm_guest_deinit(&f->guest);
	(void)close(f->fd);
}

static uint8_t *buffer(struct fixture *f)
{
	return f->guest.ram + f->ring->buffer_gpa;
}

/* A request with @len bytes of data at 1024 of the page. Returns the status, *@ret_len of it. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
		       uint32_t *ret_len)
{
	struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint64_t gpa = f->ring->buffer_gpa;
	uint32_t head;

	memcpy(buffer(f), &header, sizeof(header));
	buffer(f)[100] = 0xee;
	kvm_ring_set(&f->guest, f->ring, 0, gpa, sizeof(header), NEXT, len ? 1 : 2);
	kvm_ring_set(&f->guest, f->ring, 1, gpa + 1024, len, NEXT | (in ? WRITE : 0), 2);
	kvm_ring_set(&f->guest, f->ring, 2, gpa + 100, 1, WRITE, 0);
	kvm_ring_offer(&f->guest, f->ring, 0);
	kvm_notify(&f->guest, 0);
	cr_assert(kvm_ring_take(&f->guest, f->ring, &head, ret_len));
	return buffer(f)[100];
}

Test(kvm_disk, sectors_are_read_and_written)
{
	struct fixture f;
	char bytes[1024];
	uint32_t len;

	begin(&f);
	cr_assert(eq(u64, kvm_bar_read(&f.guest, KVM_BAR_CONFIG, 8), SECTORS));
	cr_assert(eq(u8, request(&f, VIRTIO_BLK_T_IN, 3, 1024, &len), VIRTIO_BLK_S_OK));
	cr_assert(eq(u32, len, 1025));
	cr_assert(eq(u8, buffer(&f)[1024 + 511], 'd'));
	cr_assert(eq(u8, buffer(&f)[1024 + 512], 'e'));
	memset(buffer(&f) + 1024, 'X', 1024);
	cr_assert(eq(u8, request(&f, VIRTIO_BLK_T_OUT, 14, 1024, &len), VIRTIO_BLK_S_OK));
	cr_assert(eq(u32, len, 1));
	cr_assert(eq(sz, (size_t)pread(f.fd, bytes, sizeof(bytes), 14 * 512), sizeof(bytes)));
	cr_assert(zero(int, memcmp(bytes, buffer(&f) + 1024, sizeof(bytes))));
	cr_assert(eq(u8, request(&f, VIRTIO_BLK_T_FLUSH, 0, 0, &len), VIRTIO_BLK_S_OK));
	cr_assert(eq(uint, f.guest.raised[GSI + 1], 3));
	end(&f);
}

Test(kvm_disk, notifications_follow_the_bar)
{
	struct fixture f;

	begin(&f);
	cr_assert(eq(int, f.guest.n_notifications, 1));
	kvm_config_write(&f.guest, 1, 0x10, 4, (uint32_t)KT_KVM_PCI_GPA);
	cr_assert(eq(int, f.guest.n_notifications, 1));
	cr_assert(eq(u64, f.guest.last_notified, KT_KVM_PCI_GPA + KVM_BAR_NOTIFY));
	kvm_config_write(&f.guest, 1, 4, 2, 0);
	cr_assert(zero(int, f.guest.n_notifications));
	end(&f);
}

/* Header, data and status may be cut anywhere. */
Test(kvm_disk, a_request_can_be_cut_into_odd_pieces)
{
	struct fixture f;
	struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_OUT, .sector = 1 };
	uint64_t gpa;
	char bytes[512];

	begin(&f);
	gpa = f.ring->buffer_gpa;
	memcpy(buffer(&f), &header, sizeof(header));
	memset(buffer(&f) + sizeof(header), 'Z', 512);
	kvm_ring_set(&f.guest, f.ring, 0, gpa, 7, NEXT, 1);
	kvm_ring_set(&f.guest, f.ring, 1, gpa + 7, 200, NEXT, 2);
	kvm_ring_set(&f.guest, f.ring, 2, gpa + 207, sizeof(header) + 512 - 207, NEXT, 3);
	kvm_ring_set(&f.guest, f.ring, 3, gpa + 2000, 3, WRITE, 0); /* the status is the last */
	buffer(&f)[2002] = 0xee;
	kvm_ring_offer(&f.guest, f.ring, 0);
	kvm_notify(&f.guest, 0);
	cr_assert(zero(u8, buffer(&f)[2002]));
	cr_assert(eq(sz, (size_t)pread(f.fd, bytes, sizeof(bytes), 512), sizeof(bytes)));
	cr_assert(zero(int, memcmp(bytes, buffer(&f) + sizeof(header), sizeof(bytes))));
	end(&f);
}

Test(kvm_disk, what_the_disk_does_not_have_is_an_error_of_the_request)
{
	static const struct {
		uint32_t type, len;
		uint64_t sector;
		uint8_t status;
	} cases[] = {
		{ VIRTIO_BLK_T_IN, 512, SECTORS, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 1024, SECTORS - 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 512, UINT64_MAX, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 512, UINT64_MAX / 512 + 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 100, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 16, 0, VIRTIO_BLK_S_UNSUPP },
	};
	struct fixture f;
	char before[DISK], after[DISK];
	uint32_t len;

	begin(&f);
	cr_assert(eq(sz, (size_t)pread(f.fd, before, DISK, 0), DISK));
	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		cr_assert(eq(u8, request(&f, cases[i].type, cases[i].sector, cases[i].len, &len),
			     cases[i].status),
			  "case %zu", i);
		cr_assert(eq(u32, len, 1), "case %zu", i);
	}
	cr_assert(eq(sz, (size_t)pread(f.fd, after, DISK, 0), DISK));
	cr_assert(zero(int, memcmp(before, after, DISK)));
	cr_assert(eq(u8, request(&f, VIRTIO_BLK_T_GET_ID, 0, 20, &len), VIRTIO_BLK_S_OK));
	cr_assert(eq(str, (char *)buffer(&f) + 1024, "ktest"));
	end(&f);
}

Test(kvm_disk, a_request_without_a_place_for_its_status_breaks_the_rules)
{
	struct fixture f;

	begin(&f);
	kvm_ring_add(&f.guest, f.ring, 0, 0, 16, false);
	kvm_notify(&f.guest, 0);
	cr_assert(strstr(f.guest.broken, "queue 0: a request has no room for its status") != NULL);
	end(&f);
}

Test(kvm_disk, a_saved_disk_is_restored_on_one_of_the_same_size_only)
{
	struct fixture f, copy;
	struct kt_buffer state = KT_BUFFER_NULL;
	struct kt_err err = KT_ERR_NULL;
	uint32_t len;

	begin(&f);
	cr_assert(zero(int, kt_kvm_virtio_save(&f.blk.virtio, &state)));
	begin(&copy);
	cr_assert(zero(int, kt_kvm_virtio_load(&copy.blk.virtio, (uint8_t *)state.data, state.len,
					       &err)),
		  "%s", err.text);
	kt_kvm_virtio_go(&copy.blk.virtio);
	cr_assert(eq(u8, request(&copy, VIRTIO_BLK_T_IN, 1, 512, &len), VIRTIO_BLK_S_OK));
	copy.blk.config.capacity--;
	cr_assert(eq(int,
		     kt_kvm_virtio_load(&copy.blk.virtio, (uint8_t *)state.data, state.len, &err),
		     -EINVAL));
	kt_buffer_deinit(&state);
	end(&copy);
	end(&f);
}

/* The network card */

struct net_fixture {
	struct kvm_guest guest;
	struct kt_kvm_net net;
};

static void begin_net(struct net_fixture *f)
{
	kvm_guest_init(&f->guest);
	cr_assert(zero(int, kt_kvm_net_init(&f->net, 1, &f->net, &f->guest.host, GSI, &f->guest.pci,
					    &f->guest.memory)));
	cr_assert(eq(u8, kvm_driver_start(&f->guest, VERSION_1 | 1u << VIRTIO_NET_F_MAC), READY));
}

static void end_net(struct net_fixture *f)
{
	kt_kvm_net_deinit(&f->net);
	kvm_guest_deinit(&f->guest);
}

/* Sends a frame of @len bytes that are @byte, behind the header. */
static void send_frame(struct net_fixture *f, uint32_t len, int byte)
{
	struct kvm_ring *ring = &f->guest.rings[1];
	uint32_t head, written;

	memset(f->guest.ram + ring->buffer_gpa, 0, 12);
	memset(f->guest.ram + ring->buffer_gpa + 12, byte, len);
	kvm_ring_add(&f->guest, ring, 0, 0, 12 + len, false);
	kvm_notify(&f->guest, 1);
	cr_assert(kvm_ring_take(&f->guest, ring, &head, &written));
	cr_assert(zero(u32, written));
}

Test(kvm_disk, a_frame_comes_back)
{
	struct net_fixture f;
	struct kvm_ring *ring = &f.guest.rings[0];
	uint32_t head, len;
	uint8_t *got;

	begin_net(&f);
	cr_assert(eq(u64, kvm_bar_read(&f.guest, KVM_BAR_CONFIG, 4), 2));
	kvm_ring_add(&f.guest, ring, 4, 0, 2000, true);
	kvm_ring_add(&f.guest, ring, 5, 2000, 2000, true);
	send_frame(&f, 60, 'a');
	cr_assert(eq(uint, f.guest.raised[GSI + 1], 1));
	send_frame(&f, 1514, 'b');
	cr_assert(kvm_ring_take(&f.guest, ring, &head, &len));
	cr_assert(eq(u32, len, 72));
	cr_assert(kvm_ring_take(&f.guest, ring, &head, &len));
	cr_assert(eq(u32, head, 5));
	cr_assert(eq(u32, len, 1526));
	got = f.guest.ram + ring->buffer_gpa;
	cr_assert(eq(u8, got[10], 1)); /* one buffer */
	cr_assert(eq(u8, got[12], 'a'));
	cr_assert(eq(u8, got[72], 0));
	cr_assert(eq(u8, got[2000 + 1525], 'b'));
	cr_assert(zero(u64, f.net.n_dropped));
	end_net(&f);
}

Test(kvm_disk, a_frame_without_a_buffer_is_lost)
{
	struct net_fixture f;
	struct kvm_ring *ring = &f.guest.rings[0];
	uint32_t head, len;

	begin_net(&f);
	send_frame(&f, 60, 'a');
	kvm_ring_add(&f.guest, ring, 0, 0, 20, true); /* too short */
	send_frame(&f, 60, 'b');
	cr_assert(kvm_ring_take(&f.guest, ring, &head, &len));
	cr_assert(zero(u32, len));
	kvm_ring_add(&f.guest, ring, 0, 0, 4000, true);
	send_frame(&f, 1519, 'c'); /* too long */
	send_frame(&f, 0, 'd');
	cr_assert(not(kvm_ring_take(&f.guest, ring, &head, &len)));
	cr_assert(eq(u64, f.net.n_dropped, 4));
	send_frame(&f, 60, 'e');
	cr_assert(kvm_ring_take(&f.guest, ring, &head, &len));
	cr_assert(eq(u32, len, 72));
	end_net(&f);
}
