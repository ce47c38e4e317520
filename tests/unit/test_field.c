/* SPDX-License-Identifier: MIT */
/* Fields found by the BTF of a BPF object, whose data sections are values of maps. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schedulers/enlarge.h"
#include "schedulers/field.h"
#include "schedulers/loader.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(field);
UNIT_SUITE(loader);

#ifdef KT_TEST_OBJECTS

static uint8_t bytes[8192];

/* The BTF of the scheduler "fault", and one of its structs that has all kinds of fields. */
static struct btf *load(uint32_t *ret_type_id)
{
	struct btf *btf = btf__parse(KT_TEST_OBJECTS "/fault.bpf.o", NULL);
	int id = btf__find_by_name_kind(btf, "scratch_record", BTF_KIND_STRUCT);

	cr_assert(gt(int, id, 0));
	*ret_type_id = (uint32_t)id;
	memset(bytes, 0, sizeof(bytes));
	return btf;
}

static int find(const struct btf *btf, uint32_t type_id, const char *path, struct kt_field *field,
		struct kt_err *err)
{
	*err = KT_ERR_NULL;
	return kt_field_find(btf, type_id, path, field, err);
}

static uint64_t set_and_get(const struct btf *btf, uint32_t type_id, const char *path,
			    uint64_t number)
{
	struct kt_field field;
	uint64_t got = 0;
	struct kt_err err;

	cr_assert(zero(int, find(btf, type_id, path, &field, &err)), "%s", err.text);
	cr_assert(zero(int, kt_field_set(&field, bytes, sizeof(bytes), number, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kt_field_get(&field, bytes, sizeof(bytes), &got, &err)));
	return got;
}

Test(field, numbers_of_every_width)
{
	uint32_t id;
	struct btf *btf = load(&id);

	cr_assert(eq(u64, set_and_get(btf, id, "byte", 0xfe), 0xfe));
	cr_assert(eq(u64, set_and_get(btf, id, "half", 0xfedc), 0xfedc));
	cr_assert(eq(u64, set_and_get(btf, id, "word", 0xfedcba98), 0xfedcba98));
	cr_assert(eq(u64, set_and_get(btf, id, "quad", UINT64_MAX), UINT64_MAX));
	cr_assert(eq(u64, set_and_get(btf, id, "negative", (uint64_t)-7), (uint64_t)-7));
	cr_assert(eq(u64, set_and_get(btf, id, "low", 7), 7));
	cr_assert(eq(u64, set_and_get(btf, id, "high", 0), 0));
	cr_assert(eq(u64, set_and_get(btf, id, "low", 7), 7)); /* the neighbour keeps it */
	cr_assert(eq(u64, set_and_get(btf, id, "nested.inner[2]", 9), 9));
	btf__free(btf);
}

Test(field, what_does_not_fit_is_refused)
{
	static const struct {
		const char *path;
		uint64_t number;
	} cases[] = {
		{ "byte", 256 },
		{ "low", 8 },
		{ "high", 32 },
		{ "negative", UINT64_C(0x80000000) },
		{ "negative", (uint64_t)INT64_MIN },
		{ "half", (uint64_t)-1 },
	};
	uint32_t id;
	struct btf *btf = load(&id);
	struct kt_field field;
	struct kt_err err;

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		cr_assert(zero(int, find(btf, id, cases[i].path, &field, &err)));
		cr_assert(eq(int, kt_field_set(&field, bytes, sizeof(bytes), cases[i].number, &err),
			     -ERANGE),
			  "%s", cases[i].path);
	}
	/* A value that is shorter than its type. */
	cr_assert(zero(int, find(btf, id, "quad", &field, &err)));
	cr_assert(eq(int, kt_field_set(&field, bytes, 8, 1, &err), -ERANGE));
	btf__free(btf);
}

Test(field, paths_that_lead_nowhere)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "none", -ENOENT },
		{ "nested.none", -ENOENT },
		{ "byte.none", -ENOENT },
		{ "nested.inner[4]", -ERANGE },
		{ "byte[0]", -EINVAL },
		{ "nested.inner[", -EINVAL },
		{ "nested.inner[-1]", -EINVAL },
		{ "nested.inner[1", -EINVAL },
		{ "nested..inner", -EINVAL },
		{ "nested.inner[1]x", -EINVAL },
		{ ".byte", -EINVAL },
		{ "byte.", -EINVAL },
		{ "nested.inner[99999999999999999999]", -EINVAL },
	};
	uint32_t id;
	struct btf *btf = load(&id);
	struct kt_field field;
	struct kt_err err;

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(int, find(btf, id, cases[i].path, &field, &err), cases[i].code),
			  "%s: %s", cases[i].path, err.text);
	cr_assert(zero(int, find(btf, id, "nested", &field, &err)));
	cr_assert(eq(int, kt_field_set(&field, bytes, sizeof(bytes), 1, &err), -EINVAL));
	btf__free(btf);
}

static int set_text(const struct btf *btf, uint32_t id, const char *path, const char *text)
{
	struct kt_field field;
	struct kt_err err;

	cr_assert(zero(int, find(btf, id, path, &field, &err)));
	return kt_field_set_text(&field, bytes, sizeof(bytes), text, &err);
}

