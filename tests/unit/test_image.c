/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/image/closure.h"
#include "framework/image/cpio.h"
#include "framework/image/image.h"
#include "framework/image/ldcache.h"
#include "framework/kernel/image.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(cpio);
UNIT_SUITE(closure);
UNIT_SUITE(ldcache);
UNIT_SUITE(image);
UNIT_SUITE(kernel_image);

/* ---- cpio: read back by the format's own rules ------------------------------------------------
 */

static unsigned long field(const char *header, int index)
{
	char text[9] = "";

	memcpy(text, header + 6 + 8 * index, 8);
	return strtoul(text, NULL, 16);
}

Test(cpio, entries_are_where_the_format_puts_them)
{
	char *data = NULL;
	size_t len, at = 0;
	FILE *out = open_memstream(&data, &len);
	struct kt_cpio cpio = KT_CPIO_INIT(out);
	static const struct {
		const char *name;
		unsigned long mode, size;
	} expected[] = {
		{ "dir", S_IFDIR | 0755, 0 },   { "dir/file", S_IFREG | 0644, 5 },
		{ "empty", S_IFREG | 0755, 0 }, { "console", S_IFCHR | 0600, 0 },
		{ "TRAILER!!!", 0, 0 },
	};

	cr_assert(eq(int, kt_cpio_dir(&cpio, "/dir", 0755), 0));
	cr_assert(eq(int, kt_cpio_file(&cpio, "/dir/file", 0644, "hello", 5), 0));
	cr_assert(eq(int, kt_cpio_file(&cpio, "/empty", 0755, "", 0), 0));
	cr_assert(eq(int, kt_cpio_char_device(&cpio, "/console", 0600, 5, 1), 0));
	cr_assert(eq(int, kt_cpio_end(&cpio), 0));
	cr_assert(eq(int, fclose(out), 0));
	for (size_t i = 0; i < KT_ARRAY_LEN(expected); i++) {
		const char *header = data + at;

		cr_assert(zero(sz, at % 4));
		cr_assert(eq(int, memcmp(header, "070701", 6), 0));
		cr_assert(eq(ulong, field(header, 1), expected[i].mode));
		cr_assert(eq(ulong, field(header, 6), expected[i].size));
		cr_assert(eq(ulong, field(header, 11), strlen(expected[i].name) + 1));
		cr_assert(eq(str, (char *)header + 110, (char *)expected[i].name));
		at = (at + 110 + field(header, 11) + 3) & ~3ul;
		if (i == 1)
			cr_assert(eq(int, memcmp(data + at, "hello", 5), 0));
		at = (at + field(header, 6) + 3) & ~3ul;
		if (i == 3) {
			cr_assert(eq(ulong, field(header, 9), 5));
			cr_assert(eq(ulong, field(header, 10), 1));
		}
	}
	cr_assert(eq(sz, at, len));
	free(data);
}

Test(cpio, a_file_beyond_the_format_is_refused)
{
	struct kt_cpio cpio = KT_CPIO_INIT(stderr);

	cr_assert(eq(int, kt_cpio_file(&cpio, "/large", 0644, "", UINT64_C(1) << 32), -EFBIG));
}

/* ---- closure ----------------------------------------------------------------------------------
 */

static const struct kt_closure_file *closure_find(const struct kt_closure *closure,
						  const char *name)
{
	for (size_t i = 0; i < closure->n; i++) {
		if (!strcmp(closure->files[i].name, name))
			return &closure->files[i];
	}
	return NULL;
}

Test(closure, of_this_program)
{
	struct kt_closure closure = KT_CLOSURE_NULL;
	struct kt_err err = KT_ERR_NULL;
	const struct kt_closure_file *libc;

	cr_assert(eq(int, kt_closure_add(&closure, "/proc/self/exe", "", &err), 0), "%s", err.text);
	libc = closure_find(&closure, "libc.so.6");
	cr_assert(ne(ptr, (void *)libc, NULL));
	cr_assert(eq(str, libc->guest, libc->host), "libc has to stay where the loader looks");
	cr_assert(ne(ptr, (void *)closure_find(&closure, "/lib64/ld-linux-x86-64.so.2"), NULL));
	for (size_t i = 0; i < closure.n; i++) {
		for (size_t k = 0; k < i; k++)
			cr_assert(ne(str, closure.files[i].guest, closure.files[k].guest));
	}
	kt_closure_deinit(&closure);
}

