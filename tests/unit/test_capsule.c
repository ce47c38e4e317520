/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/build_id.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/capsule/base.h"
#include "vmm/capsule/capsule.h"
#include "vmm/capsule/format.h"
#include "vmm/capsule/pages.h"
#include "vmm/capsule/writer.h"
#include "vmm/ramfile.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

UNIT_SUITE(capsule);

#define PAGE_LEN 4096u
#define MIB      1u
#define N_PAGES  ((MIB << 20) / PAGE_LEN)

static char dir[] = "/tmp/ktest-capsule-XXXXXX";
static char *path;
static int base_fd, ram_fd, state_fd;
static struct kt_mem mem;
static struct kt_registers vcpus[2];

static void put_page(int fd, unsigned int number, int byte)
{
	char page[PAGE_LEN];

	memset(page, byte, sizeof(page));
	page[7] = (char)number;
	cr_assert(eq(long, (long)pwrite(fd, page, sizeof(page), (off_t)number * PAGE_LEN),
		     (long)PAGE_LEN));
}

/*
 * The base has the pages 1, 2 and 3. The machine has changed 2, zeroed 3 and written 200; page 5 is
 * data of its file, but zero.
 */
static void set_up(void)
{
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	path = kt_format("%s/a" KT_CAPSULE_SUFFIX, dir);
	base_fd = memfd_create("base", 0);
	ram_fd = memfd_create("ram", 0);
	state_fd = memfd_create("state", 0);
	cr_assert(zero(int, ftruncate(base_fd, MIB << 20)));
	cr_assert(zero(int, ftruncate(ram_fd, MIB << 20)));
	for (unsigned int i = 1; i <= 3; i++)
		put_page(base_fd, i, 'b');
	put_page(ram_fd, 1, 'b');
	put_page(ram_fd, 2, 'c');
	put_page(ram_fd, 200, 'd');
	for (unsigned int i = 3; i <= 5; i += 2) {
		char zeroes[PAGE_LEN] = { 0 };

		(void)pwrite(ram_fd, zeroes, PAGE_LEN, (off_t)i * PAGE_LEN);
	}
	cr_assert(eq(long, (long)write(state_fd, "devices", 7), 7L));
	cr_assert(zero(int, kt_mem_map_file(&mem, ram_fd, MIB << 20, NULL)));
	vcpus[0].rip = 0x1111;
	vcpus[1].rip = 0x2222;
}

static void tear_down(void)
{
	kt_mem_deinit(&mem);
	(void)kt_close(base_fd);
	(void)kt_close(ram_fd);
	(void)kt_close(state_fd);
	(void)kt_remove_all(dir);
	free(kt_steal(path));
}

#define CAPSULE_TEST(name) Test(capsule, name, .init = set_up, .fini = tear_down)

static struct kt_capsule_info info_of(bool with_template)
{
	return (struct kt_capsule_info){
		.kernel_release = "7.0-tiny",
		.kernel_build_id = "0123",
		.vmlinux = "/vmlinux",
		.topology = { 1, 1, 2, 1 },
		.memory_mib = MIB,
		.disk_mib = 64,
		.net = true,
		.time = KT_TIME_VIRTUAL,
		.insn_shift = 3,
		.host_calls = true,
		.qemu = "/qemu",
		.vmm_major = 10,
		.vmm_minor = 0xfedcba98, /* a hash: all bits may be set */
		.runner = "abcd",
		.wire = KT_WIRE_VERSION,
		.position = { 5, 0xfffffff7 },
		.moment = "the test has ended",
		.listens = true,
		.test = "a_test",
		.verdict = "fail",
		.reason = "1 is not \"2\"\n",
		.seed = UINT64_MAX,
		.attempt = 2,
		.saved_ns = 1234567890123456789,
		.template_machine = with_template ? "a machine" : NULL,
		.template_program = with_template ? "a program" : NULL,
		.template_ram = with_template ? 0xfedcba9876543210 : 0,
	};
}

