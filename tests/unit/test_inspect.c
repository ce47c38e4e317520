/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel seen from outside, on kernels made byte by byte (tests/tiny_kernel.h): both
 * forms of kallsyms, four and five levels of page tables, KASLR; what a hostile guest may hold;
 * dumps.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/trim.h"
#include "vmm/inspect/types.h"

UNIT_SUITE(inspect_open);
UNIT_SUITE(inspect_memory);
UNIT_SUITE(inspect_path);
UNIT_SUITE(inspect_scalar);
UNIT_SUITE(inspect_render);
UNIT_SUITE(inspect_cache);
UNIT_SUITE(inspect_dump);
UNIT_SUITE(inspect_hostile);

static const struct tiny_options KERNELS[] = {
	{ .five_levels = false },
	{ .five_levels = true, .kaslr = 0x2da00000 },
	{ .old_kallsyms = true },
	{ .old_kallsyms = true, .five_levels = true, .kaslr = 0x1200000 },
};

/* A kernel, looked at. */
struct view {
	struct tiny_kernel kernel;
	struct kt_inspect *inspect;
};

static void open_view(struct view *view, const struct tiny_options *options)
{
	struct kt_err err = KT_ERR_NULL;

	tiny_kernel_init(&view->kernel, options);
	cr_assert(zero(int, kt_inspect_open(view->kernel.ram, NULL, &view->inspect, &err)), "%s",
		  err.text);
}

static void close_view(struct view *view)
{
	view->inspect = kt_inspect_close(view->inspect);
	tiny_kernel_deinit(&view->kernel);
}

static uint64_t value_of(struct view *view, const char *path)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t value = 0;

	cr_assert(zero(int, kt_inspect_value(view->inspect, path, &value, &err)), "%s", err.text);
	return value;
}

static void expect_error(struct view *view, const char *path, int code, const char *text)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	int r = kt_inspect_resolve(view->inspect, path, &place, &err);

	cr_assert(eq(int, r, code), "'%s' gives %d: %s", path, r, err.text);
	cr_assert(strstr(err.text, text) != NULL, "'%s' gives \"%s\", not \"%s\"", path, err.text,
		  text);
}

/* ---- Opening ---- */

Test(inspect_open, every_kind_of_kernel_is_found_by_its_ram_alone)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(KERNELS); i++) {
		const struct kt_inspect_facts *facts;
		struct view view;
		uint64_t kva = 0;

		open_view(&view, &KERNELS[i]);
		facts = kt_inspect_facts(view.inspect);
		cr_assert(eq(str, (char *)facts->release, TINY_RELEASE));
		cr_assert(eq(str, (char *)facts->build_id, TINY_BUILD_ID));
		cr_assert(eq(u64, facts->kaslr, KERNELS[i].kaslr));
		cr_assert(eq(u32, facts->levels, KERNELS[i].five_levels ? 5 : 4));
		cr_assert(eq(u32, facts->n_cpus, TINY_CPUS));
		cr_assert(eq(sz, facts->n_symbols, view.kernel.n_symbols));
		cr_assert(eq(u64, facts->page_offset, view.kernel.page_offset));
		for (size_t s = 0; s < view.kernel.n_symbols; s++) {
			const struct tiny_symbol *symbol = &view.kernel.symbols[s];

			cr_assert(zero(int,
				       kt_inspect_symbol(view.inspect, symbol->name, &kva, NULL)));
			cr_assert(eq(u64, kva, symbol->kva), "%s", symbol->name);
		}
		close_view(&view);
	}
}

Test(inspect_open, a_kernel_that_still_boots_is_not_there_yet)
{
	const struct tiny_options booting = { .booting = true };
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;
	char *last;

	tiny_kernel_init(&kernel, &booting);
	cr_assert(eq(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err), -EAGAIN));
	cr_assert(strstr(err.text, "VMCOREINFO") != NULL, "%s", err.text);
	tiny_kernel_finish_boot(&kernel);
	last = strstr((char *)kernel.bytes + kernel.info, "KERNELOFFSET");
	*last = 0;
	cr_assert(eq(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err), -EAGAIN),
		  "a text without its last line is being written");
	*last = 'K';
	cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)), "%s", err.text);
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&kernel);
}

static void put_number(struct tiny_kernel *kernel, const char *key, const char *digits)
{
	char *at = strstr((char *)kernel->bytes + kernel->info, key);

	cr_assert(at != NULL);
	memcpy(strchr(at, '=') + 1, digits, strlen(digits));
}

Test(inspect_open, a_text_that_leads_nowhere_is_no_kernel_and_not_waited_for)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;

	tiny_kernel_init(&kernel, NULL);
	put_number(&kernel, "SYMBOL(_stext)", "ffffffff81000008");
	cr_assert(eq(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err), -EPROTO));
	cr_assert(strstr(err.text, "_stext") != NULL, "%s", err.text);
	put_number(&kernel, "SYMBOL(_stext)", "ffffffffff000000");
	put_number(&kernel, "SYMBOL(kallsyms_names)", "ffffffffbf000000");
	cr_assert(eq(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err), -EFAULT));
	put_number(&kernel, "SYMBOL(kallsyms_names)", "fffffffxbf000000");
	cr_assert(eq(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err), -EPROTO));
	tiny_kernel_deinit(&kernel);
}

Test(inspect_open, an_old_text_does_not_hide_the_one_that_is_right)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;

	tiny_kernel_init(&kernel, NULL);
	/* The page before holds the text of another kernel, as a note has it. */
	memcpy(kernel.bytes + kernel.info - 4096 + 24, kernel.bytes + kernel.info, 2048);
	memcpy(kernel.bytes + kernel.info - 4096 + 12, "VMCOREINFO", 11);
	memcpy(strstr((char *)kernel.bytes + kernel.info - 4096 + 24, "_stext)=ffff") + 8, "eeee",
	       4);
	cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)), "%s", err.text);
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_open, a_note_will_do)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;
	char *text;

	tiny_kernel_init(&kernel, NULL);
	text = (char *)kernel.bytes + kernel.info;
	memmove(text + 24, text, 2048);
	memset(text, 0, 24);
	memcpy(text + 12, "VMCOREINFO", 11);
	cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)), "%s", err.text);
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_open, a_kernel_without_types_has_symbols)
{
	const struct tiny_options no_btf = { .no_btf = true };
	struct view view;
	uint64_t kva;

	open_view(&view, &no_btf);
	cr_assert(zero(int, kt_inspect_symbol(view.inspect, "jiffies_64", &kva, NULL)));
	expect_error(&view, "jiffies_64", -ENOENT, "CONFIG_DEBUG_INFO_BTF");
	cr_assert(eq(ptr, (void *)kt_inspect_btf(view.inspect), NULL));
	expect_error(&view, "jiffies_64", -ENOENT, "has no types");
	close_view(&view);
}

