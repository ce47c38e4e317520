/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes values of BPF maps that belong to another program, usually the scheduler under
 * test.
 *
 * An access has three steps: open the map by name, find the field in the map's value by BTF, then
 * read or write. A mmapable map is accessed in place, other maps through a copy of the value.
 *
 * The owner of the map runs meanwhile. A number in a mapped value is therefore written with one
 * store if the CPU has one of that width and alignment. Bytes and bit fields are not atomic. In a
 * map that is not mapped the kernel replaces the whole value: a concurrent change of another field
 * may be lost.
 */
#include "guest/scheduler/bpf_map.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "schedulers/field.h"
#include "util/cleanup.h"

#define NAMES_MAX 300u /* characters of the list of existing maps in an error */

/* ---- which map ------------------------------------------------------------------------------- */

static void add_name(char names[NAMES_MAX], const char *name)
{
	size_t len = strlen(names);

	/* Each name once. The kernel's own maps have no name. */
	if (*name && !strstr(names, name) && len + strlen(name) + 3 < NAMES_MAX)
		(void)snprintf(names + len, NAMES_MAX - len, "%s%s", len ? ", " : "", name);
}

static int get_info(int fd, struct bpf_map_info *ret_info, struct kt_err *reterr)
{
	uint32_t len = sizeof(*ret_info);

	*ret_info = (struct bpf_map_info){ 0 };
	if (bpf_map_get_info_by_fd(fd, ret_info, &len) < 0)
		return kt_err_set(reterr, -errno, "asking about a BPF map: %m");
	return 0;
}

/*
 * Opens map @id if it is called @name: returns 1, and *@ret_fd, which is closed first, is the map.
 * Returns 0 for another map and for one that has vanished since its ID was read. Collects the name
 * in @names.
 */
static int open_if_called(uint32_t id, const char *name, int *ret_fd, char names[NAMES_MAX],
			  struct kt_err *reterr)
{
	KT_CLOSE int fd = bpf_map_get_fd_by_id(id);
	struct bpf_map_info info;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : kt_err_set(reterr, -errno, "BPF map %u: %m", id);
	r = get_info(fd, &info, reterr);
	if (r < 0)
		return r;
	add_name(names, info.name);
	/* The kernel cuts off names at BPF_OBJ_NAME_LEN - 1 characters. */
	if (strncmp(info.name, name, BPF_OBJ_NAME_LEN - 1))
		return 0;
	(void)kt_close(*ret_fd);
	*ret_fd = kt_steal_fd(fd);
	return 1;
}

int kt_bpf_map_open(const char *name, bool newest, int *ret_fd, struct kt_err *reterr)
{
	char names[NAMES_MAX] = "";
	uint32_t id = 0;
	int found = -1, r = 0;

	/*
	 * IDs ascend in the order of creation: the first match is the oldest map, the last the
	 * newest.
	 */
	while (r >= 0 && !(r > 0 && !newest)) {
		if (bpf_map_get_next_id(id, &id) < 0) {
			r = errno == ENOENT
				    ? 0
				    : kt_err_set(reterr, -errno, "looking through BPF maps: %m");
			break;
		}
		r = open_if_called(id, name, &found, names, reterr);
	}
	if (r < 0) {
		(void)kt_close(found);
		return r;
	}
	if (found < 0)
		return kt_err_set(reterr, -ENOENT, "there is no BPF map '%s'%s%s", name,
				  *names ? ", but " : "", names);
	*ret_fd = found;
	return 0;
}

/* ---- a value --------------------------------------------------------------------------------- */

/* One value of a map, and the position of the field in it. */
struct value {
	int fd; /* borrowed */
	struct bpf_map_info info;
	struct btf *btf; /* owned; NULL: the map has none */
	struct kt_field field;
	uint8_t key[64];
	uint8_t *data; /* first byte of the value: in @mapping or in @copy */
	void *mapping; /* owned; NULL: the value is a copy */
	size_t mapping_len;
	uint8_t *copy; /* owned; for a per-CPU map the values of all CPUs */
	size_t copy_len;
};

static void value_deinit(struct value *value)
{
	btf__free(value->btf);
	free(value->copy);
	if (value->mapping)
		(void)munmap(value->mapping, value->mapping_len);
}