static int write_capsule(bool with_template, uint64_t max_bytes, struct kt_capsule_size *size,
			 struct kt_err *reterr)
{
	struct kt_capsule_info info = info_of(with_template);
	struct kt_capsule_spec spec = {
		.path = path,
		.info = &info,
		.vcpus = vcpus,
		.n_vcpus = 2,
		.state_fd = state_fd,
		.mem = &mem,
		.base_fd = with_template ? base_fd : -1,
		.max_bytes = max_bytes,
	};

	return kt_capsule_write(&spec, size, reterr);
}

static struct kt_capsule_size make(bool with_template)
{
	struct kt_capsule_size size;

	cr_assert(zero(int, write_capsule(with_template, UINT64_MAX, &size, NULL)));
	return size;
}

static struct kt_capsule *open_it(void)
{
	struct kt_capsule *capsule = NULL;
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_capsule_open(path, &capsule, &err)), "%s", err.text);
	return capsule;
}

/* What the file has at a page: its first byte. */
static char page_of(int fd, unsigned int number)
{
	char page[PAGE_LEN];

	cr_assert(eq(long, (long)pread(fd, page, PAGE_LEN, (off_t)number * PAGE_LEN),
		     (long)PAGE_LEN));
	cr_assert(eq(int, page[7], page[0] ? (char)number : 0));
	return page[0];
}

static void expect_ram(int fd)
{
	for (unsigned int i = 0; i < N_PAGES; i++) {
		char expected = i == 1 ? 'b' : i == 2 ? 'c' : i == 200 ? 'd' : 0;

		cr_assert(eq(chr, page_of(fd, i), expected), "page %u", i);
	}
}

CAPSULE_TEST(pages_beside_a_template)
{
	struct kt_capsule_size size = make(true);
	struct kt_capsule *capsule = open_it();
	KT_CLOSE int out = memfd_create("out", 0);

	cr_expect(eq(u64, size.n_pages, 3)); /* 2, 3 and 200 */
	cr_expect(eq(u64, kt_capsule_n_pages(capsule), 3));
	cr_expect(eq(u64, kt_capsule_file_len(capsule), size.file_len));
	cr_assert(zero(int, kt_capsule_read_ram(capsule, base_fd, out, NULL)));
	expect_ram(out);
	capsule = kt_capsule_close(capsule);
}

CAPSULE_TEST(all_pages)
{
	struct kt_capsule_size size = make(false);
	struct kt_capsule *capsule = open_it();
	KT_CLOSE int out = memfd_create("out", 0);

	cr_expect(eq(u64, size.n_pages, 3)); /* 1, 2 and 200 */
	cr_assert(zero(int, kt_capsule_read_ram(capsule, -1, out, NULL)));
	expect_ram(out);
	capsule = kt_capsule_close(capsule);
}

/* More than one chunk, and one that is not full. */
CAPSULE_TEST(many_pages)
{
	struct kt_capsule *capsule;
	KT_CLOSE int out = memfd_create("out", 0);
	static char got[MIB << 20], expected[MIB << 20];

	for (unsigned int i = 0; i < N_PAGES; i++)
		put_page(ram_fd, i, i + 1);
	put_page(base_fd, 9, 10);
	cr_expect(eq(u64, make(true).n_pages, N_PAGES - 1));
	capsule = open_it();
	cr_assert(zero(int, kt_capsule_read_ram(capsule, base_fd, out, NULL)));
	(void)pread(out, got, sizeof(got), 0);
	(void)pread(ram_fd, expected, sizeof(expected), 0);
	cr_expect(zero(int, memcmp(got, expected, sizeof(got))));
	capsule = kt_capsule_close(capsule);
}

CAPSULE_TEST(state_and_registers)
{
	struct kt_capsule *capsule;
	KT_FREE struct kt_registers *read = NULL;
	KT_CLOSE int out = memfd_create("out", 0);
	char text[16] = "";

	(void)make(true);
	capsule = open_it();
	cr_assert(zero(int, kt_capsule_read_state(capsule, out, &read, NULL)));
	cr_expect(eq(long, (long)pread(out, text, sizeof(text), 0), 7L));
	cr_expect(eq(str, text, "devices"));
	cr_expect(eq(u64, read[0].rip, 0x1111));
	cr_expect(eq(u64, read[1].rip, 0x2222));
	capsule = kt_capsule_close(capsule);
}