Test(inspect_open, symbols_are_found_by_address)
{
	struct view view;
	uint64_t offset = 0, task;

	open_view(&view, &KERNELS[1]);
	task = tiny_symbol(&view.kernel, "init_task");
	cr_assert(eq(str, (char *)kt_inspect_symbol_at(view.inspect, task + 9, &offset),
		     "init_task"));
	cr_assert(eq(u64, offset, 9));
	cr_assert(eq(ptr, (void *)kt_inspect_symbol_at(view.inspect, task + (64 << 20), &offset),
		     NULL));
	cr_assert(eq(ptr, (void *)kt_inspect_symbol_at(view.inspect, view.kernel.task, &offset),
		     NULL));
	close_view(&view);
}

/* ---- Memory ---- */

/* Three pages in a row that are anywhere in RAM, and behind them nothing. */
static uint64_t map_pages(struct tiny_kernel *kernel, uint64_t kva)
{
	static const uint64_t FRAMES[] = { 0x300000, 0x2f0000, 0x301000 };

	for (size_t i = 0; i < KT_ARRAY_LEN(FRAMES); i++) {
		tiny_map(kernel, kva + i * 4096, FRAMES[i], 1);
		memset(kernel->bytes + FRAMES[i], 'a' + (int)i, 4096);
	}
	return kva;
}

Test(inspect_memory, pages_in_any_order_are_one_range)
{
	static const uint64_t BASES[] = { 0xffffc90000000000, 0xffa0000000000000 };

	for (size_t i = 0; i < 2; i++) {
		struct kt_err err = KT_ERR_NULL;
		char bytes[4098], word[2];
		struct view view;
		uint64_t kva;

		open_view(&view, &KERNELS[i]);
		kva = map_pages(&view.kernel, BASES[i]);
		cr_assert(zero(int, kt_inspect_read(view.inspect, kva + 4095, bytes, sizeof(bytes),
						    &err)),
			  "%s", err.text);
		cr_assert(eq(chr, bytes[0], 'a'));
		cr_assert(eq(chr, bytes[1], 'b'));
		cr_assert(eq(chr, bytes[4096], 'b'));
		cr_assert(eq(chr, bytes[4097], 'c'));
		cr_assert(eq(int, kt_inspect_write(view.inspect, kva + 3 * 4096 - 1, "xy", 2, &err),
			     -EFAULT));
		cr_assert(strstr(err.text, "is not mapped") != NULL, "%s", err.text);
		cr_assert(zero(int,
			       kt_inspect_read(view.inspect, kva + 3 * 4096 - 1, word, 1, NULL)));
		cr_assert(eq(chr, word[0], 'c'), "a write lands whole or not at all");
		cr_assert(zero(int, kt_inspect_write(view.inspect, kva + 4095, "xy", 2, &err)));
		cr_assert(zero(int, kt_inspect_read(view.inspect, kva + 4095, word, 2, &err)));
		cr_assert(zero(int, memcmp(word, "xy", 2)));
		close_view(&view);
	}
}

Test(inspect_memory, large_pages_are_walked)
{
	for (unsigned int level = 2; level <= 3; level++) {
		uint64_t kva = UINT64_C(0xffffc98040000000) + 0x212340, gpa, len, want = 0x212340;
		struct kt_err err = KT_ERR_NULL;
		struct view view;

		open_view(&view, &KERNELS[0]);
		/* Bit 12 of a large page's entry is no part of the address (PAT). */
		tiny_map(&view.kernel, kva, (level == 2 ? 0x200000 : 0) | 0x1000, level);
		cr_assert(zero(int, kt_inspect_translate(view.inspect, kva, &gpa, &len, &err)),
			  "%s", err.text);
		cr_assert(eq(u64, gpa, want), "level %u", level);
		cr_assert(eq(u64, len, level == 2 ? 0x400000 - want : TINY_RAM_LEN - want));
		close_view(&view);
	}
}

Test(inspect_memory, a_translation_is_remembered_until_it_is_refreshed)
{
	uint64_t kva = UINT64_C(0xffffc90000000000), gpa, len;
	struct view view;

	open_view(&view, NULL);
	tiny_map(&view.kernel, kva, 0x300000, 1);
	cr_assert(zero(int, kt_inspect_translate(view.inspect, kva, &gpa, &len, NULL)));
	tiny_map(&view.kernel, kva, 0x301000, 1);
	kt_inspect_refresh(view.inspect);
	cr_assert(zero(int, kt_inspect_translate(view.inspect, kva, &gpa, &len, NULL)));
	cr_assert(eq(u64, gpa, 0x301000));
	close_view(&view);
}

Test(inspect_memory, a_batch_is_read_whole_or_not_at_all)
{
	char first[4] = "...", second[4] = "...";
	struct kt_inspect_piece pieces[] = { { 0, first, 3 }, { 0, second, 3 } };
	struct kt_err err = KT_ERR_NULL;
	struct view view;

	open_view(&view, NULL);
	pieces[0].kva = view.kernel.task + TINY_TASK_COMM;
	pieces[1].kva = tiny_symbol(&view.kernel, "init_task") + TINY_TASK_COMM;
	cr_assert(zero(int, kt_inspect_readv(view.inspect, pieces, 2, &err)), "%s", err.text);
	cr_assert(eq(str, first, "ini"));
	cr_assert(eq(str, second, "swa"));
	pieces[0].kva = pieces[1].kva;
	pieces[1].kva = 0x1000;
	cr_assert(eq(int, kt_inspect_readv(view.inspect, pieces, 2, &err), -EFAULT));
	cr_assert(eq(str, first, "ini"));
	cr_assert(strstr(err.text, "not an address of the kernel") != NULL, "%s", err.text);
	close_view(&view);
}

Test(inspect_memory, addresses_that_are_none_are_refused)
{
	static const uint64_t BAD[] = { 0,
					1,
					0x00007fffffffffff,
					0x0000800000000000,
					0xffff7fffffffffff,
					0xffff888000400000,
					UINT64_MAX };
	struct view view;
	char byte;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(BAD); i++)
		cr_assert(eq(int, kt_inspect_read(view.inspect, BAD[i], &byte, 1, NULL), -EFAULT),
			  "0x%lx", BAD[i]);
	cr_assert(not(kt_inspect_is_kernel(view.inspect, 0xff11000000000000)));
	cr_assert(kt_inspect_is_kernel(view.inspect, view.kernel.page_offset));
	close_view(&view);
}

