/* SPDX-License-Identifier: MIT */
/* A virtqueue in the RAM of a guest that follows the rules, and of one that breaks each of them. */
#include <errno.h>
#include <string.h>

#include "tests/kvm_guest.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/kvm/virtqueue.h"

UNIT_SUITE(kvm_queue);

#define NEXT     1u
#define WRITE    2u
#define INDIRECT 4u

#define SIZE 8u

struct fixture {
	struct kvm_guest guest;
	struct kvm_ring ring;
	struct kt_kvm_queue queue;
	struct kt_kvm_chain chain;
	struct kt_err err;
};

static void begin(struct fixture *f)
{
	kvm_guest_init(&f->guest);
	f->err = KT_ERR_NULL;
	f->ring = kvm_ring_at(3, SIZE);
	f->queue = (struct kt_kvm_queue){
		.number = 3,
		.size = SIZE,
		.desc = f->ring.desc_gpa,
		.avail = f->ring.avail_gpa,
		.used = f->ring.used_gpa,
	};
	cr_assert(zero(int, kt_kvm_queue_check(&f->queue, &f->guest.layout, &f->err)));
}

static int pop(struct fixture *f)
{
	return kt_kvm_queue_pop(&f->queue, &f->guest.layout, &f->chain, &f->err);
}

static int push(struct fixture *f, uint16_t head, uint32_t written)
{
	return kt_kvm_queue_push(&f->queue, &f->guest.layout, head, written, &f->err);
}

static void set(struct fixture *f, unsigned int at, uint64_t gpa, uint32_t len, uint16_t flags,
		uint16_t next)
{
	kvm_ring_set(&f->guest, &f->ring, at, gpa, len, flags, next);
}

Test(kvm_queue, a_request_has_its_buffers_in_order)
{
	struct fixture f;
	uint64_t gpa;
	char bytes[16] = "";

	begin(&f);
	gpa = f.ring.buffer_gpa;
	cr_assert(zero(int, pop(&f)));
	memcpy(f.guest.ram + gpa, "abcdef", 6);
	set(&f, 5, gpa, 3, NEXT, 2);
	set(&f, 2, gpa + 3, 3, NEXT, 7);
	set(&f, 7, gpa + 100, 4, NEXT | WRITE, 0);
	set(&f, 0, gpa + 200, 4, WRITE, 0);
	kvm_ring_offer(&f.guest, &f.ring, 5);
	cr_assert(eq(int, pop(&f), 1), "%s", f.err.text);
	cr_assert(eq(u16, f.chain.head, 5));
	cr_assert(eq(u64, f.chain.out_len, 6));
	cr_assert(eq(u64, f.chain.in_len, 8));
	cr_assert(eq(sz, kt_kvm_chain_read(&f.chain, 1, bytes, sizeof(bytes)), 5));
	cr_assert(eq(str, bytes, "bcdef"));
	cr_assert(eq(sz, kt_kvm_chain_write(&f.chain, 2, "12345678", 8), 6));
	cr_assert(zero(int, memcmp(f.guest.ram + gpa + 100,
				   "\0\0"
				   "12",
				   4)));
	cr_assert(zero(int, memcmp(f.guest.ram + gpa + 200, "3456", 4)));
	cr_assert(zero(int, pop(&f)));
	kvm_guest_deinit(&f.guest);
}

Test(kvm_queue, an_indirect_table_holds_the_rest)
{
	struct fixture f;
	struct kvm_ring table;

	begin(&f);
	table = f.ring;
	table.desc_gpa = f.ring.buffer_gpa;
	set(&f, 0, f.ring.buffer_gpa + 512, 1, NEXT, 1);
	set(&f, 1, table.desc_gpa, 48, INDIRECT, 0);
	kvm_ring_set(&f.guest, &table, 0, f.ring.buffer_gpa + 600, 2, NEXT, 2);
	kvm_ring_set(&f.guest, &table, 2, f.ring.buffer_gpa + 700, 4, WRITE, 0);
	kvm_ring_offer(&f.guest, &f.ring, 0);
	cr_assert(eq(int, pop(&f), 1), "%s", f.err.text);
	cr_assert(eq(uint, f.chain.n_out, 2));
	cr_assert(eq(uint, f.chain.n_in, 1));
	cr_assert(eq(u64, f.chain.in_len, 4));
	kvm_guest_deinit(&f.guest);
}

/* The indices count on beyond the size, and beyond 65535. */
Test(kvm_queue, requests_go_round_and_round)
{
	struct fixture f;
	uint32_t head, len;

	begin(&f);
	for (unsigned int i = 0; i < 70000; i++) {
		kvm_ring_add(&f.guest, &f.ring, (uint16_t)(i % 5), i % 64, 1 + i % 9, true);
		cr_assert(eq(int, pop(&f), 1), "%u: %s", i, f.err.text);
		cr_assert(eq(u16, f.chain.head, i % 5));
		cr_assert(zero(int, push(&f, f.chain.head, i)));
		cr_assert(kvm_ring_take(&f.guest, &f.ring, &head, &len));
		cr_assert(eq(u32, head, i % 5));
		cr_assert(eq(u32, len, i));
	}
	kvm_guest_deinit(&f.guest);
}