CAPSULE_TEST(info)
{
	struct kt_capsule_info want = info_of(true);
	const struct kt_capsule_info *info;
	struct kt_capsule *capsule;

	(void)make(true);
	capsule = open_it();
	info = kt_capsule_info(capsule);
	cr_expect(eq(str, (char *)info->kernel_release, (char *)want.kernel_release));
	cr_expect(eq(uint, info->topology.cores, 2));
	cr_expect(eq(uint, info->disk_mib, 64));
	cr_expect(info->net);
	cr_expect(eq(int, info->time, KT_TIME_VIRTUAL));
	cr_expect(eq(int, info->accel, KT_ACCEL_TCG));
	cr_expect(eq(uint, info->position.sent, 0xfffffff7));
	cr_expect(eq(uint, info->vmm_minor, 0xfedcba98));
	cr_expect(eq(u64, info->seed, UINT64_MAX));
	cr_expect(eq(u64, info->template_ram, want.template_ram));
	cr_expect(eq(str, (char *)info->reason, "1 is not \"2\"\n"));
	cr_expect(info->listens && info->host_calls && !info->conflicts);
	capsule = kt_capsule_close(capsule);
}

/* ---- bounds ---- */

CAPSULE_TEST(too_large)
{
	struct kt_capsule_size size;
	struct kt_err err = KT_ERR_NULL;
	uint64_t len = make(true).file_len;

	(void)unlink(path);
	cr_expect(zero(int, write_capsule(true, len, &size, &err)));
	(void)unlink(path);
	cr_expect(eq(int, write_capsule(true, len - 1, &size, &err), -EFBIG));
	cr_expect(eq(u64, size.file_len, len));
	cr_expect(ne(ptr, strstr(err.text, "limit"), NULL), "%s", err.text);
	cr_expect(lt(int, access(path, F_OK), 0));
}

/* ---- damage ---- */

static char *file;
static size_t file_len;

static void load_file(void)
{
	cr_assert(zero(int, kt_file_read(path, 16 << 20, &file, &file_len)));
}

static void store_file(const char *bytes, size_t len)
{
	cr_assert(zero(int, kt_file_publish(path, bytes, len, NULL)));
}

/* Everything that a reader can do; 0 if nothing was found to be wrong. */
static int read_everything(bool with_template)
{
	struct kt_capsule *capsule = NULL;
	KT_CLOSE int out = memfd_create("out", 0), state = memfd_create("state", 0);
	struct kt_err err = KT_ERR_NULL;
	int r = kt_capsule_open(path, &capsule, &err);

	if (r == 0)
		r = kt_capsule_read_ram(capsule, with_template ? base_fd : -1, out, &err)
			    ?: kt_capsule_read_state(capsule, state, NULL, &err);
	cr_assert(r == 0 || err.text[0]);
	capsule = kt_capsule_close(capsule);
	return r;
}

CAPSULE_TEST(truncated_at_each_byte)
{
	(void)make(true);
	load_file();
	for (size_t len = 0; len < file_len; len++) {
		store_file(file, len);
		cr_assert(eq(int, read_everything(true), -EBADMSG), "%zu bytes", len);
	}
	store_file(file, file_len);
	cr_expect(zero(int, read_everything(true)));
	free(file);
}

CAPSULE_TEST(bits_flipped)
{
	(void)make(true);
	load_file();
	for (size_t bit = 0; bit < 8 * file_len; bit++) {
		int r;

		file[bit / 8] ^= (char)(1 << bit % 8);
		store_file(file, file_len);
		r = read_everything(true);
		cr_assert(r == -EBADMSG || r == -ENOTSUP, "bit %zu: %d", bit, r);
		file[bit / 8] ^= (char)(1 << bit % 8);
	}
	free(file);
}