Test(inspect_memory, a_text_is_read_up_to_the_last_mapped_byte)
{
	struct kt_err err = KT_ERR_NULL;
	char text[64], small[3];
	struct view view;
	uint64_t kva;

	open_view(&view, NULL);
	kva = map_pages(&view.kernel, 0xffffc90000000000);
	memcpy(view.kernel.bytes + 0x301000 + 4092, "end", 4);
	cr_assert(zero(int, kt_inspect_read_text(view.inspect, kva + 3 * 4096 - 4, text,
						 sizeof(text), &err)),
		  "%s", err.text);
	cr_assert(eq(str, text, "end"));
	cr_assert(zero(int,
		       kt_inspect_read_text(view.inspect, kva + 4094, small, sizeof(small), &err)));
	cr_assert(eq(str, small, "aa"));
	view.kernel.bytes[0x301000 + 4095] = 'x';
	cr_assert(
		eq(int,
		   kt_inspect_read_text(view.inspect, kva + 3 * 4096 - 4, text, sizeof(text), &err),
		   -EFAULT));
	close_view(&view);
}

Test(inspect_memory, shared_memory_has_a_pointer)
{
	struct view view;
	uint32_t *kind;

	open_view(&view, NULL);
	kind = kt_inspect_pointer(view.inspect, view.kernel.sched + TINY_SCHED_KIND, 4);
	cr_assert(ne(ptr, kind, NULL));
	cr_assert(eq(u32, *kind, 1024));
	*kind = 5;
	cr_assert(eq(u64, value_of(&view, "scx_root->exit_kind.counter"), 5));
	cr_assert(eq(ptr, kt_inspect_pointer(view.inspect, 0x1234, 4), NULL));
	close_view(&view);
}

/* ---- Paths ---- */

Test(inspect_path, values_are_found_by_their_paths)
{
	static const struct {
		const char *path;
		uint64_t value;
	} PATHS[] = {
		{ "jiffies_64", 4294937296 },
		{ "scx_root->exit_kind.counter", 1024 },
		{ "((struct scx_sched *)scx_root)->exit_kind.counter", 1024 },
		{ "(*scx_root).kind", 1024 },
		{ "scx_root[0].kind", 1024 },
		{ "runqueues[cpu 0].nr_running", 3 },
		{ "runqueues[cpu 1].scx.nr_running", 11 },
		{ " runqueues [cpu 1] . scx . nr_running ", 11 },
		{ "scx_root->pcpu[cpu 1].events", 101 },
		{ "task(1).pid", 1 },
		{ "task(0).pid", 0 },
		{ "task(1).scx.dsq_vtime", 0x1122334455667788 },
		{ "task(1).scx.sticky_cpu", UINT64_MAX },
		{ "task(1).scx.word", UINT32_MAX },
		{ "task(1).sched_flag_a", 1 },
		{ "task(1).sched_level", (uint64_t)-3 },
		{ "task(1).sched_wide", 0xabcde },
		{ "task(1).sched_span", 0x123456789abcdef },
		{ "(&task(1).table[0][0])[2]", 20 },
		{ "task(1).parent->parent->pid", 0 },
		{ "task(1).table[1][2]", 50 },
		{ "init_task.comm[1]", 'w' },
		{ "container_of(init_task.tasks.next, struct task_struct, tasks).pid", 1 },
		{ "container_of(&task(1).scx, struct task_struct, scx).pid", 1 },
		{ "container_of(task(1).scx, struct task_struct, scx).pid", 1 },
		{ "(int)tiny_scratch", 0 },
		{ "(unsigned char)jiffies_64", 4294937296 & 255 },
		{ "SCX_EXIT_ERROR", 1024 },
		{ "(&runqueues)[cpu 1].nr_running", 4 },
		{ "0x10", 16 },
		{ "task(1).table[TINY_IDLE][1]", 10 },
	};

	for (size_t k = 0; k < KT_ARRAY_LEN(KERNELS); k++) {
		struct view view;

		open_view(&view, &KERNELS[k]);
		tiny_set(&view.kernel, tiny_symbol(&view.kernel, "init_task") + TINY_TASK_PARENT,
			 tiny_symbol(&view.kernel, "init_task"), 8);
		for (size_t i = 0; i < KT_ARRAY_LEN(PATHS); i++)
			cr_assert(eq(u64, value_of(&view, PATHS[i].path), PATHS[i].value), "%s",
				  PATHS[i].path);
		close_view(&view);
	}
}

Test(inspect_path, errors_say_what_is_missing_and_what_there_is)
{
	static const struct {
		const char *path;
		int code;
		const char *text;
	} PATHS[] = {
		{ "scx_rot", -ENOENT, "has no symbol 'scx_rot' (near: scx_root)" },
		{ "scx_root->exit_knd", -ENOENT,
		  "'scx_root->exit_knd': struct scx_sched has no member 'exit_knd' (near: "
		  "exit_kind" },
		{ "scx_root->zz.x", -ENOENT, "; it has exit_kind, ops, pcpu, kind" },
		{ "runqueues.nr_running", -EINVAL, "say which by '[cpu 0]'" },
		{ "runqueues[cpu 2].nr_running", -ENOENT, "no CPU 2: the CPUs are 0 to 1" },
		{ "task(77).pid", -ESRCH, "no task has the pid 77" },
		{ "task(1)->pid", -EINVAL, "use '.pid'" },
		{ "scx_root.kind", -EINVAL, "use '->kind'" },
		{ "init_task.parent->pid", -ENODATA, "null pointer" },
		{ "task(1).table[2]", -ENOENT, "int[2][3] has no element 2" },
		{ "task(1).pid.x", -EINVAL, "pid_t is not a struct" },
		{ "task(1).pid[0]", -EINVAL, "pid_t is not an array" },
		{ "*task(1).pid", -EINVAL, "pid_t is not a pointer" },
		{ "tiny_scratch", -EINVAL, "say what it is by a cast" },
		{ "(struct rqs *)scx_root", -ENOENT, "has no type 'struct rqs' (near: rq)" },
		{ "(struct u64)scx_root", -ENOENT, "has no type 'struct u64'" },
		{ "(union rq *)scx_root", -ENOENT, "but 'struct rq'" },
		{ "task(1).table[TINY_IDEL]", -ENOENT, "(near: TINY_IDLE" },
		{ "task(1", -EINVAL, "expected ')' instead of 'the end'" },
		{ "", -EINVAL, "the path is empty" },
		{ "jiffies_64 + 1", -EINVAL, "'+ 1' does not belong there" },
		{ "&SCX_EXIT_ERROR", -EINVAL, "no address" },
		{ "&task(1).sched_level", -EINVAL, "no address" },
		{ "(struct rq)jiffies_64", -EINVAL, "cannot be cast" },
		{ "task(1).comm[cpu 0]", -EINVAL, "neither a per-CPU variable" },
		{ "container_of(task(1).comm, struct task_struct, nope)", -ENOENT, "'nope'" },
		{ "((struct rq *)0x1234)->curr", -EFAULT,
		  "0x1234, which is not an address of the kernel" },
		{ "99999999999999999999", -EINVAL, "expected a number" },
	};
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(PATHS); i++)
		expect_error(&view, PATHS[i].path, PATHS[i].code, PATHS[i].text);
	close_view(&view);
}

