/* SPDX-License-Identifier: MIT */
/* The memory context that heals itself, on a kernel that never ran (tests/tiny_kernel.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/inspect/path.h"
#include "vmm/memctx.h"

UNIT_SUITE(memctx);

/* A guest whose RAM is a file, and what a context has told of it. */
struct guest {
	struct tiny_kernel kernel;
	struct kt_loop *loop;
	struct kt_memctx *memctx;
	int ram_fd; /* -1: the machine has not started */
	bool is_private;
	unsigned int asked, published, noted;
	char line[400];
};

static int give_memory(void *source, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct guest *guest = source;

	guest->asked++;
	if (guest->ram_fd < 0)
		return kt_err_set(reterr, -ENXIO, "the machine has no RAM");
	return kt_mem_map_file(ret_mem, guest->ram_fd, TINY_RAM_LEN, reterr);
}

static void on_published(void *data, struct kt_inspect *inspect)
{
	struct guest *guest = data;

	cr_assert(ne(ptr, inspect, NULL));
	guest->published++;
}

static void on_note(void *data, const char *line)
{
	struct guest *guest = data;

	guest->noted++;
	(void)snprintf(guest->line, sizeof(guest->line), "%s", line);
}

/* Puts what the kernel has in memory into the file that is the guest's RAM. */
static void put_ram(struct guest *guest)
{
	if (guest->ram_fd < 0)
		guest->ram_fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cr_assert(
		eq(i64, pwrite(guest->ram_fd, guest->kernel.bytes, TINY_RAM_LEN, 0), TINY_RAM_LEN));
}

static void begin(struct guest *guest, const struct tiny_options *options, bool loop,
		  unsigned int fail_boots)
{
	struct kt_memctx_config config = {
		.memory = give_memory,
		.source = guest,
		.fail_boots = fail_boots,
		.published = on_published,
		.note = on_note,
		.data = guest,
	};

	*guest = (struct guest){ .ram_fd = -1 };
	tiny_kernel_init(&guest->kernel, options);
	cr_assert(zero(int, kt_loop_new(&guest->loop)));
	config.loop = loop ? guest->loop : NULL;
	cr_assert(zero(int, kt_memctx_new(&config, &guest->memctx)));
}

static void end(struct guest *guest)
{
	guest->memctx = kt_memctx_free(guest->memctx);
	cr_assert(eq(int, kt_loop_step(guest->loop, kt_now_ns()), -ETIMEDOUT),
		  "no timer outlives the context");
	guest->loop = kt_loop_free(guest->loop);
	tiny_kernel_deinit(&guest->kernel);
	if (guest->ram_fd >= 0)
		(void)close(guest->ram_fd);
}

static void step(struct guest *guest, unsigned int n)
{
	while (n--)
		cr_assert(zero(int, kt_loop_step(guest->loop, kt_now_ns() + 5 * KT_NSEC_PER_SEC)));
}

Test(memctx, a_machine_may_be_attached_to_before_it_has_ram_or_a_kernel)
{
	const struct tiny_options booting = { .booting = true };
	struct guest guest;

	begin(&guest, &booting, true, 0);
	step(&guest, 3);
	cr_assert(eq(u32, guest.asked, 3));
	cr_assert(strstr(guest.line, "has no RAM") != NULL, "%s", guest.line);
	put_ram(&guest);
	step(&guest, 2);
	cr_assert(eq(u32, guest.published, 0));
	cr_assert(eq(ptr, kt_memctx_inspect(guest.memctx), NULL));
	tiny_kernel_finish_boot(&guest.kernel);
	put_ram(&guest);
	step(&guest, 1);
	cr_assert(ne(ptr, kt_memctx_inspect(guest.memctx), NULL));
	cr_assert(eq(u32, guest.published, 1));
	cr_assert(eq(u32, guest.noted, 1), "one line, however long it takes");
	cr_assert(not(kt_memctx_is_waiting(guest.memctx)));
	cr_assert(
		eq(int, kt_loop_step(guest.loop, kt_now_ns() + 20 * KT_NSEC_PER_MSEC), -ETIMEDOUT));
	end(&guest);
}

Test(memctx, the_first_attempts_can_be_made_to_fail)
{
	struct guest guest;

	begin(&guest, NULL, true, 4);
	put_ram(&guest);
	step(&guest, 4);
	cr_assert(eq(u32, guest.asked, 0));
	cr_assert(kt_memctx_is_waiting(guest.memctx));
	step(&guest, 1);
	cr_assert(eq(u32, kt_memctx_attempts(guest.memctx), 5));
	cr_assert(eq(u32, guest.published, 1));
	cr_assert(eq(u32, guest.noted, 1));
	end(&guest);
}

Test(memctx, each_retry_waits_longer_up_to_a_bound)
{
	uint64_t before_ns, due_ns = 5 * KT_NSEC_PER_MSEC, gap_ns = 0;
	struct guest guest;

	begin(&guest, NULL, true, 9);
	put_ram(&guest);
	step(&guest, 1);
	for (unsigned int i = 0; i < 9; i++) {
		before_ns = kt_now_ns();
		step(&guest, 1);
		gap_ns = kt_now_ns() - before_ns;
		/* The timer was armed before the first of the two moments. */
		cr_assert(ge(u64, gap_ns + KT_NSEC_PER_MSEC, due_ns), "retry %u", i);
		due_ns = KT_MIN(due_ns * 2, 500 * KT_NSEC_PER_MSEC);
	}
	cr_assert(lt(u64, gap_ns, 1200 * KT_NSEC_PER_MSEC), "without a bound it were 1280 ms");
	cr_assert(eq(u32, guest.published, 1));
	end(&guest);
}