CAPSULE_TEST(longer_than_it_says)
{
	(void)make(true);
	load_file();
	file = realloc(file, file_len + 1);
	file[file_len] = 0;
	store_file(file, file_len + 1);
	cr_expect(eq(int, read_everything(true), -EBADMSG));
	free(file);
}

/* A header that says @what in place of the true value, with a hash that fits. */
static void forge(size_t at, const void *what, size_t len)
{
	struct kt_capsule_header header;

	memcpy(file + at, what, len);
	memcpy(&header, file, sizeof(header));
	header.hash = XXH3_64bits(&header, offsetof(struct kt_capsule_header, hash));
	memcpy(file, &header, sizeof(header));
	store_file(file, file_len);
}

CAPSULE_TEST(absurd_counts)
{
	static const size_t places[] = {
		offsetof(struct kt_capsule_header, info_len),
		offsetof(struct kt_capsule_header, state_len),
		offsetof(struct kt_capsule_header, state_packed),
		offsetof(struct kt_capsule_header, n_chunks),
		offsetof(struct kt_capsule_header, n_pages),
	};
	static const uint32_t counts[] = { 0, 1, 0x7fffffff, 0xffffffff };

	(void)make(true);
	load_file();
	for (size_t i = 0; i < KT_ARRAY_LEN(places); i++) {
		for (size_t j = 0; j < KT_ARRAY_LEN(counts); j++) {
			uint32_t before, same = 0;

			memcpy(&before, file + places[i], sizeof(before));
			same = before == counts[j];
			forge(places[i], &counts[j], sizeof(counts[j]));
			cr_assert(eq(int, read_everything(true), same ? 0 : -EBADMSG),
				  "place %zu, count %u", i, counts[j]);
			forge(places[i], &before, sizeof(before));
		}
	}
	cr_expect(zero(int, read_everything(true)));
	free(file);
}

/* The first chunk of the file that @file holds. */
static size_t first_chunk(void)
{
	struct kt_capsule_header header;

	memcpy(&header, file, sizeof(header));
	return sizeof(header) + header.info_len + header.state_packed;
}

static void forge_chunk(struct kt_capsule_chunk chunk)
{
	size_t at = first_chunk(), len = file_len - at - sizeof(chunk);
	uint64_t seed;

	memcpy(&seed, &chunk, sizeof(seed));
	chunk.hash =
		XXH3_64bits_withSeed(file + at + sizeof(chunk), KT_MIN(len, chunk.packed), seed);
	memcpy(file + at, &chunk, sizeof(chunk));
	store_file(file, file_len);
}

CAPSULE_TEST(absurd_chunks)
{
	static const uint32_t n_pages[] = { 0, 1, 2, 4, 257, 0xffffffff };
	static const uint32_t packed[] = { 0, 1, 0x7fffffff, 0xffffffff };
	struct kt_capsule_chunk chunk, forged;

	(void)make(true);
	load_file();
	memcpy(&chunk, file + first_chunk(), sizeof(chunk));
	for (size_t i = 0; i < KT_ARRAY_LEN(n_pages); i++) {
		forged = chunk;
		forged.n_pages = n_pages[i];
		forge_chunk(forged);
		cr_assert(eq(int, read_everything(true), -EBADMSG), "%u pages", n_pages[i]);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(packed); i++) {
		forged = chunk;
		forged.packed = packed[i];
		forge_chunk(forged);
		cr_assert(eq(int, read_everything(true), -EBADMSG), "%u packed", packed[i]);
	}
	forge_chunk(chunk);
	cr_expect(zero(int, read_everything(true)));
	free(file);
}