Test(inspect_path, every_symbol_has_an_address)
{
	struct view view;

	open_view(&view, &KERNELS[3]);
	cr_assert(eq(u64, value_of(&view, "&tiny_scratch"),
		     tiny_symbol(&view.kernel, "tiny_scratch")));
	cr_assert(eq(u64, value_of(&view, "&runqueues"), tiny_symbol(&view.kernel, "runqueues")));
	cr_assert(eq(u64, value_of(&view, "&task(1).scx"), view.kernel.task + TINY_TASK_SCX));
	close_view(&view);
}

Test(inspect_path, nesting_has_a_bound)
{
	char path[KT_PATH_MAX + 8];
	struct view view;

	open_view(&view, NULL);
	memset(path, '(', 20);
	(void)snprintf(path + 20, sizeof(path) - 20, "jiffies_64))))))))))))))))))))");
	expect_error(&view, path, -EINVAL, "too much is nested");
	memset(path, '*', sizeof(path));
	path[sizeof(path) - 1] = 0;
	expect_error(&view, path, -EINVAL, "longer than");
	close_view(&view);
}

Test(inspect_path, a_path_goes_on_from_a_place)
{
	struct kt_place task, place, wrong;
	struct kt_err err = KT_ERR_NULL;
	struct view view;
	uint64_t value = 0;

	open_view(&view, NULL);
	cr_assert(zero(int, kt_inspect_place(view.inspect, view.kernel.task, "struct task_struct",
					     &task, &err)));
	cr_assert(zero(int, kt_inspect_follow(view.inspect, &task, "scx.dsq_vtime", &place, &err)));
	cr_assert(eq(u64, place.kva, view.kernel.task + TINY_TASK_SCX));
	cr_assert(zero(int, kt_inspect_follow(view.inspect, &task, ".parent->pid", &place, &err)));
	cr_assert(zero(int, kt_inspect_load(view.inspect, &place, &value, &err)));
	cr_assert(eq(u64, value, 0));
	cr_assert(
		eq(int, kt_inspect_follow(view.inspect, &task, "scx.nope", &wrong, &err), -ENOENT));
	cr_assert(strstr(err.text, "'scx.nope'") != NULL, "%s", err.text);
	close_view(&view);
}

Test(inspect_path, types_are_found_as_c_writes_them)
{
	static const char *const TYPES[][2] = {
		{ "struct rq", "struct rq" },
		{ "unsigned long", "long unsigned int" },
		{ "unsigned", "unsigned int" },
		{ "const struct rq *", "struct rq *" },
		{ "struct rq **", "struct rq **" },
		{ "int[2][3]", "int[2][3]" },
		{ "char *", "char *" },
		{ "void *", "void *" },
		{ "u64", "u64" },
		{ "enum scx_exit_kind", "enum scx_exit_kind" },
		{ "bool", NULL },
		{ "struct rq * x", NULL },
		{ "rq", NULL },
		{ "int[", NULL },
		{ "int[-1]", NULL },
	};
	struct view view;
	uint32_t type;
	char text[64];

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(TYPES); i++) {
		int r = kt_inspect_type(view.inspect, TYPES[i][0], &type, NULL);

		cr_assert(eq(int, r == 0, TYPES[i][1] != NULL), "%s: %d", TYPES[i][0], r);
		if (r == 0)
			cr_assert(eq(str,
				     (char *)kt_btf_describe(kt_inspect_btf(view.inspect), type,
							     text, sizeof(text)),
				     (char *)TYPES[i][1]));
	}
	close_view(&view);
}

/* A struct with a pointer to a function, behind a function whose prototype nobody else needs. */
static struct btf *new_functions(void)
{
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED), proto, pointer;

	proto = btf__add_func_proto(btf, 0);
	(void)btf__add_func_param(btf, "a", number);
	(void)btf__add_func(btf, "alone", BTF_FUNC_STATIC, proto);
	(void)btf__add_decl_tag(btf, "tag", proto + 1, -1);
	proto = btf__add_func_proto(btf, number);
	(void)btf__add_func_param(btf, "b", number);
	pointer = btf__add_ptr(btf, proto);
	(void)btf__add_struct(btf, "ops", 16);
	(void)btf__add_field(btf, "call", pointer, 0, 0);
	(void)btf__add_field(btf, "n", number, 64, 0);
	return btf;
}

Test(inspect_path, functions_are_left_out_of_the_types)
{
	struct btf *whole = new_functions(), *btf = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_member member;
	void *data = NULL;
	char text[64];
	size_t len = 0;
	int ops;

	cr_assert(zero(int, kt_btf_trim(whole, &data, &len, &err)), "%s", err.text);
	cr_assert(zero(int, kt_btf_new(data, len, NULL, &btf, &err)), "%s", err.text);
	cr_assert(eq(u32, btf__type_cnt(whole), 8));
	cr_assert(eq(u32, btf__type_cnt(btf), 5));
	ops = btf__find_by_name_kind(btf, "ops", BTF_KIND_STRUCT);
	cr_assert(gt(int, ops, 0));
	cr_assert(zero(int, kt_btf_member(btf, (uint32_t)ops, "call", &member, &err)));
	cr_assert(eq(str, (char *)kt_btf_describe(btf, member.type, text, sizeof(text)),
		     "int (*)()"));
	cr_assert(zero(int, kt_btf_member(btf, (uint32_t)ops, "n", &member, &err)));
	cr_assert(eq(u32, member.offset, 8));
	btf__free(btf);
	btf__free(whole);
	free(data);
}

Test(inspect_path, members_are_found_by_name_and_not_by_place)
{
	struct kt_member member;
	struct view view;

	open_view(&view, NULL);
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "scx.word",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_SCX + 8));
	cr_assert(eq(u32, member.size, 4));
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "sched_wide",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_BITS));
	cr_assert(eq(u8, member.bit_shift, 6));
	cr_assert(eq(u8, member.bit_size, 20));
	cr_assert(eq(u32, member.size, 4));
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "table[1][1]",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_TABLE + 16));
	cr_assert(not(kt_inspect_has_member(view.inspect, "struct task_struct", "scx.gone", NULL)));
	cr_assert(not(kt_inspect_has_member(view.inspect, "struct gone", "x", NULL)));
	close_view(&view);
}

Test(inspect_path, the_ids_of_an_idr_are_walked_in_order)
{
	uint64_t ns, node, entry, index = 0;
	struct view view;

	open_view(&view, NULL);
	ns = tiny_symbol(&view.kernel, "init_pid_ns") + 8;
	memcpy(&node, tiny_at(&view.kernel, ns + 8), 8);
	tiny_set(&view.kernel, node - 2 + 8 + 7 * 8, view.kernel.task, 8);
	tiny_set(&view.kernel, node - 2 + 8 + 5 * 8, 0x402, 8); /* a retry entry */
	tiny_set(&view.kernel, node - 2 + 8 + 6 * 8, 0x33, 8);  /* a number */
	cr_assert(zero(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL)));
	cr_assert(eq(u64, index, 1));
	index++;
	cr_assert(zero(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL)));
	cr_assert(eq(u64, index, 7));
	cr_assert(eq(u64, entry, view.kernel.task));
	index++;
	cr_assert(eq(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL), -ENXIO));
	cr_assert(zero(int, kt_inspect_xa_load(view.inspect, ns, 64, &entry, NULL)));
	cr_assert(eq(u64, entry, 0));
	close_view(&view);
}