static bool is_per_cpu(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_PERCPU_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_HASH ||
	       info->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_array(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* Rejects maps other than arrays and hashes, and an index, CPU or key that the map cannot have. */
static int check_type(const struct value *value, const struct kt_bpf_ref *ref,
		      struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;
	int cpus = libbpf_num_possible_cpus();

	if (!is_array(info) && !is_per_cpu(info) && info->type != BPF_MAP_TYPE_HASH &&
	    info->type != BPF_MAP_TYPE_LRU_HASH)
		return kt_err_set(reterr, -ENOTSUP,
				  "it is a map of type %s, neither an array nor a hash",
				  libbpf_bpf_map_type_str(info->type) ?: "?");
	if (is_array(info) && ref->key >= info->max_entries)
		return kt_err_set(reterr, -ERANGE, "index %" PRIu64 " of an array of %u", ref->key,
				  info->max_entries);
	if (is_per_cpu(info) && (cpus < 0 || ref->cpu >= (unsigned int)cpus))
		return kt_err_set(reterr, -ERANGE, "CPU %u of %d, counted from 0", ref->cpu, cpus);
	if (info->key_size > sizeof(value->key))
		return kt_err_set(reterr, -ENOTSUP, "its keys have %u bytes", info->key_size);
	return 0;
}

/*
 * Finds the field by the BTF of the map. Without BTF only the whole value can be accessed: as a
 * number if it has at most 8 bytes, else as bytes.
 */
static int find_field(struct value *value, const struct kt_bpf_ref *ref, struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;

	if (info->btf_id && info->btf_value_type_id) {
		value->btf = btf__load_from_kernel_by_id(info->btf_id);
		if (!value->btf)
			return kt_err_set(reterr, -errno, "its BTF: %m");
		return kt_field_find(value->btf, info->btf_value_type_id, ref->field, &value->field,
				     reterr);
	}
	if (ref->field && *ref->field)
		return kt_err_set(reterr, -EINVAL, "it has no BTF to find '%s' by", ref->field);
	value->field = (struct kt_field){
		.bits = (uint64_t)info->value_size * 8,
		.is_scalar = info->value_size <= 8,
	};
	return 0;
}

/* The kernel pads the values of arrays and of per-CPU maps to 8 bytes (kernel/bpf/arraymap.c). */
static size_t round_up(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/*
 * Maps an array with BPF_F_MMAPABLE, as .bss and .data are: the BPF program uses the same pages.
 * Returns 1 when they can only be read, as .rodata is frozen when its program is loaded.
 */
static int map_value(struct value *value, uint64_t index, struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;
	size_t stride = round_up(info->value_size), page = (size_t)sysconf(_SC_PAGESIZE);
	bool frozen;

	value->mapping_len = (stride * info->max_entries + page - 1) / page * page;
	value->mapping =
		mmap(NULL, value->mapping_len, PROT_READ | PROT_WRITE, MAP_SHARED, value->fd, 0);
	frozen = value->mapping == MAP_FAILED && errno == EPERM;
	if (frozen)
		value->mapping =
			mmap(NULL, value->mapping_len, PROT_READ, MAP_SHARED, value->fd, 0);
	if (value->mapping == MAP_FAILED) {
		value->mapping = NULL;
		return kt_err_set(reterr, -errno, "mapping it: %m");
	}
	value->data = (uint8_t *)value->mapping + index * stride;
	return frozen;
}

/* -ENOENT when a hash has no such key; then the copy exists and is all zeroes. */
static int copy_value(struct value *value, const struct kt_bpf_ref *ref, struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;
	size_t stride = round_up(info->value_size);

	value->copy_len = is_per_cpu(info) ? stride * (size_t)libbpf_num_possible_cpus() : stride;
	value->copy = calloc(1, value->copy_len);
	if (!value->copy)
		return kt_err_oom(reterr);
	value->data = value->copy + (is_per_cpu(info) ? ref->cpu * stride : 0);
	if (bpf_map_lookup_elem(value->fd, value->key, value->copy) == 0)
		return 0;
	return kt_err_set(reterr, -errno, "its key %" PRIu64 ": %m", ref->key);
}

/*
 * Prepares a value for reading. Returns 1 when the map is read-only, -ENOENT when a hash has no
 * such key. In all cases the caller calls value_deinit().
 */
static int value_init(struct value *value, int fd, const struct kt_bpf_ref *ref,
		      struct kt_err *reterr)
{
	int r;

	*value = (struct value){ .fd = fd };
	/* Little endian: the first bytes of the number are the key also if the key is shorter. */
	memcpy(value->key, &ref->key, sizeof(ref->key));
	r = get_info(fd, &value->info, reterr) ?: check_type(value, ref, reterr) ?:
	    find_field(value, ref, reterr);
	if (r < 0)
		return r;
	return value->info.map_flags & BPF_F_MMAPABLE ? map_value(value, ref->key, reterr)
						      : copy_value(value, ref, reterr);
}

/* A key that the hash does not have is created by the write, with zeroes around the field. */
static int prepare_to_write(struct value *value, int fd, const struct kt_bpf_ref *ref,
			    struct kt_err *reterr)
{
	int r = value_init(value, fd, ref, reterr);

	if (r == 1)
		return kt_err_set(reterr, -EPERM, "it is read-only since its program was loaded");
	return r == -ENOENT && value->copy ? 0 : r;
}

/* A mapped value has been changed in place already. */
static int write_back(const struct value *value, struct kt_err *reterr)
{
	if (value->mapping || bpf_map_update_elem(value->fd, value->key, value->copy, BPF_ANY) == 0)
		return 0;
	return kt_err_set(reterr, -errno, "writing it: %m");
}

/* Names the map in the error, if @r is one; else returns 0, also for the 1 of a read-only map. */
static int about(const struct kt_bpf_ref *ref, int r, struct kt_err *reterr)
{
	return r < 0 ? kt_err_prefix(reterr, r, "BPF map '%s'", ref->map) : 0;
}

/* ---- numbers and bytes ----------------------------------------------------------------------- */

int kt_bpf_map_read_number(int fd, const struct kt_bpf_ref *ref, uint64_t *ret_value,
			   struct kt_err *reterr)
{
	KT_CLEANUP(value_deinit) struct value value = { .fd = -1 };
	int r = value_init(&value, fd, ref, reterr);

	if (r >= 0)
		r = kt_field_get(&value.field, value.data, value.info.value_size, ret_value,
				 reterr);
	return about(ref, r, reterr);
}

/*
 * Writes the number with one store instruction, so that the BPF program sees either the old number
 * or the new one. Returns false when there is no such store for the alignment or the width.
 */
static bool store(void *at, uint64_t bits, uint64_t number)
{
	if ((uintptr_t)at % (bits / 8 ?: 1))
		return false;
	switch (bits) {
	case 8:
		*(volatile uint8_t *)at = (uint8_t)number;
		return true;
	case 16:
		*(volatile uint16_t *)at = (uint16_t)number;
		return true;
	case 32:
		*(volatile uint32_t *)at = (uint32_t)number;
		return true;
	case 64:
		*(volatile uint64_t *)at = number;
		return true;
	}
	return false;
}

static int write_number(struct value *value, uint64_t number, struct kt_err *reterr)
{
	const struct kt_field *field = &value->field;
	uint8_t scratch[16] = { 0 };
	struct kt_field alone = *field;
	int r;

	/* Let kt_field_set() check on a scratch value that the number fits into the field. */
	alone.bit_offset = 0;
	r = kt_field_set(&alone, scratch, sizeof(scratch), number, reterr);
	if (r < 0)
		return r;
	if (field->bit_offset % 8 == 0 &&
	    store(value->data + field->bit_offset / 8, field->bits, number))
		return 0;
	return kt_field_set(field, value->data, value->info.value_size, number, reterr);
}

int kt_bpf_map_write_number(int fd, const struct kt_bpf_ref *ref, uint64_t value,
			    struct kt_err *reterr)
{
	KT_CLEANUP(value_deinit) struct value place = { .fd = -1 };
	int r = prepare_to_write(&place, fd, ref, reterr) ?:
		write_number(&place, value, reterr) ?: write_back(&place, reterr);

	return about(ref, r, reterr);
}

/* Bytes must fill the field exactly: a wrong @len is an error in the test. */
static int check_len(const struct value *value, size_t len, struct kt_err *reterr)
{
	if (value->field.bit_offset % 8 || value->field.bits % 8)
		return kt_err_set(reterr, -EINVAL, "a bit field can only be accessed as a number");
	if (value->field.bits != (uint64_t)len * 8)
		return kt_err_set(reterr, -EINVAL, "the field has %" PRIu64 " bytes, not %zu",
				  value->field.bits / 8, len);
	return 0;
}

int kt_bpf_map_read_bytes(int fd, const struct kt_bpf_ref *ref, void *data, size_t len,
			  struct kt_err *reterr)
{
	KT_CLEANUP(value_deinit) struct value value = { .fd = -1 };
	int r = value_init(&value, fd, ref, reterr);

	if (r >= 0)
		r = check_len(&value, len, reterr);
	if (r == 0)
		memcpy(data, value.data + value.field.bit_offset / 8, len);
	return about(ref, r, reterr);
}

int kt_bpf_map_write_bytes(int fd, const struct kt_bpf_ref *ref, const void *data, size_t len,
			   struct kt_err *reterr)
{
	KT_CLEANUP(value_deinit) struct value value = { .fd = -1 };
	int r = prepare_to_write(&value, fd, ref, reterr) ?: check_len(&value, len, reterr);

	if (r == 0) {
		memcpy(value.data + value.field.bit_offset / 8, data, len);
		r = write_back(&value, reterr);
	}
	return about(ref, r, reterr);
}
