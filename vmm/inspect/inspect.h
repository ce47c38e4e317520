/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The kernel of a guest, seen from outside: memory by kernel virtual address, symbols, CPUs and
 * tasks. types.h adds types, path.h typed paths, render.h text and JSON.
 *
 * Nothing comes from the guest but its RAM. VMCOREINFO is found in it and leads to the page tables
 * and to kallsyms, the symbols lead to the BTF. Nothing depends on the kernel's version.
 *
 * Whether the guest runs or stands still is up to the caller: of a running guest, values that are
 * read one after the other need not fit together. Every address and length from the guest is
 * checked, and no walk is without a bound.
 *
 * One thread uses a struct kt_inspect. Functions that return int return 0 or a negative errno, with
 * a text for people:
 *	-EAGAIN   the kernel is not there yet: try again later (kt_inspect_open() only)
 *	-ENOENT   a name that this kernel does not have; the error says what there is instead
 *	-EINVAL   a malformed path, or an operation that does not fit the type
 *	-ENODATA  a pointer on the way is NULL
 *	-EFAULT   an address that is not mapped, or that is no RAM
 *	-ESRCH    no such task
 *	-ELOOP    a chain of pointers that does not end within the bound
 *	-EPROTO   memory that should hold a structure of the kernel and does not
 *	-ENOMEM
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/ram.h"

struct btf;
struct kt_inspect;

/*
 * Looks into the kernel whose memory @ram is; @ram is borrowed. @cache is a directory where symbols
 * and types of a kernel are kept by its build-id, NULL for none: finding them in the cache takes a
 * tenth of the time. A damaged cache is as good as none.
 *
 * -EAGAIN while the guest has not booted far enough, which is not an error of the guest. Any other
 * failure is final.
 */
int kt_inspect_open(struct kt_ram *ram, const char *cache, struct kt_inspect **ret_inspect,
		    struct kt_err *reterr);

/* Returns NULL, to be stored back. NULL is allowed. */
struct kt_inspect *kt_inspect_close(struct kt_inspect *inspect);

/* What was found on the way. */
struct kt_inspect_facts {
	char release[65];     /* of the kernel: uname -r */
	char build_id[41];    /* in hexadecimal */
	uint64_t kaslr;       /* bytes by which the image is moved */
	uint64_t phys_base;   /* physical address of START_KERNEL_map + x is phys_base + x */
	uint64_t page_offset; /* where the direct map begins */
	uint64_t root;        /* physical address of the page table of the highest level */
	unsigned int levels;  /* of page tables: 4 or 5 */
	unsigned int n_cpus;  /* possible CPUs: 0 .. n_cpus - 1 */
	size_t n_symbols;
	bool cached; /* symbols and types come from the cache */
};

const struct kt_inspect_facts *kt_inspect_facts(const struct kt_inspect *inspect);

/*
 * The translations of addresses and the memory of page tables are remembered. Call this whenever
 * the guest has run: it forgets those that can change. kt_inspect_open() begins with none.
 */
void kt_inspect_refresh(struct kt_inspect *inspect);

/* ---- Memory by kernel virtual address ---- */

/* One copy of a batch. */
struct kt_inspect_piece {
	uint64_t kva;
	void *data;
	size_t len;
};

/*
 * Copy @len bytes, over any page boundaries. A write lands whole or not at all: all addresses are
 * checked before the first byte is written. An aligned write of 1, 2, 4 or 8 bytes to memory that
 * this process shares with the guest is a single store.
 */
int kt_inspect_read(struct kt_inspect *inspect, uint64_t kva, void *to, size_t len,
		    struct kt_err *reterr);
int kt_inspect_write(struct kt_inspect *inspect, uint64_t kva, const void *from, size_t len,
		     struct kt_err *reterr);

/* The pieces with as few system calls as possible; all or nothing. */
int kt_inspect_readv(struct kt_inspect *inspect, const struct kt_inspect_piece *pieces, size_t n,
		     struct kt_err *reterr);
int kt_inspect_writev(struct kt_inspect *inspect, const struct kt_inspect_piece *pieces, size_t n,
		      struct kt_err *reterr);

/* A little-endian number of @len bytes: 1, 2, 4 or 8. */
int kt_inspect_read_uint(struct kt_inspect *inspect, uint64_t kva, size_t len, uint64_t *ret_value,
			 struct kt_err *reterr);

/* A text of at most @room - 1 bytes; it is cut there, and always has its NUL. */
int kt_inspect_read_text(struct kt_inspect *inspect, uint64_t kva, char *to, size_t room,
			 struct kt_err *reterr);

/* The physical address of a byte; *@ret_len is how many bytes follow it there, at least 1. */
int kt_inspect_translate(struct kt_inspect *inspect, uint64_t kva, uint64_t *ret_gpa,
			 uint64_t *ret_len, struct kt_err *reterr);

/*
 * Where this process has the @len bytes mapped that the guest itself uses; NULL when the RAM is
 * private to the machine's process, or the bytes do not lie in one page.
 */
void *kt_inspect_pointer(struct kt_inspect *inspect, uint64_t kva, size_t len);

/* Whether @kva is an address of the kernel at all: canonical, and in the upper half. */
bool kt_inspect_is_kernel(const struct kt_inspect *inspect, uint64_t kva);

/* The physical address of a page of the kernel as struct page has it, and back. */
int kt_inspect_direct(struct kt_inspect *inspect, uint64_t gpa, uint64_t *ret_kva,
		      struct kt_err *reterr);

/* ---- Symbols ---- */

/*
 * The address of a symbol of the kernel's image (not of modules). -ENOENT with names that are
 * close. Of several symbols with one name, the first.
 */
int kt_inspect_symbol(struct kt_inspect *inspect, const char *name, uint64_t *ret_kva,
		      struct kt_err *reterr);

/* As above without an error: returns false when there is none. */
bool kt_inspect_has_symbol(struct kt_inspect *inspect, const char *name, uint64_t *ret_kva);

/*
 * The symbol at or before @kva, whose name lives as long as @inspect; *@ret_offset is the distance.
 * NULL outside of the image.
 */
const char *kt_inspect_symbol_at(struct kt_inspect *inspect, uint64_t kva, uint64_t *ret_offset);

/* ---- CPUs and tasks ---- */

/* The address of @cpu's copy of per-CPU memory: of a per-CPU symbol, or of a __percpu pointer. */
int kt_inspect_per_cpu(struct kt_inspect *inspect, uint64_t kva, unsigned int cpu,
		       uint64_t *ret_kva, struct kt_err *reterr);

/* Whether @kva lies among the per-CPU variables of the image. */
bool kt_inspect_is_per_cpu(const struct kt_inspect *inspect, uint64_t kva);

/* The struct task_struct of a thread by its id in the initial pid namespace; 0 is init_task. */
int kt_inspect_task(struct kt_inspect *inspect, uint32_t pid, uint64_t *ret_kva,
		    struct kt_err *reterr);

/*
 * The entry at @index of the xarray @kva (struct xarray, or idr_rt of struct idr), 0 when there is
 * none. kt_inspect_xa_next() finds the first entry at or above *@index and stores its index;
 * -ENXIO without an error text when there is none. Values and internal entries are skipped.
 */
int kt_inspect_xa_load(struct kt_inspect *inspect, uint64_t kva, uint64_t index,
		       uint64_t *ret_entry, struct kt_err *reterr);
int kt_inspect_xa_next(struct kt_inspect *inspect, uint64_t kva, uint64_t *index,
		       uint64_t *ret_entry, struct kt_err *reterr);