/* ---- Writing ---- */

static int store(struct view *view, const char *path, uint64_t value, struct kt_err *err)
{
	struct kt_place place;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, err)), "%s", err->text);
	return kt_inspect_store(view->inspect, &place, value, err);
}

Test(inspect_scalar, a_write_changes_its_place_and_nothing_else)
{
	static const struct {
		const char *path;
		uint64_t value;
	} WRITES[] = {
		{ "task(1).scx.dsq_vtime", 42 },
		{ "task(1).sched_flag_a", 0 },
		{ "task(1).sched_level", 15 },
		{ "task(1).sched_level", (uint64_t)-16 },
		{ "task(1).sched_wide", 0xfffff },
		{ "task(1).sched_span", 0xfedcba987654321 },
		{ "task(1).scx.sticky_cpu", (uint64_t)-2 },
		{ "runqueues[cpu 1].scx.nr_running", 0 },
		{ "scx_root->kind", 0 },
	};
	struct kt_err err = KT_ERR_NULL;
	KT_FREE uint8_t *before = malloc(TINY_RAM_LEN);
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(WRITES); i++) {
		uint64_t old = value_of(&view, WRITES[i].path);

		memcpy(before, view.kernel.bytes, TINY_RAM_LEN);
		cr_assert(zero(int, store(&view, WRITES[i].path, WRITES[i].value, &err)), "%s: %s",
			  WRITES[i].path, err.text);
		cr_assert(eq(u64, value_of(&view, WRITES[i].path), WRITES[i].value), "%s",
			  WRITES[i].path);
		cr_assert(zero(int, store(&view, WRITES[i].path, old, &err)));
		cr_assert(zero(int, memcmp(before, view.kernel.bytes, TINY_RAM_LEN)), "%s",
			  WRITES[i].path);
	}
	close_view(&view);
}

Test(inspect_scalar, a_value_that_does_not_fit_is_refused)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	struct view view;

	open_view(&view, NULL);
	cr_assert(eq(int, store(&view, "task(1).sched_flag_a", 2, &err), -ERANGE));
	cr_assert(eq(int, store(&view, "task(1).sched_level", (uint64_t)-17, &err), -ERANGE));
	cr_assert(eq(int, store(&view, "task(1).pid", UINT64_C(1) << 32, &err), -ERANGE));
	cr_assert(strstr(err.text, "32 bits of pid_t") != NULL, "%s", err.text);
	cr_assert(
		eq(int, store(&view, "runqueues[cpu 0].nr_running", (uint64_t)-1, &err), -ERANGE));
	cr_assert(eq(int, store(&view, "task(1).comm", 1, &err), -EINVAL));
	cr_assert(zero(int, kt_inspect_resolve(view.inspect, "SCX_EXIT_ERROR", &place, &err)));
	cr_assert(eq(int, kt_inspect_store(view.inspect, &place, 1, &err), -EINVAL));
	close_view(&view);
}

/* ---- Rendering ---- */

static char *render(struct view *view, const char *path, const struct kt_render_limits *limits)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	char *text;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, &err)), "%s", err.text);
	cr_assert(zero(int, kt_render_text(view->inspect, &place, limits, &text, &err)), "%s",
		  err.text);
	return text;
}

static char *render_json(struct view *view, const char *path, const struct kt_render_limits *limits)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	json_t *json;
	char *text;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, &err)), "%s", err.text);
	cr_assert(zero(int, kt_render_json(view->inspect, &place, limits, &json, &err)), "%s",
		  err.text);
	text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(json);
	return text;
}

Test(inspect_render, values_become_text_for_people)
{
	static const struct {
		const char *path;
		const char *text;
	} VALUES[] = {
		{ "jiffies_64", "4294937296" },
		{ "task(1).comm", "\"init\"" },
		{ "task(1).name", "\"a name\"" },
		{ "task(1).state", "TINY_BUSY (7)" },
		{ "task(1).usage", "2" },
		{ "task(1).mask", "CPUs 0-1" },
		{ "task(1).table", "[[0, 10, 20], [30, 40, 50]]" },
		{ "task(1).scx", "{ dsq_vtime = 1234605616436508552, sticky_cpu = -1, "
				 "word = 4294967295 }" },
		{ "init_task.parent", "NULL" },
		{ "task(1).sched_level", "-3" },
		{ "scx_root->ops", "{ name = \"simple\" }" },
		{ "scx_root->kind", "SCX_EXIT_ERROR (1024)" },
	};
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(VALUES); i++) {
		KT_FREE char *text = render(&view, VALUES[i].path, NULL);

		cr_assert(eq(str, text, (char *)VALUES[i].text));
	}
	close_view(&view);
}

Test(inspect_render, values_become_json)
{
	static const struct {
		const char *path;
		const char *text;
	} VALUES[] = {
		{ "jiffies_64", "4294937296" },
		{ "task(1).comm", "\"init\"" },
		{ "task(1).name", "\"a name\"" },
		{ "task(1).state", "\"TINY_BUSY\"" },
		{ "task(1).usage", "2" },
		{ "task(1).mask", "\"0-1\"" },
		{ "init_task.parent", "null" },
		{ "task(1).sched_level", "-3" },
		{ "task(1).table", "[[0,10,20],[30,40,50]]" },
		{ "scx_root->kind", "\"SCX_EXIT_ERROR\"" },
	};
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(VALUES); i++) {
		KT_FREE char *text = render_json(&view, VALUES[i].path, NULL);

		cr_assert(eq(str, text, (char *)VALUES[i].text));
	}
	tiny_set(&view.kernel, tiny_symbol(&view.kernel, "jiffies_64"), UINT64_MAX, 8);
	{
		KT_FREE char *text = render_json(&view, "jiffies_64", NULL);

		cr_assert(eq(str, text, (char *)"\"0xffffffffffffffff\""));
	}
	close_view(&view);
}

