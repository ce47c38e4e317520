/* SPDX-License-Identifier: MIT */
/* Accesses to a kernel's memory: how they are sent, and what they do to a kernel that never ran. */
#include <errno.h>
#include <string.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/kernel_access.h"
#include "wire/kernel_op.h"

UNIT_SUITE(kernel_op);
UNIT_SUITE(kernel_access);

/* ---- On the wire ---- */

Test(kernel_op, a_request_is_decoded_as_it_was_encoded)
{
	struct kt_kop_item items[] = {
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "jiffies", .number = 7 },
		{ KT_KOP_TASK_FIELD, KT_KOP_U64, .pid = 12, .start_ns = 99, .field = "scx.flags",
		  .any_class = true, .number = UINT64_MAX },
		{ KT_KOP_KVA, KT_KOP_BYTES, .address = 0x1000, .bytes = "abc", .len = 3 },
		{ KT_KOP_PER_CPU_FIELD, KT_KOP_OR_U32, .name = "rq", .field = "f", .cpu = 3 },
	};
	const struct kt_kop_request sent = {
		.id = 5, .write = true, .cold = true, .n = 4, .items = items
	};
	struct kt_kop_request got;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(zero(int, kt_kop_request_encode(&sent, &data, &len)));
	cr_assert(zero(int, kt_kop_request_decode(data, len, &got, &err)), "%s", err.text);
	cr_assert(eq(u32, got.id, 5));
	cr_assert(got.write && got.cold);
	cr_assert(eq(u32, got.n, 4));
	cr_assert(eq(str, (char *)got.items[0].name, "jiffies"));
	cr_assert(eq(u64, got.items[0].number, 7));
	cr_assert(eq(u64, got.items[1].start_ns, 99));
	cr_assert(got.items[1].any_class);
	cr_assert(eq(str, (char *)got.items[1].field, "scx.flags"));
	cr_assert(zero(int, memcmp(got.items[2].bytes, "abc", 3)));
	cr_assert(eq(u32, got.items[3].cpu, 3));
	kt_kop_request_deinit(&got);
	/* No end of it is missing, and nothing follows. */
	for (size_t cut = 0; cut < len; cut++)
		cr_assert(eq(int, kt_kop_request_decode(data, cut, &got, &err), -EBADMSG));
}

static int decode_one(struct kt_kop_item item, bool write)
{
	const struct kt_kop_request sent = { .write = write, .n = 1, .items = &item };
	struct kt_kop_request got;
	KT_FREE void *data = NULL;
	size_t len;
	int r;

	cr_assert(zero(int, kt_kop_request_encode(&sent, &data, &len)));
	r = kt_kop_request_decode(data, len, &got, NULL);
	if (r == 0)
		kt_kop_request_deinit(&got);
	return r;
}

Test(kernel_op, what_is_beyond_the_bounds_is_malformed)
{
	char long_name[KT_KOP_NAME_MAX + 2], bytes[KT_KOP_WRITE_MAX + 1] = "";
	struct kt_kop_item item = { KT_KOP_KVA, KT_KOP_BYTES, .address = 1, .bytes = bytes };

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	item.len = KT_KOP_WRITE_MAX;
	cr_assert(zero(int, decode_one(item, true)));
	item.len++;
	cr_assert(eq(int, decode_one(item, true), -EBADMSG));
	item.len = KT_KOP_READ_MAX;
	cr_assert(zero(int, decode_one(item, false)));
	item.len++;
	cr_assert(eq(int, decode_one(item, false), -EBADMSG));
	item = (struct kt_kop_item){ KT_KOP_PATH, KT_KOP_TYPED, .name = long_name };
	cr_assert(eq(int, decode_one(item, false), -EBADMSG));
	item.name = NULL;
	cr_assert(eq(int, decode_one(item, false), -EBADMSG));
	item = (struct kt_kop_item){ KT_KOP_KVA, KT_KOP_OR_U32, .address = 1 };
	cr_assert(zero(int, decode_one(item, true)));
	cr_assert(eq(int, decode_one(item, false), -EBADMSG));
	item.target = KT_KOP_TARGETS_END;
	cr_assert(eq(int, decode_one(item, true), -EBADMSG));
}