/* A machine with less RAM than the pages need: its info says so, and its hashes fit. */
CAPSULE_TEST(pages_beyond_the_ram)
{
	struct kt_capsule_info info = info_of(false);
	struct kt_mem large;
	KT_CLOSE int large_fd = memfd_create("large", 0);
	struct kt_capsule_size size;
	struct kt_capsule_spec spec = { .path = path,
					.info = &info,
					.vcpus = vcpus,
					.n_vcpus = 2,
					.state_fd = state_fd,
					.mem = &large,
					.base_fd = -1,
					.max_bytes = UINT64_MAX };

	(void)ftruncate(large_fd, 2 << 20);
	put_page(large_fd, N_PAGES, 'x');
	cr_assert(zero(int, kt_mem_map_file(&large, large_fd, 2 << 20, NULL)));
	cr_assert(zero(int, kt_capsule_write(&spec, &size, NULL)));
	cr_expect(eq(int, read_everything(false), -EBADMSG));
	kt_mem_deinit(&large);
}

CAPSULE_TEST(wants_its_template)
{
	struct kt_capsule *capsule;
	KT_CLOSE int out = memfd_create("out", 0), small = memfd_create("small", 0);

	(void)make(true);
	capsule = open_it();
	cr_expect(eq(int, kt_capsule_read_ram(capsule, -1, out, NULL), -EINVAL));
	cr_expect(eq(int, kt_capsule_read_ram(capsule, small, out, NULL), -EBADMSG));
	capsule = kt_capsule_close(capsule);
}

CAPSULE_TEST(foreign_info)
{
	static const char *const texts[] = {
		"", "{}", "[]", "{\"machine\":{},\"guest\":{},\"test\":{}}", "{\"machine\":1}",
	};
	struct kt_capsule_info info;
	struct kt_err err;

	for (size_t i = 0; i < KT_ARRAY_LEN(texts); i++) {
		err = KT_ERR_NULL;
		cr_expect(eq(int, kt_capsule_info_decode(texts[i], strlen(texts[i]), &info, &err),
			     -EBADMSG));
		cr_expect(ne(str, err.text, ""));
	}
}

