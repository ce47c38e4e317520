/* SPDX-License-Identifier: MIT */
/*
 * A guest's kernel seen from outside, on kernels made byte by byte (tests/tiny_kernel.h): both
 * forms of kallsyms, four and five levels of page tables, KASLR, the cache; what a hostile guest
 * may hold.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/view.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/store.h"
#include "vmm/inspect/types.h"

UNIT_SUITE(inspect_open);
UNIT_SUITE(inspect_memory);
UNIT_SUITE(inspect_cache);
UNIT_SUITE(inspect_hostile);

static const struct tiny_options KERNELS[] = {
	{ .five_levels = false },
	{ .five_levels = true, .kaslr = 0x2da00000 },
	{ .old_kallsyms = true },
	{ .old_kallsyms = true, .five_levels = true, .kaslr = 0x1200000 },
};

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

static struct btf *one_more_type(void)
{
	struct btf *btf = tiny_btf();

	(void)btf__add_int(btf, "one_more", 4, 0);
	return btf;
}

Test(inspect_cache, the_same_symbols_do_not_prove_the_same_types)
{
	const struct tiny_options other = { .btf = one_more_type };
	KT_FREE char *dir = new_dir();
	struct tiny_kernel first, liar;

	tiny_kernel_init(&first, NULL);
	tiny_kernel_init(&liar, &other);
	cr_assert(not(opens_cached(&first, dir)));
	cr_assert(not(opens_cached(&liar, dir)));
	tiny_kernel_deinit(&first);
	tiny_kernel_deinit(&liar);
	cr_assert(zero(int, kt_remove_all(dir)));
}

Test(inspect_cache, a_file_under_the_name_of_another_kernel_is_not_taken)
{
	const char *const other = "ffff2233445566778899aabbccddeeff00112233";
	KT_FREE char *dir = new_dir(), *from = kt_format("%s/" TINY_BUILD_ID ".kernel", dir);
	KT_FREE char *to = kt_format("%s/%s.kernel", dir, other);
	struct kt_store store = KT_STORE_NULL;
	struct kt_symbols symbols;
	struct tiny_kernel kernel;
	struct kt_types types;

	tiny_kernel_init(&kernel, NULL);
	cr_assert(not(opens_cached(&kernel, dir)));
	cr_assert(zero(int, kt_store_load(dir, TINY_BUILD_ID, &store, &symbols, &types)));
	kt_store_close(&store);
	cr_assert(zero(int, rename(from, to)));
	cr_assert(eq(int, kt_store_load(dir, other, &store, &symbols, &types), -ENOENT));
	tiny_kernel_deinit(&kernel);
	cr_assert(zero(int, kt_remove_all(dir)));
}

/* The kernels of @dir, and whether that of the tiny kernel is one of them. */
static size_t count_kept(const char *dir, bool *ret_has_tiny)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	*ret_has_tiny = false;
	while (stream && (entry = readdir(stream))) {
		n += strstr(entry->d_name, ".kernel") != NULL;
		*ret_has_tiny |= !strcmp(entry->d_name, TINY_BUILD_ID ".kernel");
	}
	if (stream)
		(void)closedir(stream);
	return n;
}

Test(inspect_cache, kernels_that_are_not_used_go)
{
	KT_FREE char *dir = new_dir();
	struct tiny_kernel kernel;
	bool has_tiny;

	for (int i = 0; i < 12; i++) {
		const struct timespec old[2] = { { .tv_sec = 1000 + i }, { .tv_sec = 1000 + i } };
		KT_FREE char *path = kt_format("%s/%040d.kernel", dir, i);

		cr_assert(zero(int, kt_file_publish(path, "x", 1, NULL)));
		cr_assert(zero(int, utimensat(AT_FDCWD, path, old, 0)));
	}
	tiny_kernel_init(&kernel, NULL);
	cr_assert(not(opens_cached(&kernel, dir)));
	cr_assert(eq(sz, count_kept(dir, &has_tiny), 8));
	cr_assert(has_tiny);
	tiny_kernel_deinit(&kernel);
	cr_assert(zero(int, kt_remove_all(dir)));
}

Test(inspect_cache, a_directory_that_cannot_be_written_does_no_harm)
{
	struct tiny_kernel kernel;

	tiny_kernel_init(&kernel, NULL);
	cr_assert(not(opens_cached(&kernel, "/proc/nowhere")));
	tiny_kernel_deinit(&kernel);
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

/* Types that would end far behind the image: no memory is taken for them. */
Test(inspect_hostile, types_of_an_absurd_length_are_refused)
{
	struct tiny_kernel kernel;
	struct kt_inspect *inspect;
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	uint64_t offsets;
	int32_t offset;
	size_t i = 0;

	tiny_kernel_init(&kernel, NULL);
	while (strcmp(kernel.symbols[i].name, "__stop_BTF") != 0)
		i++;
	offsets = tiny_symbol(&kernel, "kallsyms_offsets");
	memcpy(&offset, tiny_at(&kernel, offsets + 4 * i), 4);
	tiny_set(&kernel, offsets + 4 * i, (uint32_t)(offset + (65 << 20)), 4);
	cr_assert(zero(int, kt_inspect_open(kernel.ram, NULL, &inspect, &err)), "%s", err.text);
	cr_assert(eq(int, kt_inspect_resolve(inspect, "jiffies_64", &place, &err), -EPROTO));
	cr_assert(strstr(err.text, "their size") != NULL, "%s", err.text);
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