Test(kvm_queue, an_interrupt_is_only_for_who_wants_it)
{
	struct fixture f;

	begin(&f);
	cr_assert(kt_kvm_queue_wants_interrupt(&f.queue, &f.guest.layout));
	f.guest.ram[f.ring.avail_gpa] = 1;
	cr_assert(not(kt_kvm_queue_wants_interrupt(&f.queue, &f.guest.layout)));
	kvm_guest_deinit(&f.guest);
}

/* Offers the descriptor 0, which breaks a rule; the text says which, and names queue and value. */
static void check_broken(struct fixture *f, const char *text)
{
	uint16_t before = f->queue.next_avail;

	kvm_ring_offer(&f->guest, &f->ring, 0);
	cr_assert(eq(int, pop(f), -EPROTO), "%s", text);
	cr_assert(eq(str, f->err.text, (char *)text));
	cr_assert(eq(u16, f->queue.next_avail, before));
	kvm_guest_deinit(&f->guest);
	begin(f);
}

Test(kvm_queue, each_broken_rule_is_named)
{
	struct fixture f;
	uint64_t gpa;

	begin(&f);
	gpa = f.ring.buffer_gpa;
	set(&f, 0, gpa, 8, NEXT, SIZE);
	check_broken(&f, "queue 3: there is no such descriptor (0x8)");
	set(&f, 0, gpa, 8, NEXT, 1);
	set(&f, 1, gpa, 8, NEXT, 0);
	check_broken(&f, "queue 3: descriptors form a loop (0x0)");
	set(&f, 0, gpa, 0, 0, 0);
	check_broken(&f, "queue 3: a buffer has no bytes (0x1f000)");
	set(&f, 0, KVM_GUEST_RAM_LEN - 8, 9, 0, 0);
	check_broken(&f, "queue 3: a buffer does not lie in RAM (0xffff8)");
	set(&f, 0, UINT64_MAX, 2, 0, 0);
	check_broken(&f, "queue 3: a buffer does not lie in RAM (0xffffffffffffffff)");
	set(&f, 0, gpa, 8, NEXT | WRITE, 1);
	set(&f, 1, gpa, 8, 0, 0);
	check_broken(&f, "queue 3: a buffer to read follows one to write (0x1f000)");
	set(&f, 0, gpa, 16, NEXT | INDIRECT, 1);
	check_broken(&f, "queue 3: an indirect descriptor has a next one (0x1)");
	set(&f, 0, gpa, 17, INDIRECT, 0);
	check_broken(&f, "queue 3: an indirect table has a wrong length (0x11)");
	set(&f, 0, gpa, UINT32_MAX & ~15u, INDIRECT, 0);
	check_broken(&f, "queue 3: an indirect table has a wrong length (0xfffffff0)");
	set(&f, 0, KVM_GUEST_RAM_LEN, 16, INDIRECT, 0);
	check_broken(&f, "queue 3: an indirect table does not lie in RAM (0x100000)");
	set(&f, 0, f.ring.desc_gpa, 16, INDIRECT, 0); /* the table is this one */
	check_broken(&f, "queue 3: an indirect table leads to another (0x1c000)");
	f.ring.avail = SIZE;
	check_broken(&f, "queue 3: the avail index jumps (0x9)");
	kvm_guest_deinit(&f.guest);
}

Test(kvm_queue, a_head_that_is_no_descriptor_is_refused)
{
	struct fixture f;

	begin(&f);
	kvm_ring_offer(&f.guest, &f.ring, 0xffff);
	cr_assert(eq(int, pop(&f), -EPROTO));
	cr_assert(eq(str, f.err.text, "queue 3: there is no such descriptor (0xffff)"));
	kvm_guest_deinit(&f.guest);
}

Test(kvm_queue, rings_outside_of_the_ram_are_refused)
{
	struct fixture f;
	struct kt_kvm_queue bad;

	begin(&f);
	for (unsigned int i = 0; i < 9; i++) {
		bad = f.queue;
		if (i < 3)
			bad.size = (uint16_t[]){ 0, 12, 512 }[i];
		else if (i < 5)
			bad.desc = (uint64_t[]){ bad.desc + 8, KVM_GUEST_RAM_LEN - 16 }[i - 3];
		else if (i < 7)
			bad.avail = (uint64_t[]){ bad.avail + 1, UINT64_MAX - 1 }[i - 5];
		else
			bad.used = (uint64_t[]){ bad.used + 2, KVM_GUEST_RAM_LEN }[i - 7];
		cr_assert(eq(int, kt_kvm_queue_check(&bad, &f.guest.layout, &f.err), -EPROTO),
			  "case %u", i);
	}
	bad = f.queue;
	bad.avail = bad.used = bad.desc = UINT64_C(1) << 40;
	cr_assert(eq(int, kt_kvm_queue_pop(&bad, &f.guest.layout, &f.chain, &f.err), -EPROTO));
	cr_assert(eq(int, kt_kvm_queue_push(&bad, &f.guest.layout, 0, 0, &f.err), -EPROTO));
	cr_assert(not(kt_kvm_queue_wants_interrupt(&bad, &f.guest.layout)));
	kvm_guest_deinit(&f.guest);
}