/* Each number that a machine is made of is bounded. */
CAPSULE_TEST(impossible_machines)
{
	static const struct {
		unsigned int nodes, llcs, cores, threads, mib, shift;
	} bad[] = {
		{ 1, 1, 5000, 1, 1, 0 }, { 1, 64, 64, 2, 1, 0 }, { 2, 3, 1, 1, 8, 0 },
		{ 1, 1, 1, 1, 0, 0 },    { 4, 4, 1, 1, 3, 0 },   { 1, 1, 1, 1, 1u << 23, 0 },
		{ 1, 1, 1, 1, 1, 11 },   { 0, 1, 1, 1, 1, 0 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++) {
		struct kt_capsule_info info = info_of(false), read;
		KT_FREE char *text = NULL;

		info.topology = (struct kt_machine_topology){ .numa_nodes = bad[i].nodes,
							      .llcs = bad[i].llcs,
							      .cores = bad[i].cores,
							      .threads = bad[i].threads };
		info.memory_mib = bad[i].mib;
		info.insn_shift = bad[i].shift;
		text = kt_capsule_info_encode(&info);
		cr_expect(
			eq(int, kt_capsule_info_decode(text, strlen(text), &read, NULL), -EBADMSG),
			"machine %zu", i);
	}
}

/* ---- stages ---- */

static size_t count_files(void)
{
	KT_FREE char *pattern = kt_format("%s/*", dir);
	glob_t found;
	size_t n;

	n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

CAPSULE_TEST(sweep_leaves_what_is_in_use)
{
	KT_FREE char *stale = kt_format("%s.stage-aaaaaa", path);
	KT_FREE char *used = kt_format("%s.stage-bbbbbb", path);
	KT_FREE char *other = kt_format("%s/other.stage-cccccc", dir);
	KT_CLOSE int fd = open(used, O_RDWR | O_CREAT, 0644);
	uint64_t bytes;

	(void)make(true);
	cr_assert(zero(int, kt_file_publish(stale, "stale", 5, NULL)));
	cr_assert(zero(int, kt_file_publish(other, "other", 5, NULL)));
	cr_assert(zero(int, flock(fd, LOCK_EX)));
	cr_expect(eq(uint, kt_capsule_sweep(dir, &bytes), 1));
	cr_expect(lt(int, access(stale, F_OK), 0));
	cr_expect(zero(int, access(used, F_OK)));
	cr_expect(zero(int, access(other, F_OK)));
	cr_expect(zero(int, access(path, F_OK)));
	cr_expect(eq(uint, kt_capsule_sweep("/nonexistent", NULL), 0));
}

CAPSULE_TEST(prune_keeps_the_newest)
{
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	KT_FREE char *older = kt_format("%s/b" KT_CAPSULE_SUFFIX, dir);

	(void)make(true);
	cr_assert(zero(int, rename(path, older)));
	cr_assert(zero(int, utimensat(AT_FDCWD, older, times, 0)));
	(void)make(true);
	kt_capsule_prune(dir, 1 << 20);
	cr_expect(eq(sz, count_files(), 2));
	kt_capsule_prune(dir, 0);
	cr_expect(eq(sz, count_files(), 1));
	cr_expect(zero(int, access(path, F_OK)));
}

/* A template that is removed leaves its RAM to the capsules that need it. */
CAPSULE_TEST(a_base_stays_as_long_as_a_capsule_needs_it)
{
	KT_FREE char *ram = kt_format("%s/ram", dir);
	KT_CLOSE int fd = open(ram, O_RDWR | O_CREAT, 0644), other = -1;
	struct kt_capsule_info info = info_of(true);
	struct kt_capsule_spec spec = { path, &info, vcpus, 2, state_fd, &mem, base_fd, 1 << 20 };
	struct kt_capsule_size size;
	uint64_t hash, used;

	cr_assert(zero(int, kt_ramfile_copy(base_fd, fd)));
	cr_assert(zero(int, kt_ramfile_hash(fd, &hash, &used)));
	cr_assert(zero(int, kt_capsule_keep_base(dir, hash, fd)));
	cr_assert(zero(int, kt_capsule_keep_base(dir, hash, fd)));
	cr_assert(zero(int, unlink(ram)));
	info.template_ram = hash;
	cr_assert(zero(int, kt_capsule_write(&spec, &size, NULL)));
	kt_capsule_drop_bases(dir, 0);
	cr_expect(eq(sz, count_files(), 2));
	other = kt_capsule_open_base(dir, hash);
	cr_expect(ge(int, other, 0));
	cr_expect(eq(int, kt_capsule_open_base(dir, hash + 1), -ENOENT));
	put_page(fd, 9, 'x'); /* it is no longer what its name says */
	cr_expect(eq(int, kt_capsule_open_base(dir, hash), -ENOENT));
	(void)unlink(path);
	kt_capsule_drop_bases(dir, KT_CAPSULE_BASE_AGE_NS);
	cr_expect(eq(sz, count_files(), 1));
	kt_capsule_drop_bases(dir, 0);
	cr_expect(zero(sz, count_files()));
	cr_expect(lt(int, kt_capsule_keep_base("/nonexistent", hash, fd), 0));
}

static volatile bool go_on = true;

/* Writes the same capsule over and over. */
static void write_for_ever(void)
{
	struct kt_capsule_size size;

	while (go_on)
		(void)write_capsule(true, UINT64_MAX, &size, NULL);
	_exit(0);
}

/* Whoever writes is killed at any moment: the file is whole, and its stage is swept. */
CAPSULE_TEST(killed_writers)
{
	unsigned int seed = 1;

	(void)make(true);
	for (unsigned int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid)
			write_for_ever();
		(void)usleep((useconds_t)(rand_r(&seed) % 5000));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		cr_assert(zero(int, read_everything(true)), "round %u", i);
		(void)kt_capsule_sweep(dir, NULL);
		cr_assert(eq(sz, count_files(), 1), "round %u", i);
	}
}

Test(capsule, build_id)
{
	const char *id = kt_build_id();

	cr_expect(eq(sz, strspn(id, "0123456789abcdef"), strlen(id)));
	cr_expect(ge(sz, strlen(id), 16));
	cr_expect(eq(ptr, (char *)kt_build_id(), (char *)id));
}