Test(inspect_render, pointers_show_symbols_and_are_followed_on_request)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	struct view view;
	KT_FREE char *plain = NULL, *followed = NULL;

	open_view(&view, NULL);
	plain = render(&view, "task(1).parent", NULL);
	cr_assert(strstr(plain, "<init_task>") != NULL, "%s", plain);
	limits.pointers = 1;
	limits.depth = 9;
	followed = render_json(&view, "runqueues[cpu 0]", &limits);
	cr_assert(strstr(followed, "\"curr\":null") != NULL, "%s", followed);
	free(followed);
	tiny_set(&view.kernel, view.kernel.rqs[0] + TINY_RQ_CURR, view.kernel.task, 8);
	followed = render_json(&view, "runqueues[cpu 0]", &limits);
	cr_assert(strstr(followed, "\"comm\":\"init\"") != NULL, "%s", followed);
	cr_assert(strstr(followed, "\"@\":\"0xffff888") != NULL, "%s", followed);
	cr_assert(strstr(followed, "\"swapper/0\"") == NULL, "only one pointer: %s", followed);
	close_view(&view);
}

Test(inspect_render, a_pointer_that_leads_nowhere_is_shown_and_does_no_harm)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	KT_FREE char *text = NULL;
	struct view view;

	open_view(&view, NULL);
	limits.pointers = 3;
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_NAME, 0xffffc90000001000, 8);
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_PARENT, 0x4141414141414141, 8);
	text = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(text, "\"name\":\"0xffffc90000001000\"") != NULL, "%s", text);
	cr_assert(strstr(text, "\"parent\":\"0x4141414141414141\"") != NULL, "%s", text);
	cr_assert(strstr(text, "\"comm\":\"init\"") != NULL, "%s", text);
	close_view(&view);
}

Test(inspect_render, what_a_limit_leaves_out_is_marked)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	KT_FREE char *depth = NULL, *elements = NULL, *bytes = NULL, *memory = NULL, *text = NULL;
	struct view view;

	open_view(&view, NULL);
	limits.depth = 1;
	depth = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(depth, "\"scx\":{\"truncated\":true}") != NULL, "%s", depth);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.elements = 2;
	elements = render_json(&view, "task(1).table[0]", &limits);
	cr_assert(eq(str, elements, (char *)"[0,10,{\"truncated\":1}]"));
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.bytes = 40;
	bytes = render_json(&view, "task(1)", &limits);
	cr_assert(lt(sz, strlen(bytes), 150), "%s", bytes);
	cr_assert(strstr(bytes, "\"truncated\":true") != NULL, "%s", bytes);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.memory = 16;
	memory = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(memory, "\"pid\":1") != NULL, "%s", memory);
	cr_assert(strstr(memory, "\"state\":{\"truncated\":true}") != NULL, "%s", memory);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.text_len = 2;
	text = render(&view, "task(1).comm", &limits);
	cr_assert(eq(str, text, (char *)"\"in\"..."));
	close_view(&view);
}

Test(inspect_render, texts_of_the_guest_are_made_harmless)
{
	KT_FREE char *text = NULL, *json = NULL;
	struct view view;

	open_view(&view, NULL);
	memcpy(tiny_at(&view.kernel, view.kernel.task + TINY_TASK_COMM), "a\x1b\xff\n", 5);
	text = render(&view, "task(1).comm", NULL);
	cr_assert(eq(str, text, (char *)"\"a\\x1b\xef\xbf\xbd\\x0a\""));
	json = render_json(&view, "task(1).comm", NULL);
	cr_assert(eq(str, json, (char *)"\"a\\u001B\xef\xbf\xbd\\n\""));
	close_view(&view);
}

Test(inspect_render, large_values_take_several_lines)
{
	KT_FREE char *text = NULL;
	struct view view;

	open_view(&view, NULL);
	text = render(&view, "task(1)", NULL);
	cr_assert(strstr(text, "\n\tcomm = \"init\"\n") != NULL, "%s", text);
	cr_assert(strstr(text, "\n\ttable = [[0, 10, 20], [30, 40, 50]]\n") != NULL, "%s", text);
	close_view(&view);
}

/* ---- The cache ---- */

static char *new_dir(void)
{
	char template[] = "/tmp/ktest-inspect-XXXXXX";

	cr_assert(ne(ptr, mkdtemp(template), NULL));
	return strdup(template);
}

static bool opens_cached(struct tiny_kernel *kernel, const char *dir)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_inspect *inspect;
	uint64_t kva, value;
	bool cached;

	cr_assert(zero(int, kt_inspect_open(kernel->ram, dir, &inspect, &err)), "%s", err.text);
	cached = kt_inspect_facts(inspect)->cached;
	cr_assert(zero(int, kt_inspect_symbol(inspect, "init_task", &kva, &err)), "%s", err.text);
	cr_assert(eq(u64, kva, tiny_symbol(kernel, "init_task")));
	cr_assert(zero(int, kt_inspect_value(inspect, "scx_root->kind", &value, &err)), "%s",
		  err.text);
	cr_assert(eq(u64, value, 1024));
	inspect = kt_inspect_close(inspect);
	return cached;
}

Test(inspect_cache, a_kernel_is_decoded_once_whatever_its_kaslr)
{
	const struct tiny_options moved = { .kaslr = 0x3000000 };
	KT_FREE char *dir = new_dir();
	struct tiny_kernel first, second;

	tiny_kernel_init(&first, NULL);
	tiny_kernel_init(&second, &moved);
	cr_assert(not(opens_cached(&first, dir)));
	cr_assert(opens_cached(&first, dir));
	cr_assert(opens_cached(&second, dir));
	tiny_kernel_deinit(&first);
	tiny_kernel_deinit(&second);
	cr_assert(zero(int, kt_remove_all(dir)));
}

/* Changes one byte of the cached kernel, or its length. */
static void damage(const char *dir, off_t at, bool cut)
{
	KT_FREE char *path = kt_format("%s/" TINY_BUILD_ID ".kernel", dir);
	KT_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	char byte;

	cr_assert(ge(int, fd, 0));
	cr_assert(zero(int, fstat(fd, &st)));
	at = at < 0 ? st.st_size + at : at;
	if (cut) {
		cr_assert(zero(int, ftruncate(fd, at)));
		return;
	}
	cr_assert(eq(int, (int)pread(fd, &byte, 1, at), 1));
	byte = (char)(byte ^ 0x40);
	cr_assert(eq(int, (int)pwrite(fd, &byte, 1, at), 1));
}

Test(inspect_cache, a_damaged_cache_is_as_good_as_none)
{
	static const struct {
		off_t at;
		bool cut;
	} DAMAGE[] = { { 0, false },  { 8, false }, { 12, false }, { 200, false },
		       { -9, false }, { 30, true }, { 0, true },   { -8, true } };
	KT_FREE char *dir = new_dir();
	struct tiny_kernel kernel;

	tiny_kernel_init(&kernel, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(DAMAGE); i++) {
		(void)opens_cached(&kernel, dir);
		damage(dir, DAMAGE[i].at, DAMAGE[i].cut);
		cr_assert(not(opens_cached(&kernel, dir)), "damage %zu", i);
		cr_assert(opens_cached(&kernel, dir), "damage %zu is repaired", i);
	}
	tiny_kernel_deinit(&kernel);
	cr_assert(zero(int, kt_remove_all(dir)));
}