Test(kernel_op, a_reply_is_decoded_as_it_was_encoded)
{
	const struct kt_kop_request request = { .id = 9, .n = 3 };
	struct kt_kop_reply reply, got;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	size_t len;

	cr_assert(zero(int, kt_kop_reply_new(&request, &reply)));
	reply.answers[0].number = (uint64_t)-3;
	reply.answers[0].is_signed = true;
	kt_kop_answer_set(&reply.answers[1], "a\0b", 3);
	(void)kt_kop_answer_fail(&reply.answers[2], -EFAULT, "nothing there");
	cr_assert(zero(int, kt_kop_reply_encode(&reply, &data, &len)));
	cr_assert(zero(int, kt_kop_reply_decode(data, len, &got, &err)), "%s", err.text);
	cr_assert(eq(u32, got.id, 9));
	cr_assert(eq(i64, (int64_t)got.answers[0].number, -3));
	cr_assert(got.answers[0].is_signed && !got.answers[0].data);
	cr_assert(eq(u32, got.answers[1].len, 3));
	cr_assert(zero(int, memcmp(got.answers[1].data, "a\0b", 4)), "a NUL follows");
	cr_assert(eq(int, got.answers[2].result, -EFAULT));
	cr_assert(eq(str, got.answers[2].data, "nothing there"));
	kt_kop_reply_deinit(&got);
	kt_kop_reply_deinit(&reply);
	for (size_t cut = 0; cut < len; cut++)
		cr_assert(eq(int, kt_kop_reply_decode(data, cut, &got, &err), -EBADMSG));
}

/* ---- Made ---- */

struct view {
	struct tiny_kernel kernel;
	struct kt_inspect *inspect;
};

static void open_view(struct view *view)
{
	struct kt_err err = KT_ERR_NULL;

	tiny_kernel_init(&view->kernel, NULL);
	cr_assert(zero(int, kt_inspect_open(view->kernel.ram, NULL, &view->inspect, &err)), "%s",
		  err.text);
}

static void close_view(struct view *view)
{
	view->inspect = kt_inspect_close(view->inspect);
	tiny_kernel_deinit(&view->kernel);
}

static void serve(struct view *view, bool write, bool stands, struct kt_kop_item *items, uint32_t n,
		  struct kt_kop_reply *reply)
{
	const struct kt_kop_request request = { .write = write, .n = n, .items = items };

	cr_assert(zero(int, kt_kop_reply_new(&request, reply)));
	kt_kernel_access_serve(view->inspect, stands, &request, reply);
}

/* Makes one access; returns its result, and stores its number or checks the text of its error. */
static int access_one(struct view *view, bool write, bool stands, struct kt_kop_item item,
		      uint64_t *ret_number, const char *text)
{
	struct kt_kop_reply reply;
	int r;

	serve(view, write, stands, &item, 1, &reply);
	r = reply.answers[0].result;
	if (ret_number)
		*ret_number = reply.answers[0].number;
	if (text)
		cr_assert(reply.answers[0].data && strstr(reply.answers[0].data, text),
			  "\"%s\", not \"%s\"", reply.answers[0].data, text);
	kt_kop_reply_deinit(&reply);
	return r;
}

#define ITEM(...) ((struct kt_kop_item){ __VA_ARGS__ })