/* Builds a library and a program that needs it with the compiler, in a new directory. */
static char *build_program(const char *link_options, const char *library_dir)
{
	static char dir[64];
	KT_FREE char *command = NULL;

	(void)strcpy(dir, "/tmp/ktest-closure-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	command = kt_format("cd %s && mkdir -p %s && echo 'int f(void){return 0;}' > f.c && "
			    "cc -shared -fPIC -Wl,-soname,libf.so.9 -o %s/libf.so.9 f.c && "
			    "echo 'int f(void); int main(void){return f();}' > main.c && "
			    "cc -o main main.c %s/libf.so.9 %s",
			    dir, library_dir, library_dir, library_dir, link_options);
	cr_assert(zero(int, system(command)));
	return dir;
}

static int closure_of(const char *dir, const char *guest_dir, struct kt_closure *closure,
		      struct kt_err *err)
{
	KT_FREE char *program = kt_format("%s/main", dir);

	*closure = KT_CLOSURE_NULL;
	return kt_closure_add(closure, program, guest_dir, err);
}

Test(closure, origin_is_where_the_program_is_in_the_guest)
{
	static const char *const options[] = { "-Wl,--enable-new-dtags,-rpath,'$ORIGIN/lib'",
					       "-Wl,--disable-new-dtags,-rpath,'${ORIGIN}/lib'" };

	for (size_t i = 0; i < KT_ARRAY_LEN(options); i++) {
		char *dir = build_program(options[i], "lib");
		KT_FREE char *host = kt_format("%s/lib/libf.so.9", dir);
		const struct kt_closure_file *file;
		struct kt_err err = KT_ERR_NULL;
		struct kt_closure closure;

		cr_assert(eq(int, closure_of(dir, "/opt/x", &closure, &err), 0), "%s", err.text);
		file = closure_find(&closure, "libf.so.9");
		cr_assert(ne(ptr, (void *)file, NULL));
		cr_assert(eq(str, file->host, host));
		cr_assert(eq(str, file->guest, "/opt/x/lib/libf.so.9"));
		kt_closure_deinit(&closure);
		(void)kt_remove_all(dir);
	}
}

Test(closure, a_missing_library_is_named_with_who_needs_it)
{
	char *dir = build_program("", "elsewhere");
	struct kt_err err = KT_ERR_NULL;
	struct kt_closure closure;

	cr_assert(eq(int, closure_of(dir, "", &closure, &err), -ENOENT));
	cr_assert(strstr(err.text, "libf.so.9") != NULL && strstr(err.text, "/main") != NULL, "%s",
		  err.text);
	kt_closure_deinit(&closure);
	(void)kt_remove_all(dir);
}

Test(closure, ld_library_path_goes_beside_libc)
{
	char *dir = build_program("", "lib");
	KT_FREE char *path = kt_format("%s/lib", dir);
	struct kt_err err = KT_ERR_NULL;
	const struct kt_closure_file *file, *libc;
	struct kt_closure closure;

	(void)setenv("LD_LIBRARY_PATH", path, 1);
	cr_assert(eq(int, closure_of(dir, "", &closure, &err), 0), "%s", err.text);
	file = closure_find(&closure, "libf.so.9");
	libc = closure_find(&closure, "libc.so.6");
	cr_assert(eq(int,
		     strncmp(file->guest, libc->guest,
			     (size_t)(strrchr(libc->guest, '/') - libc->guest) + 1),
		     0));
	kt_closure_deinit(&closure);
	(void)kt_remove_all(dir);
}

Test(closure, what_is_no_program_is_refused)
{
	struct kt_closure closure = KT_CLOSURE_NULL;
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_closure_add(&closure, "/etc/passwd", "", &err), -ENOEXEC));
	cr_assert(eq(int, kt_closure_add(&closure, "/nonexistent", "", &err), -ENOENT));
	cr_assert(zero(sz, closure.n));
}

/* ---- ld.so.cache ------------------------------------------------------------------------------
 */

