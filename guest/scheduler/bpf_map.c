/* SPDX-License-Identifier: MIT */
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

#define NAMES_MAX 300u

/* ---- which map ---------------------------------------------------------------------------------- */

static void add_name(char names[NAMES_MAX], const char *name)
{
	size_t len = strlen(names);

	/* Once each; the kernel's own have none. */
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

/* Maps may go while they are being looked at. */
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

/* ---- a value ------------------------------------------------------------------------------------ */

/* One value of a map, and where the field is in it. */
struct value {
	int fd;
	struct bpf_map_info info;
	struct btf *btf;
	struct kt_field field;
	uint8_t key[64];
	uint8_t *data; /* of this value: in the map itself, or a copy */
	void *mapping; /* NULL: it is a copy */
	size_t mapping_len;
	uint8_t *copy; /* of a per-CPU map, those of all CPUs */
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

static int check_type(const struct value *value, const struct kt_bpf_ref *ref,
		      struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;
	int cpus = libbpf_num_possible_cpus();

	if (!is_array(info) && !is_per_cpu(info) && info->type != BPF_MAP_TYPE_HASH &&
	    info->type != BPF_MAP_TYPE_LRU_HASH)
		return kt_err_set(reterr, -ENOTSUP, "it is a map of type %s, no array and no hash",
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

/* What the map's maker has said of its value; else all of it is a number, if it is small enough. */
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

static size_t round_up(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* .bss and .data are pages that the BPF program sees too. */
static int map_value(struct value *value, uint64_t index, struct kt_err *reterr)
{
	const struct bpf_map_info *info = &value->info;
	size_t stride = round_up(info->value_size), page = (size_t)sysconf(_SC_PAGESIZE);
	bool frozen;

	value->mapping_len = (stride * info->max_entries + page - 1) / page * page;
	value->mapping =
		mmap(NULL, value->mapping_len, PROT_READ | PROT_WRITE, MAP_SHARED, value->fd, 0);
	frozen = value->mapping == MAP_FAILED && errno == EPERM;
	if (frozen) /* .rodata: only reading is left */
		value->mapping =
			mmap(NULL, value->mapping_len, PROT_READ, MAP_SHARED, value->fd, 0);
	if (value->mapping == MAP_FAILED) {
		value->mapping = NULL;
		return kt_err_set(reterr, -errno, "mapping it: %m");
	}
	value->data = (uint8_t *)value->mapping + index * stride;
	return frozen;
}

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

/* 1: it cannot be written. -ENOENT: a hash has no such key. */
static int value_init(struct value *value, int fd, const struct kt_bpf_ref *ref,
		      struct kt_err *reterr)
{
	int r;

	*value = (struct value){ .fd = fd };
	memcpy(value->key, &ref->key, sizeof(ref->key)); /* little endian: any shorter key too */
	r = get_info(fd, &value->info, reterr) ?: check_type(value, ref, reterr) ?:
	    find_field(value, ref, reterr);
	if (r < 0)
		return r;
	return value->info.map_flags & BPF_F_MMAPABLE ? map_value(value, ref->key, reterr)
						      : copy_value(value, ref, reterr);
}

/* A hash gets a new key with zeroes around the field. */
static int prepare_to_write(struct value *value, int fd, const struct kt_bpf_ref *ref,
			    struct kt_err *reterr)
{
	int r = value_init(value, fd, ref, reterr);

	if (r == 1)
		return kt_err_set(reterr, -EPERM, "it is read-only since its program was loaded");
	return r == -ENOENT && value->copy ? 0 : r;
}

static int write_back(const struct value *value, struct kt_err *reterr)
{
	if (value->mapping || bpf_map_update_elem(value->fd, value->key, value->copy, BPF_ANY) == 0)
		return 0;
	return kt_err_set(reterr, -errno, "writing it: %m");
}

static int about(const struct kt_bpf_ref *ref, int r, struct kt_err *reterr)
{
	return r < 0 ? kt_err_prefix(reterr, r, "BPF map '%s'", ref->map) : 0;
}

/* ---- numbers and bytes -------------------------------------------------------------------------- */

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

/* In one store where the CPU can: the program at the other side sees the old number or the new one. */
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

	/* Whether it fits is the field's business, wherever it lies. */
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

static int check_len(const struct value *value, size_t len, struct kt_err *reterr)
{
	if (value->field.bit_offset % 8 || value->field.bits % 8)
		return kt_err_set(reterr, -EINVAL, "a bit field is no bytes; it is a number");
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