Test(field, texts)
{
	uint32_t id;
	struct btf *btf = load(&id);
	struct kt_field field;
	struct kt_err err;

	cr_assert(zero(int, set_text(btf, id, "text", "fifteen letters")));
	cr_assert(zero(int, find(btf, id, "text", &field, &err)));
	cr_assert(eq(str, (char *)bytes + field.bit_offset / 8, "fifteen letters"));
	cr_assert(eq(int, set_text(btf, id, "text", "sixteen letters!"), -ERANGE));
	cr_assert(zero(int, set_text(btf, id, "word", "0x10")));
	cr_assert(zero(int, set_text(btf, id, "byte", "true")));
	cr_assert(zero(int, set_text(btf, id, "negative", "-5")));
	cr_assert(eq(int, set_text(btf, id, "word", "-5"), -ERANGE));
	/* As 64 bits, -5 would fit. */
	cr_assert(eq(int, set_text(btf, id, "quad", "-5"), -ERANGE));
	cr_assert(zero(int, set_text(btf, id, "quad", "18446744073709551611")));
	cr_assert(eq(int, set_text(btf, id, "word", ""), -EINVAL));
	cr_assert(eq(int, set_text(btf, id, "word", "5x"), -EINVAL));
	cr_assert(eq(int, set_text(btf, id, "word", " 5"), -EINVAL));
	cr_assert(eq(int, set_text(btf, id, "negative", "18446744073709551615"), -ERANGE));
	btf__free(btf);
}

Test(loader, objects_are_checked_without_a_kernel)
{
	static const char *const good[] = { "slice_us=5", "scratch_record.half=3", NULL };
	static const char *const unknown[] = { "slices_us=5", NULL };
	static const char *const no_value[] = { "slice_us", NULL };
	struct kt_loader loader = { .object = KT_TEST_OBJECTS "/fault.bpf.o", .variables = good };
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_loader_check(&loader, &err)), "%s", err.text);
	loader.variables = unknown;
	cr_assert(lt(int, kt_loader_check(&loader, &err), 0));
	cr_assert(ne(ptr, strstr(err.text, "it has no variable 'slices_us', but slice_us"), NULL));
	loader.variables = no_value;
	cr_assert(lt(int, kt_loader_check(&loader, &err), 0));
	loader.object = "/etc/passwd";
	cr_assert(lt(int, kt_loader_check(&loader, &err), 0));
	loader.object = "/no/such/file";
	cr_assert(lt(int, kt_loader_check(&loader, &err), 0));
}

/* Members of the scheduler's own struct are set as variables are. */
Test(loader, members_of_the_ops_are_set_by_name)
{
	static const char *const good[] = { "ops.sub_cgroup_id=4711", "ops.timeout_ms=5", NULL };
	static const char *const unknown[] = { "ops.sub_cgroup=4711", NULL };
	static const char *const too_large[] = { "ops.timeout_ms=4294967296", NULL };
	struct kt_loader loader = { .object = KT_TEST_OBJECTS "/fault.bpf.o", .variables = good };
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_loader_check(&loader, &err)), "%s", err.text);
	loader.variables = unknown;
	cr_assert(eq(int, kt_loader_check(&loader, &err), -ENOENT));
	cr_assert(ne(ptr, strstr(err.text, "sub_cgroup"), NULL), "%s", err.text);
	loader.variables = too_large;
	cr_assert(eq(int, kt_loader_check(&loader, &err), -ERANGE));
}

/* The map has the new length for libbpf, with the names of the object's BTF as they were. */
Test(loader, an_object_gets_a_longer_section)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "fault");
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *bytes = NULL;
	struct bpf_object *object;
	struct bpf_map *map;
	size_t len;

	cr_assert(zero(int, kt_object_enlarge(KT_TEST_OBJECTS "/fault.bpf.o", ".data.uei_dump",
					      1 << 20, &bytes, &len, &err)),
		  "%s", err.text);
	object = bpf_object__open_mem(bytes, len, &opts);
	cr_assert(ne(ptr, object, NULL));
	map = bpf_object__find_map_by_name(object, ".data.uei_dump");
	cr_assert(ne(ptr, map, NULL));
	cr_assert(eq(u32, bpf_map__value_size(map), 1 << 20));
	cr_assert(ne(ptr, bpf_object__find_map_by_name(object, "fault_ops"), NULL));
	bpf_object__close(object);
}

Test(loader, what_cannot_be_made_longer_is_refused)
{
	char path[] = "/tmp/ktest-unit-XXXXXX";
	KT_CLOSE int fd = mkstemp(path);
	KT_FREE char *object = NULL;
	char *bytes = NULL;
	size_t len;

	cr_assert(
		lt(int, kt_object_enlarge("/etc/passwd", ".data", 1 << 20, &bytes, &len, NULL), 0));
	cr_assert(lt(int,
		     kt_object_enlarge(KT_TEST_OBJECTS "/fault.bpf.o", ".no.such", 1 << 20, &bytes,
				       &len, NULL),
		     0));
	cr_assert(
		lt(int,
		   kt_object_enlarge(KT_TEST_OBJECTS "/fault.bpf.o", ".BTF", 1, &bytes, &len, NULL),
		   0));
	/* Cut off anywhere, it is refused or enlarged, but never read beyond its end. */
	cr_assert(zero(int, kt_file_read(KT_TEST_OBJECTS "/fault.bpf.o", 1 << 24, &object, &len)));
	for (size_t n = len; n > 64; n -= 61) {
		size_t got;

		cr_assert(zero(int, ftruncate(fd, 0)));
		cr_assert(eq(i64, pwrite(fd, object, n, 0), (int64_t)n));
		bytes = NULL;
		(void)kt_object_enlarge(path, ".data.uei_dump", 4096, &bytes, &got, NULL);
		free(bytes);
	}
	(void)unlink(path);
}

#endif
