/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/near.h"
#include "vmm/inspect/state.h"

/*
 * Access to a kernel that bootstrap.c has found: its memory by address, its symbols, and the memory
 * of its CPUs. All of it goes through the address space (space.c), which checks each address;
 * nothing here trusts a length from the guest.
 */

const struct kt_inspect_facts *kt_inspect_facts(const struct kt_inspect *inspect)
{
	return &inspect->facts;
}

void kt_inspect_refresh(struct kt_inspect *inspect)
{
	kt_space_refresh(&inspect->space);
}

/* ---- Memory ---- */

int kt_inspect_readv(struct kt_inspect *inspect, const struct kt_inspect_piece *pieces, size_t n,
		     struct kt_err *reterr)
{
	return kt_space_readv(&inspect->space, pieces, n, reterr);
}

int kt_inspect_writev(struct kt_inspect *inspect, const struct kt_inspect_piece *pieces, size_t n,
		      struct kt_err *reterr)
{
	return kt_space_writev(&inspect->space, pieces, n, reterr);
}

int kt_inspect_read(struct kt_inspect *inspect, uint64_t kva, void *to, size_t len,
		    struct kt_err *reterr)
{
	return kt_inspect_readv(inspect, &(struct kt_inspect_piece){ kva, to, len }, 1, reterr);
}

int kt_inspect_write(struct kt_inspect *inspect, uint64_t kva, const void *from, size_t len,
		     struct kt_err *reterr)
{
	return kt_inspect_writev(inspect, &(struct kt_inspect_piece){ kva, (void *)from, len }, 1,
				 reterr);
}

int kt_inspect_read_uint(struct kt_inspect *inspect, uint64_t kva, size_t len, uint64_t *ret_value,
			 struct kt_err *reterr)
{
	uint64_t value = 0;
	int r;

	if (len != 1 && len != 2 && len != 4 && len != 8)
		return kt_err_set(reterr, -EINVAL, "no number has %zu bytes", len);
	r = kt_inspect_read(inspect, kva, &value, len, reterr);
	if (r == 0)
		*ret_value = value;
	return r;
}

/* Reads as far as memory is contiguous, so that a text before an unmapped page can be read. */
int kt_inspect_read_text(struct kt_inspect *inspect, uint64_t kva, char *to, size_t room,
			 struct kt_err *reterr)
{
	size_t at = 0;

	while (at + 1 < room) {
		uint64_t gpa, len, n;
		int r = kt_inspect_translate(inspect, kva + at, &gpa, &len, reterr);

		if (r < 0)
			return r;
		len = KT_MIN(len, KT_SPACE_PAGE - (kva + at) % KT_SPACE_PAGE);
		n = KT_MIN(len, room - 1 - at);
		r = kt_ram_read(inspect->ram, gpa, to + at, n, reterr);
		if (r < 0)
			return r;
		if (memchr(to + at, 0, n))
			return 0;
		at += n;
	}
	to[at] = 0;
	return 0;
}

int kt_inspect_translate(struct kt_inspect *inspect, uint64_t kva, uint64_t *ret_gpa,
			 uint64_t *ret_len, struct kt_err *reterr)
{
	return kt_space_translate(&inspect->space, kva, ret_gpa, ret_len, reterr);
}

void *kt_inspect_pointer(struct kt_inspect *inspect, uint64_t kva, size_t len)
{
	uint64_t gpa, there;

	if (kt_inspect_translate(inspect, kva, &gpa, &there, NULL) < 0 || there < len)
		return NULL;
	return kt_ram_pointer(inspect->ram, gpa, len);
}

bool kt_inspect_is_kernel(const struct kt_inspect *inspect, uint64_t kva)
{
	return kt_space_is_kernel(&inspect->space, kva);
}

int kt_inspect_direct(struct kt_inspect *inspect, uint64_t gpa, uint64_t *ret_kva,
		      struct kt_err *reterr)
{
	if (!kt_ram_has(inspect->ram, gpa, 1))
		return kt_err_set(reterr, -EFAULT, "physical address 0x%" PRIx64 " is not RAM",
				  gpa);
	*ret_kva = inspect->space.page_offset + gpa;
	return 0;
}

/* ---- Symbols and CPUs ---- */

bool kt_inspect_has_symbol(struct kt_inspect *inspect, const char *name, uint64_t *ret_kva)
{
	uint64_t kva;

	return kt_symbols_find(&inspect->symbols, name, ret_kva ? ret_kva : &kva);
}

int kt_inspect_symbol(struct kt_inspect *inspect, const char *name, uint64_t *ret_kva,
		      struct kt_err *reterr)
{
	struct kt_near near;
	char text[256];

	if (kt_symbols_find(&inspect->symbols, name, ret_kva))
		return 0;
	if (!reterr)
		return -ENOENT; /* the search for other names takes time */
	kt_near_init(&near, name, strlen(name));
	for (size_t i = 0; i < inspect->symbols.n; i++)
		kt_near_offer(&near, kt_symbols_name(&inspect->symbols, i));
	return kt_err_set(reterr, -ENOENT, "kernel %s has no symbol '%s'%s", inspect->facts.release,
			  name, kt_near_text(&near, text, sizeof(text)));
}

const char *kt_inspect_symbol_at(struct kt_inspect *inspect, uint64_t kva, uint64_t *ret_offset)
{
	size_t i;

	if (kva < inspect->space.image || kva >= inspect->image_end ||
	    !kt_symbols_at(&inspect->symbols, kva, &i))
		return NULL;
	*ret_offset = kva - kt_symbols_address(&inspect->symbols, i);
	return kt_symbols_name(&inspect->symbols, i);
}

int kt_inspect_per_cpu(struct kt_inspect *inspect, uint64_t kva, unsigned int cpu,
		       uint64_t *ret_kva, struct kt_err *reterr)
{
	if (cpu >= inspect->facts.n_cpus)
		return kt_err_set(reterr, -ENOENT, "there is no CPU %u: the CPUs are 0 to %u", cpu,
				  inspect->facts.n_cpus - 1);
	*ret_kva = kva + inspect->per_cpu_offsets[cpu];
	return 0;
}

bool kt_inspect_is_per_cpu(const struct kt_inspect *inspect, uint64_t kva)
{
	return kva >= inspect->per_cpu_start && kva < inspect->per_cpu_end;
}