Test(inspect_cache, a_guest_that_lies_about_its_build_id_does_not_get_anothers_symbols)
{
	const struct tiny_options old = { .old_kallsyms = true };
	KT_FREE char *dir = new_dir();
	struct tiny_kernel first, liar;

	tiny_kernel_init(&first, NULL);
	tiny_kernel_init(&liar, &old);
	cr_assert(not(opens_cached(&first, dir)));
	cr_assert(not(opens_cached(&liar, dir)));
	tiny_kernel_deinit(&first);
	tiny_kernel_deinit(&liar);
	cr_assert(zero(int, kt_remove_all(dir)));
}

Test(inspect_cache, a_directory_that_cannot_be_written_does_no_harm)
{
	struct tiny_kernel kernel;

	tiny_kernel_init(&kernel, NULL);
	cr_assert(not(opens_cached(&kernel, "/proc/nowhere")));
	tiny_kernel_deinit(&kernel);
}

/* ---- Dumps ---- */

static char *new_file(const void *head, size_t head_len, const void *bytes, size_t len)
{
	char template[] = "/tmp/ktest-inspect-XXXXXX";
	KT_CLOSE int fd = mkstemp(template);

	cr_assert(ge(int, fd, 0));
	cr_assert(zero(int, kt_write_full(fd, head, head_len)));
	cr_assert(zero(int, kt_write_full(fd, bytes, len)));
	return strdup(template);
}

/* Reads a value by the file alone; writes one, if it may. */
static void check_file(const char *path, bool writable)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	struct kt_ram *ram;
	uint64_t value = 0;

	cr_assert(zero(int, kt_ram_open_file(path, writable, &ram, &err)), "%s", err.text);
	cr_assert(zero(int, kt_inspect_open(ram, NULL, &inspect, &err)), "%s", err.text);
	cr_assert(zero(int, kt_inspect_resolve(inspect, "task(1).table[1][0]", &place, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kt_inspect_load(inspect, &place, &value, &err)), "%s", err.text);
	cr_assert(eq(u64, value, 30));
	cr_assert(eq(int, kt_inspect_store(inspect, &place, 30, &err), writable ? 0 : -EROFS));
	cr_assert(eq(ptr, kt_inspect_pointer(inspect, place.kva, 4), NULL));
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
}

Test(inspect_dump, a_raw_file_is_read_and_written)
{
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;

	tiny_kernel_init(&kernel, &KERNELS[1]);
	path = new_file("", 0, kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	check_file(path, true);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

struct core {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
};

/* A core of two segments that overlap, the image's first, as in /proc/vmcore. */
static void make_core(struct core *core)
{
	*core = (struct core){ .header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
							ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
					   .e_type = ET_CORE,
					   .e_machine = EM_X86_64,
					   .e_version = EV_CURRENT,
					   .e_phoff = sizeof(Elf64_Ehdr),
					   .e_ehsize = sizeof(Elf64_Ehdr),
					   .e_phentsize = sizeof(Elf64_Phdr),
					   .e_phnum = 3 } };
	core->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
					  .p_offset = sizeof(*core) + TINY_IMAGE,
					  .p_paddr = TINY_IMAGE,
					  .p_filesz = TINY_RAM_LEN - TINY_IMAGE };
	core->segments[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
					  .p_offset = sizeof(*core),
					  .p_filesz = TINY_IMAGE + 0x80000 };
}

Test(inspect_dump, a_core_is_read)
{
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;
	struct kt_ram *ram;
	struct core core;
	char byte;

	make_core(&core);
	tiny_kernel_init(&kernel, NULL);
	kernel.bytes[TINY_RAM_LEN - 1] = 'z';
	path = new_file(&core, sizeof(core), kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	cr_assert(zero(int, kt_ram_open_file(path, false, &ram, &err)), "%s", err.text);
	cr_assert(eq(sz, ram->n_ranges, 2));
	cr_assert(eq(u64, ram->ranges[1].gpa, TINY_IMAGE + 0x80000));
	cr_assert(kt_ram_has(ram, 0, TINY_RAM_LEN));
	cr_assert(not(kt_ram_has(ram, 1, TINY_RAM_LEN)));
	cr_assert(zero(int, kt_ram_read(ram, TINY_RAM_LEN - 1, &byte, 1, &err)), "%s", err.text);
	cr_assert(eq(chr, byte, 'z'));
	ram = kt_ram_close(ram);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_dump, vmcoreinfo_of_a_note_needs_no_search)
{
	struct {
		struct core core;
		Elf64_Nhdr note;
		char name[12];
		char text[4096];
	} file = { .note = { 11, 4096, 0 }, .name = "VMCOREINFO" };
	struct tiny_kernel kernel;
	KT_FREE char *path = NULL;

	make_core(&file.core);
	tiny_kernel_init(&kernel, NULL);
	memcpy(file.text, kernel.bytes + kernel.info, sizeof(file.text));
	memset(kernel.bytes + kernel.info, 0, 4096);
	for (size_t i = 0; i < 2; i++)
		file.core.segments[i].p_offset += sizeof(file) - sizeof(file.core);
	file.core.segments[2] = (Elf64_Phdr){ .p_type = PT_NOTE,
					      .p_offset = sizeof(file.core),
					      .p_filesz = sizeof(file) - sizeof(file.core),
					      .p_align = 4 };
	path = new_file(&file, sizeof(file), kernel.bytes, TINY_RAM_LEN);
	check_file(path, false);
	(void)unlink(path);
	tiny_kernel_deinit(&kernel);
}

Test(inspect_dump, files_of_other_formats_are_named)
{
	static const struct {
		const char *magic;
		int code;
		const char *text;
	} FILES[] = {
		{ "KDUMP   ", -ENOTSUP, "makedumpfile" },
		{ "\177ELFxxxx", -EPROTO, "malformed" },
		{ "hello, world", -ENOTSUP, "neither an ELF core" },
	};
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram *ram;

	for (size_t i = 0; i < KT_ARRAY_LEN(FILES); i++) {
		KT_FREE char *path = new_file(FILES[i].magic, strlen(FILES[i].magic), "12345", 5);
		int r = kt_ram_open_file(path, false, &ram, &err);

		cr_assert(eq(int, r, FILES[i].code), "%s", err.text);
		cr_assert(strstr(err.text, FILES[i].text) != NULL, "%s", err.text);
		cr_assert(strstr(err.text, path) != NULL, "%s", err.text);
		(void)unlink(path);
	}
	cr_assert(eq(int, kt_ram_open_file("/nowhere", false, &ram, &err), -ENOENT));
	cr_assert(eq(int, kt_ram_open_file("/tmp", false, &ram, &err), -EINVAL));
}

/* ---- Hostile guests ---- */

Test(inspect_hostile, page_tables_that_contain_themselves_end)
{
	struct kt_err err = KT_ERR_NULL;
	struct view view;
	uint64_t kva = UINT64_C(0xffffc90000000000), value;

	open_view(&view, NULL);
	for (size_t i = 0; i < 512; i++)
		tiny_set(&view.kernel, view.kernel.page_offset + view.kernel.root + i * 8,
			 view.kernel.root | 3, 8);
	cr_assert(zero(int, kt_inspect_read_uint(view.inspect, kva, 8, &value, &err)), "%s",
		  err.text);
	cr_assert(eq(u64, value, view.kernel.root | 3));
	kt_inspect_refresh(view.inspect);
	for (size_t i = 0; i < 512; i++)
		tiny_set(&view.kernel, view.kernel.page_offset + view.kernel.root + i * 8,
			 UINT64_C(0x000ffffffffff003), 8);
	cr_assert(eq(int, kt_inspect_read_uint(view.inspect, kva, 8, &value, &err), -EFAULT));
	close_view(&view);
}

Test(inspect_hostile, a_tree_that_contains_itself_ends)
{
	uint64_t ns, node, entry, index = 0;
	struct kt_err err = KT_ERR_NULL;
	struct view view;

	open_view(&view, NULL);
	ns = tiny_symbol(&view.kernel, "init_pid_ns") + 8;
	memcpy(&node, tiny_at(&view.kernel, ns + 8), 8);
	tiny_set(&view.kernel, node - 2, 6, 1);
	for (size_t i = 0; i < 64; i++)
		tiny_set(&view.kernel, node - 2 + 8 + i * 8, node, 8);
	cr_assert(eq(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, &err), -EPROTO));
	cr_assert(strstr(err.text, "malformed") != NULL, "%s", err.text);
	expect_error(&view, "task(1).pid", -EPROTO, "xarray");
	close_view(&view);
}