Test(memctx, an_owner_who_knows_better_ends_the_waiting)
{
	struct kt_err err = KT_ERR_NULL;
	struct guest guest;

	begin(&guest, NULL, true, 1);
	put_ram(&guest);
	step(&guest, 1);
	cr_assert(kt_memctx_is_waiting(guest.memctx));
	cr_assert(zero(int, kt_memctx_try(guest.memctx, &err)), "%s", err.text);
	cr_assert(not(kt_memctx_is_waiting(guest.memctx)));
	cr_assert(
		eq(int, kt_loop_step(guest.loop, kt_now_ns() + 20 * KT_NSEC_PER_MSEC), -ETIMEDOUT));
	end(&guest);
}

/* How often the guest's RAM is mapped into this process. */
static unsigned int count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, "/memfd:ram") != NULL;
	if (file)
		(void)fclose(file);
	return n;
}

Test(memctx, an_attempt_that_fails_gives_everything_back)
{
	const struct tiny_options booting = { .booting = true };
	struct guest guest;

	begin(&guest, &booting, false, 0);
	put_ram(&guest);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, kt_memctx_try(guest.memctx, NULL), -EAGAIN));
	cr_assert(zero(u32, count_mappings()));
	tiny_kernel_finish_boot(&guest.kernel);
	put_ram(&guest);
	cr_assert(zero(int, kt_memctx_try(guest.memctx, NULL)));
	cr_assert(eq(u32, count_mappings(), 1));
	end(&guest);
}

Test(memctx, an_owner_without_a_loop_tries_itself_and_is_told_why_not)
{
	struct kt_err err = KT_ERR_NULL;
	struct guest guest;

	begin(&guest, NULL, false, 1);
	put_ram(&guest);
	cr_assert(eq(int, kt_memctx_try(guest.memctx, &err), -EAGAIN));
	cr_assert(strstr(err.text, "was made to fail") != NULL, "%s", err.text);
	cr_assert(zero(int, kt_memctx_try(guest.memctx, &err)), "%s", err.text);
	cr_assert(zero(int, kt_memctx_try(guest.memctx, &err)));
	cr_assert(eq(u32, guest.published, 1), "published once");
	end(&guest);
}

Test(memctx, a_write_is_bounded_and_lands_whole_or_not_at_all)
{
	uint8_t bytes[KT_MEMCTX_WRITE_MAX + 1], back[16];
	struct kt_err err = KT_ERR_NULL;
	struct guest guest;
	uint64_t kva;

	begin(&guest, NULL, false, 0);
	memset(bytes, 0x5a, sizeof(bytes));
	kva = tiny_alloc(&guest.kernel, KT_MEMCTX_WRITE_MAX);
	put_ram(&guest);
	cr_assert(eq(int, kt_memctx_write(guest.memctx, kva, bytes, 8, &err), -EAGAIN));
	cr_assert(zero(int, kt_memctx_try(guest.memctx, &err)), "%s", err.text);
	cr_assert(
		eq(int, kt_memctx_write(guest.memctx, kva, bytes, sizeof(bytes), &err), -EMSGSIZE));
	cr_assert(zero(int, kt_memctx_write(guest.memctx, kva, bytes, KT_MEMCTX_WRITE_MAX, &err)),
		  "%s", err.text);
	cr_assert(eq(i64, pread(guest.ram_fd, back, 16, (off_t)(kva - guest.kernel.page_offset)),
		     16));
	cr_assert(zero(int, memcmp(back, bytes, 16)));
	/* The last 8 bytes of the RAM, and 8 that are none. */
	kva = guest.kernel.page_offset + TINY_RAM_LEN - 8;
	cr_assert(eq(int, kt_memctx_write(guest.memctx, kva, bytes, 16, &err), -EFAULT));
	cr_assert(eq(i64, pread(guest.ram_fd, back, 8, TINY_RAM_LEN - 8), 8));
	cr_assert(ne(u8, back[0], 0x5a), "nothing of it has landed");
	end(&guest);
}

Test(memctx, the_ram_is_handed_out_for_reading_only)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_inspect *inspect;
	KT_CLOSE int fd = -1, again = -1;
	struct kt_ram *window;
	struct guest guest;
	char path[64];
	uint64_t value;

	begin(&guest, NULL, false, 0);
	put_ram(&guest);
	cr_assert(eq(int, kt_memctx_ram_fd(guest.memctx, &fd, &err), -EAGAIN));
	cr_assert(zero(int, kt_memctx_try(guest.memctx, &err)), "%s", err.text);
	cr_assert(zero(int, kt_memctx_ram_fd(guest.memctx, &fd, &err)), "%s", err.text);
	cr_assert(eq(int, fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY));
	cr_assert(eq(ptr, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(lt(i64, pwrite(again, "x", 1, 0), 0), "opened anew, it is sealed all the same");
	cr_assert(eq(ptr, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0),
		     MAP_FAILED));
	/* The context goes on writing. */
	cr_assert(zero(int, kt_memctx_write(guest.memctx, guest.kernel.task, "abcd", 4, &err)),
		  "%s", err.text);

	cr_assert(zero(int, kt_memctx_window(guest.memctx, &window, &err)), "%s", err.text);
	cr_assert(eq(int, kt_ram_write(window, 0, "x", 1, &err), -EROFS));
	cr_assert(eq(ptr, kt_ram_pointer(window, 0, 8), NULL));
	cr_assert(zero(int, kt_inspect_open(window, NULL, &inspect, &err)), "%s", err.text);
	cr_assert(zero(int, kt_inspect_value(inspect, "scx_root->kind", &value, &err)), "%s",
		  err.text);
	cr_assert(eq(u64, value, 1024));
	inspect = kt_inspect_close(inspect);
	window = kt_ram_close(window);
	end(&guest);
}