Test(ldcache, the_hosts_own)
{
	KT_FREE char *data = NULL;
	const char *path;
	size_t len;

	cr_assert(eq(int, kt_file_read("/etc/ld.so.cache", 64 << 20, &data, &len), 0));
	path = kt_ldcache_find(data, len, "libc.so.6");
	cr_assert(ne(ptr, (void *)path, NULL));
	cr_assert(zero(int, access(path, R_OK)));
	cr_assert(zero(ptr, (void *)kt_ldcache_find(data, len, "libnothing-is-called-so.so.1")));
}

/*
 * Cut off or with a flipped bit at any place, it is read within its bounds; the sanitizers check
 * that.
 */
Test(ldcache, damaged_files_are_harmless)
{
	KT_FREE char *data = NULL;
	size_t len;

	cr_assert(eq(int, kt_file_read("/etc/ld.so.cache", 64 << 20, &data, &len), 0));
	for (size_t cut = 0; cut < len; cut += 1 + len / 500) {
		KT_FREE char *part = malloc(cut ?: 1);

		memcpy(part, data, cut);
		(void)kt_ldcache_find(part, cut, "libc.so.6");
	}
	for (size_t i = 0; i < 400 && i < len; i++) {
		char saved = data[i];

		data[i] = (char)~saved;
		(void)kt_ldcache_find(data, len, "libc.so.6");
		data[i] = saved;
	}
}

/* ---- image ------------------------------------------------------------------------------------
 */

static int initramfs_of(const struct kt_image_options *options, struct kt_err *err)
{
	KT_CLEANUP(kt_image_freep) struct kt_image *image = NULL;
	int fd, r = kt_image_open(options, &image, err);

	if (r == 0)
		r = kt_image_initramfs(image, &fd, err);
	return r < 0 ? r : fd;
}

Test(image, the_same_contents_are_the_same_file)
{
	struct kt_image_options options = { .program = "/proc/self/exe" };
	struct kt_image_extra extra = { .host = "/etc/passwd", .guest = "/opt/words" };
	struct stat first, second, other;
	struct kt_err err = KT_ERR_NULL;
	char dir[] = "/tmp/ktest-cache-XXXXXX";
	int a, b, c;

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)setenv("XDG_CACHE_HOME", dir, 1);
	a = initramfs_of(&options, &err);
	b = initramfs_of(&options, &err);
	options.extras = &extra;
	options.n_extras = 1;
	c = initramfs_of(&options, &err);
	cr_assert(a >= 0 && b >= 0 && c >= 0, "%s", err.text);
	(void)fstat(a, &first);
	(void)fstat(b, &second);
	(void)fstat(c, &other);
	cr_assert(eq(ulong, first.st_ino, second.st_ino));
	cr_assert(ne(ulong, first.st_ino, other.st_ino));
	cr_assert(gt(long, other.st_size, first.st_size));
	(void)kt_remove_all(dir);
}

Test(image, a_cache_that_cannot_be_written_is_not_needed)
{
	struct kt_image_options options = { .program = "/proc/self/exe" };
	struct kt_err err = KT_ERR_NULL;
	struct stat st;
	int fd;

	(void)setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
	fd = initramfs_of(&options, &err);
	cr_assert(ge(int, fd, 0), "%s", err.text);
	cr_assert(zero(int, fstat(fd, &st)));
	cr_assert(gt(long, st.st_size, 1 << 16));
	(void)close(fd);
}

Test(image, a_changed_file_differs_and_an_unchanged_one_does_not)
{
	char path[] = "/tmp/ktest-extra-XXXXXX";
	int fd = mkstemp(path);
	struct kt_image_extra extra = { .host = path, .guest = "/opt/words" };
	struct kt_image_options options = {
		.program = "/proc/self/exe",
		.extras = &extra,
		.n_extras = 1,
	};
	struct kt_image *before = NULL, *same = NULL, *after = NULL;
	json_t *manifest, *nothing = json_object();

	cr_assert(zero(int, kt_write_full(fd, "one", 3)));
	cr_assert(zero(int, kt_image_open(&options, &before, NULL)));
	cr_assert(zero(int, kt_image_open(&options, &same, NULL)));
	manifest = kt_image_manifest(before, KT_PACKAGES_NONE, NULL);
	cr_assert(not(kt_image_differs(same, KT_PACKAGES_NONE, manifest)));
	cr_assert(kt_image_differs(before, KT_PACKAGES_NONE, nothing));
	cr_assert(zero(int, kt_write_full(fd, "two", 3)));
	cr_assert(zero(int, kt_image_open(&options, &after, NULL)));
	cr_assert(kt_image_differs(after, KT_PACKAGES_NONE, manifest));
	before = kt_image_free(before);
	same = kt_image_free(same);
	after = kt_image_free(after);
	json_decref(manifest);
	json_decref(nothing);
	(void)unlink(path);
}