Test(kernel_access, each_target_leads_to_its_memory)
{
	struct view view;
	uint64_t number = 0;

	open_view(&view);
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_SCX, 77, 8);
	tiny_set(&view.kernel, view.kernel.rqs[1] + TINY_RQ_SCX_NR, 5, 4);
	cr_assert(zero(int,
		       access_one(&view, false, false,
				  ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime"),
				  &number, NULL)));
	cr_assert(eq(u64, number, 77));
	cr_assert(zero(int, access_one(&view, false, false,
				       ITEM(KT_KOP_PER_CPU_FIELD, KT_KOP_TYPED, .name = "runqueues",
					    .field = "scx.nr_running", .cpu = 1),
				       &number, NULL)));
	cr_assert(eq(u64, number, 5));
	cr_assert(zero(int, access_one(&view, false, false,
				       ITEM(KT_KOP_KVA, KT_KOP_U64,
					    .address = view.kernel.task + TINY_TASK_SCX),
				       &number, NULL)));
	cr_assert(eq(u64, number, 77));
	cr_assert(eq(int,
		     access_one(&view, false, false,
				ITEM(KT_KOP_DIRECT, KT_KOP_U64,
				     .address = tiny_symbol(&view.kernel, "init_task")),
				NULL, "not an address of the direct map"),
		     -EFAULT));
	number = tiny_symbol(&view.kernel, "init_task") - UINT64_C(0xffffffff80000000);
	cr_assert(zero(int, access_one(&view, false, false,
				       ITEM(KT_KOP_DIRECT, KT_KOP_U32,
					    .address = view.kernel.page_offset + TINY_IMAGE),
				       NULL, NULL)));
	cr_assert(eq(int,
		     access_one(&view, false, false,
				ITEM(KT_KOP_SYMBOL, KT_KOP_U64, .name = "runqueues"), NULL,
				"variable of each CPU"),
		     -EINVAL));
	close_view(&view);
}

Test(kernel_access, the_direct_map_has_two_ends)
{
	struct kt_kop_item item = { KT_KOP_DIRECT, KT_KOP_U64, .number = 42 };
	struct view view;

	open_view(&view);
	item.address = view.kernel.page_offset - 8;
	cr_assert(eq(int, access_one(&view, true, true, item, NULL, "of the direct map"), -EFAULT));
	item.address = view.kernel.page_offset + TINY_RAM_LEN;
	cr_assert(eq(int, access_one(&view, true, true, item, NULL, "of the direct map"), -EFAULT));
	item.address -= 8;
	cr_assert(zero(int, access_one(&view, true, true, item, NULL, NULL)));
	close_view(&view);
}

Test(kernel_access, the_type_of_a_place_says_how_wide_it_is)
{
	uint8_t bytes[KT_KOP_WRITE_MAX] = { 0 };
	struct view view;

	open_view(&view);
	cr_assert(eq(int,
		     access_one(&view, true, true,
				ITEM(KT_KOP_PATH, KT_KOP_U32, .name = "task(1).scx.dsq_vtime"),
				NULL, "a number of 4 bytes"),
		     -ERANGE));
	cr_assert(eq(int,
		     access_one(&view, true, true,
				ITEM(KT_KOP_PATH, KT_KOP_BYTES, .name = "task(1).scx.dsq_vtime",
				     .bytes = bytes, .len = 9),
				NULL, "has 8 bytes"),
		     -ERANGE));
	cr_assert(eq(int,
		     access_one(&view, false, true,
				ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).comm"), NULL,
				"is not a number"),
		     -EINVAL));
	cr_assert(eq(int,
		     access_one(&view, true, true,
				ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "&init_task"), NULL,
				"has no address"),
		     -EINVAL));
	cr_assert(eq(int,
		     access_one(&view, true, true,
				ITEM(KT_KOP_KVA, KT_KOP_TYPED, .address = view.kernel.task), NULL,
				"has no type"),
		     -EINVAL));
	cr_assert(zero(int, access_one(&view, false, true,
				       ITEM(KT_KOP_PATH, KT_KOP_TEXT, .name = "task(1)"), NULL,
				       "dsq_vtime")));
	close_view(&view);
}

Test(kernel_access, a_batch_is_made_whole_or_not_at_all)
{
	struct view view;
	struct kt_kop_item items[] = {
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime", .number = 5 },
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.nothing", .number = 5 },
		{ KT_KOP_KVA, KT_KOP_U64, .address = UINT64_C(0xffff800000000000), .number = 5 },
	};
	struct kt_kop_reply reply;
	uint64_t number = 5;

	open_view(&view);
	serve(&view, true, true, items, 3, &reply);
	cr_assert(eq(int, reply.answers[0].result, -ECANCELED));
	cr_assert(eq(int, reply.answers[1].result, -ENOENT));
	cr_assert(eq(int, reply.answers[2].result, -EFAULT));
	kt_kop_reply_deinit(&reply);
	(void)access_one(&view, false, true,
			 ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime"), &number,
			 NULL);
	cr_assert(ne(u64, number, 5));
	serve(&view, true, true, items, 1, &reply);
	cr_assert(zero(int, reply.answers[0].result));
	kt_kop_reply_deinit(&reply);
	(void)access_one(&view, false, true,
			 ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime"), &number,
			 NULL);
	cr_assert(eq(u64, number, 5));
	close_view(&view);
}