Test(inspect_hostile, numbers_that_cannot_be_are_refused)
{
	static const struct {
		const char *symbol;
		uint64_t value;
		const char *text;
	} NUMBERS[] = {
		{ "kallsyms_num_syms", 0, "their number" },
		{ "kallsyms_num_syms", 0xffffffff, "their number" },
		{ "kallsyms_num_syms", 0x100000, "malformed" },
		{ "nr_cpu_ids", 0, "nr_cpu_ids is 0" },
		{ "nr_cpu_ids", 0xffffffff, "nr_cpu_ids is 4294967295" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(NUMBERS); i++) {
		struct kt_inspect *inspect = NULL;
		struct kt_err err = KT_ERR_NULL;
		struct tiny_kernel kernel;
		int r;

		tiny_kernel_init(&kernel, NULL);
		tiny_set(&kernel, tiny_symbol(&kernel, NUMBERS[i].symbol), NUMBERS[i].value, 4);
		r = kt_inspect_open(kernel.ram, NULL, &inspect, &err);
		cr_assert(r == -EPROTO || r == -EFAULT, "%d: %s", r, err.text);
		cr_assert(r == -EFAULT || strstr(err.text, NUMBERS[i].text) != NULL, "%s",
			  err.text);
		tiny_kernel_deinit(&kernel);
	}
}

Test(inspect_hostile, types_that_are_none_are_refused)
{
	struct tiny_kernel kernel;
	struct kt_inspect *inspect;
	struct kt_err err = KT_ERR_NULL;
	uint64_t start;

	tiny_kernel_init(&kernel, NULL);
	start = tiny_symbol(&kernel, "__start_BTF");
	for (size_t i = 0; i < 24; i++) {
		uint8_t *byte = tiny_at(&kernel, start + i);

		*byte ^= 0xff;
		cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)));
		(void)kt_inspect_btf(inspect);
		inspect = kt_inspect_close(inspect);
		*byte ^= 0xff;
	}
	tiny_set(&kernel, start, 0, 4);
	cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)));
	cr_assert(eq(ptr, (void *)kt_inspect_btf(inspect), NULL));
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&kernel);
}

/* A struct that contains itself as an anonymous member, and a typedef of itself. */
static uint32_t add_endless(struct btf *btf)
{
	int loop = btf__add_struct(btf, "s", 8);

	for (int i = 0; i < 100; i++)
		(void)btf__add_field(btf, NULL, loop, 0, 0);
	return (uint32_t)loop;
}

Test(inspect_hostile, a_value_without_an_end_is_shown_as_far_as_the_budget_goes)
{
	struct btf *btf = btf__new_empty();
	struct kt_place place = { .btf = btf, .size = 8 };
	struct view view;
	char *text = NULL;

	open_view(&view, NULL);
	place.type = add_endless(btf);
	place.kva = view.kernel.task;
	cr_assert(zero(int, kt_render_text(view.inspect, &place, NULL, &text, NULL)));
	cr_assert(strstr(text, "...") != NULL, "%s", text);
	free(text);
	/* 32^9 structs without a member, which take no memory. */
	place.type = (uint32_t)btf__add_struct(btf, "nothing", 0);
	for (int i = 0; i < 9; i++)
		place.type = (uint32_t)btf__add_array(btf, 1, (int)place.type, 32);
	cr_assert(zero(int, kt_render_text(view.inspect, &place, NULL, &text, NULL)));
	free(text);
	btf__free(btf);
	close_view(&view);
}

Test(inspect_hostile, types_that_contain_themselves_end)
{
	struct btf *btf = btf__new_empty();
	struct kt_member member;
	struct kt_err err = KT_ERR_NULL;
	char text[64];
	uint32_t loop;

	cr_assert(ne(ptr, btf, NULL));
	cr_assert(eq(int, btf__add_typedef(btf, "t", 1), 1));
	loop = add_endless(btf);
	(void)btf__add_array(btf, 1, 4, 2);
	cr_assert(eq(u32, kt_btf_skip(btf, 1), 0));
	cr_assert(eq(i64, kt_btf_size(btf, 1), -EINVAL));
	cr_assert(eq(i64, kt_btf_size(btf, 3), -EINVAL));
	cr_assert(eq(int, kt_btf_member(btf, loop, "x", &member, &err), -ENOENT));
	(void)kt_btf_describe(btf, 1, text, sizeof(text));
	btf__free(btf);
}

Test(inspect_hostile, near_names_are_few_and_near)
{
	struct kt_near near;
	char text[128];

	kt_near_init(&near, "exit_knd", 8);
	kt_near_offer(&near, "exit_kind");
	kt_near_offer(&near, "exit_info");
	kt_near_offer(&near, "nothing");
	kt_near_offer(&near, NULL);
	kt_near_offer(&near, "exit_kind");
	cr_assert(eq(str, (char *)kt_near_text(&near, text, sizeof(text)), " (near: exit_kind)"));
	kt_near_init(&near, "nr", 2);
	kt_near_offer(&near, "nx");
	cr_assert(eq(str, (char *)kt_near_text(&near, text, 8), " (near:"));
}