/* A build overwrites its files in place: the image keeps what it has hashed. */
Test(image, a_file_overwritten_later_goes_out_as_it_was_hashed)
{
	char path[] = "/tmp/ktest-extra-XXXXXX", dir[] = "/tmp/ktest-cache-XXXXXX";
	int fd = mkstemp(path), out = -1;
	struct kt_image_extra extra = { .host = path, .guest = "/opt/words" };
	struct kt_image_options options = {
		.program = "/proc/self/exe",
		.extras = &extra,
		.n_extras = 1,
	};
	struct kt_image *image = NULL;
	KT_FREE char *archive = NULL, *name = NULL;
	size_t len;

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)setenv("XDG_CACHE_HOME", dir, 1);
	cr_assert(zero(int, kt_write_full(fd, "the first contents", 18)));
	cr_assert(zero(int, kt_image_open(&options, &image, NULL)));
	cr_assert(eq(long, pwrite(fd, "others altogether!", 18, 0), 18));
	cr_assert(zero(int, kt_image_initramfs(image, &out, NULL)));
	name = kt_format("/proc/self/fd/%d", out);
	cr_assert(zero(int, kt_file_read(name, SIZE_MAX, &archive, &len)));
	cr_assert(memmem(archive, len, "the first contents", 18) != NULL);
	cr_assert(zero(int, ftruncate(fd, 0)));
	image = kt_image_free(image);
	(void)close(fd);
	(void)close(out);
	(void)unlink(path);
	(void)kt_remove_all(dir);
}

/* ---- kernel images ----------------------------------------------------------------------------
 */

static char *write_temp(const void *data, size_t len)
{
	static char path[64];
	int fd;

	(void)strcpy(path, "/tmp/ktest-kernel-XXXXXX");
	fd = mkstemp(path);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, kt_write_full(fd, data, len), 0));
	(void)close(fd);
	return path;
}

Test(kernel_image, what_is_no_kernel_is_refused)
{
	enum kt_kernel_format format;
	struct kt_err err = KT_ERR_NULL;
	char *path = write_temp("hello", 5);

	cr_assert(eq(int, kt_kernel_detect(path, &format, &err), -ENOEXEC));
	cr_assert(strstr(err.text, path) != NULL);
	(void)unlink(path);
	cr_assert(eq(int, kt_kernel_detect("/nonexistent", &format, &err), -ENOENT));
	cr_assert(eq(int, kt_kernel_detect("/tmp", &format, &err), -ENOEXEC));
}

/* A bzImage header whose payload has @payload_len bytes from @offset, and begins with @magic. */
static char *fake_bzimage(uint32_t offset, uint32_t payload_len, const char *magic)
{
	static unsigned char image[8192];

	memset(image, 0, sizeof(image));
	image[0x1f1] = 1;
	memcpy(image + 0x202, "HdrS", 4);
	memcpy(image + 0x248, &offset, 4);
	memcpy(image + 0x24c, &payload_len, 4);
	memcpy(image + 1024 + 16, magic, 6);
	return write_temp(image, sizeof(image));
}