static const struct kt_ram_ops *real_ops;
static unsigned int n_writes;

/* RAM whose second write fails, as when the machine ends meanwhile. */
static int write_once(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		      struct kt_err *reterr)
{
	return n_writes++ == 1 ? kt_err_set(reterr, -EIO, "the machine is gone")
			       : real_ops->write(ram, pieces, n, reterr);
}

Test(kernel_access, a_write_that_fails_midway_says_which_were_made)
{
	struct view view;
	struct kt_kop_item items[] = {
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime", .number = 5 },
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime", .number = 6 },
		{ KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).scx.dsq_vtime", .number = 7 },
	};
	struct kt_kop_reply reply;
	struct kt_ram_ops ops;
	uint64_t number = 0;

	open_view(&view);
	real_ops = view.kernel.ram->ops;
	ops = *real_ops;
	ops.write = write_once;
	view.kernel.ram->ops = &ops;
	serve(&view, true, true, items, 3, &reply);
	cr_assert(zero(int, reply.answers[0].result));
	cr_assert(eq(int, reply.answers[1].result, -EIO));
	cr_assert(eq(str, reply.answers[1].data, "the machine is gone"));
	cr_assert(eq(int, reply.answers[2].result, -ECANCELED));
	kt_kop_reply_deinit(&reply);
	cr_assert(eq(u32, n_writes, 2));
	(void)access_one(&view, false, true, items[0], &number, NULL);
	cr_assert(eq(u64, number, 5), "the first write stays");
	view.kernel.ram->ops = real_ops;
	close_view(&view);
}

/* A machine whose RAM is not shared with this process. */
static void *no_pointer(struct kt_ram *ram, uint64_t gpa, size_t len)
{
	(void)ram;
	(void)gpa;
	(void)len;
	return NULL;
}

Test(kernel_access, bits_are_set_in_one_step_or_while_nothing_runs)
{
	struct kt_kop_item item = { KT_KOP_PATH, KT_KOP_OR_U64, .name = "task(1).scx.dsq_vtime",
				    .number = 0x100 };
	struct kt_ram_ops ops;
	struct view view;
	uint64_t number = 0;

	open_view(&view);
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_SCX, 3, 8);
	cr_assert(zero(int, access_one(&view, true, false, item, NULL, NULL)));
	item.value = KT_KOP_U64;
	(void)access_one(&view, false, true, item, &number, NULL);
	cr_assert(eq(u64, number, 0x103));
	ops = *view.kernel.ram->ops;
	ops.pointer = no_pointer;
	view.kernel.ram->ops = &ops;
	item.value = KT_KOP_OR_U64;
	item.number = 0x200;
	cr_assert(
		eq(int, access_one(&view, true, false, item, NULL, "write it cold"), -EOPNOTSUPP));
	cr_assert(zero(int, access_one(&view, true, true, item, NULL, NULL)));
	item.value = KT_KOP_U64;
	(void)access_one(&view, false, true, item, &number, NULL);
	cr_assert(eq(u64, number, 0x303));
	/* One bit-field is not one step either. */
	item = ITEM(KT_KOP_PATH, KT_KOP_TYPED, .name = "task(1).sched_level", .number = 2);
	cr_assert(
		eq(int, access_one(&view, true, false, item, NULL, "write it cold"), -EOPNOTSUPP));
	cr_assert(zero(int, access_one(&view, true, true, item, NULL, NULL)));
	/* Two of four bytes. */
	item = ITEM(KT_KOP_KVA, KT_KOP_OR_U32, .address = view.kernel.task + 1, .number = 1);
	cr_assert(eq(int, access_one(&view, true, false, item, NULL, "is not aligned"), -EINVAL));
	close_view(&view);
}