Test(kernel_image, a_hostile_bzimage_is_refused)
{
	static const struct {
		uint32_t offset, len;
		const char *magic;
		const char *text;
	} cases[] = {
		{ 16, 0xffffffff, "\x28\xb5\x2f\xfd\0\0", "outside the file" },
		{ 0xffffffff, 4096, "\x28\xb5\x2f\xfd\0\0", "outside the file" },
		{ 16, 4, "\x28\xb5\x2f\xfd\0\0", "outside the file" },
		{ 16, 4096, "\x28\xb5\x2f\xfd\0\0", "payload (zstd) is damaged" },
		{ 16, 4096, "\x1f\x8b\0\0\0\0", "payload (gzip) is damaged" },
		{ 16, 4096, "\xfd\x37zXZ", "xz" },
		{ 16, 4096, "\x02\x21\x4c\x18\xff\xff", "lz4" },
		{ 16, 4096, "\x89LZO\0", "an unknown method" },
		{ 16, 4096, "BZh91", "bzip2" },
		{ 16, 4096, "zip???", "an unknown method" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char *path = fake_bzimage(cases[i].offset, cases[i].len, cases[i].magic);
		KT_FREE char *out = kt_format("%s.out", path);
		struct kt_err err = KT_ERR_NULL;

		cr_assert(lt(int, kt_kernel_extract(path, out, &err), 0));
		cr_assert(strstr(err.text, cases[i].text) != NULL, "case %zu: %s", i, err.text);
		(void)unlink(path);
		(void)unlink(out);
	}
}

/* Compresses with the tools that the kernel's build uses (scripts/Makefile.lib). */
static bool compress(const char *command, const char *from, char *path)
{
	KT_FREE char *line = kt_format("%s < '%s' > '%s'", command, from, path);

	return WEXITSTATUS(system(line)) == 0;
}

/* Puts @payload, and behind it the size that the build appends, into a bzImage. */
static char *bzimage_of(const char *payload, uint32_t size)
{
	KT_FREE char *data = NULL, *image = NULL;
	uint32_t offset = 16, total;
	size_t len;

	cr_assert(zero(int, kt_file_read(payload, SIZE_MAX, &data, &len)));
	image = calloc(1, len + 2048);
	total = (uint32_t)len + 4;
	image[0x1f1] = 1;
	memcpy(image + 0x202, "HdrS", 4);
	memcpy(image + 0x248, &offset, 4);
	memcpy(image + 0x24c, &total, 4);
	memcpy(image + 1024 + offset, data, len);
	memcpy(image + 1024 + offset + len, &size, 4);
	return write_temp(image, len + 2048);
}

/* What compresses @from to @packed is read, and refused when it is cut off. */
static void check_compressed(const char *command, const char *packed, const char *text,
			     uint32_t len)
{
	KT_FREE char *back = NULL, *out = kt_format("%s.out", packed);
	struct kt_err err = KT_ERR_NULL;
	char *image = bzimage_of(packed, len);
	size_t n;

	cr_expect(zero(int, kt_kernel_extract(image, out, &err)), "%s: %s", command, err.text);
	cr_expect(zero(int, kt_file_read(out, SIZE_MAX, &back, &n)));
	cr_expect(back && n == len && !memcmp(back, text, len), "%s", command);
	cr_expect(zero(int, truncate(packed, 3000)));
	(void)unlink(image);
	image = bzimage_of(packed, len);
	cr_expect(lt(int, kt_kernel_extract(image, out, &err), 0), "%s", command);
	(void)unlink(image);
	(void)unlink(out);
}

/* 9 MiB are more than one block of lz4. */
Test(kernel_image, every_compression_of_the_kernels_build_is_read)
{
	static const char *const commands[] = {
		"zstd -q -22 --ultra",
		"gzip -n -9",
		"bzip2 -9",
		"xz --check=crc32 --x86 --lzma2=",
		"lzma -9",
		"lz4 -l -9 -",
		"lzop -9",
	};
	const uint32_t len = 9u << 20;
	KT_FREE char *text = malloc(len);
	const char *missing = NULL;
	char from[64], packed[72];

	for (uint32_t i = 0; i < len; i++)
		text[i] = (char)(i % 251 * (i >> 12));
	(void)strcpy(from, write_temp(text, len));
	(void)sprintf(packed, "%s.packed", from);
	for (size_t i = 0; i < KT_ARRAY_LEN(commands); i++) {
		if (compress(commands[i], from, packed))
			check_compressed(commands[i], packed, text, len);
		else
			missing = missing ?: commands[i];
	}
	(void)unlink(from);
	(void)unlink(packed);
	if (missing)
		cr_skip_test("the others are read, but this cannot compress: %s", missing);
}

Test(kernel_image, an_ordinary_program_is_no_kernel)
{
	struct kt_kernel_facts facts;
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_kernel_facts_read("/proc/self/exe", NULL, &facts, &err), -ENOEXEC));
	cr_assert(strstr(err.text, "not a Linux kernel") != NULL, "%s", err.text);
}
