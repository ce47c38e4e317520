/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The RAM of a guest, whatever holds it: a machine, or a file that was saved of one. Everything in
 * vmm/inspect/ reads through this interface, so that it works on a live guest and on a dump alike.
 *
 * Addresses are guest-physical. They come from the guest and are hostile: an access outside the RAM
 * is -EFAULT with an error that names the address. Functions that return int return 0 or a negative
 * errno.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/mem.h"

struct kt_ram;

/* A contiguous range of guest-physical addresses. */
struct kt_ram_range {
	uint64_t gpa;
	uint64_t len; /* bytes; not 0 */
};

/* What a source of RAM implements. */
struct kt_ram_ops {
	const char *name; /* "machine", "core", "raw" */
	/*
	 * Copy the pieces. All are checked against the RAM before the first byte is copied. @write
	 * may be NULL.
	 */
	int (*read)(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		    struct kt_err *reterr);
	int (*write)(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		     struct kt_err *reterr);
	/* The address in this process of bytes that it shares with the guest. May be NULL. */
	void *(*pointer)(struct kt_ram *ram, uint64_t gpa, size_t len);
	/*
	 * The first range at or above @gpa that may hold anything but zeroes; -ENXIO when there is
	 * none. What is left out need not be searched. May be NULL: all RAM is then such a range.
	 */
	int (*data)(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range);
	void (*close)(struct kt_ram *ram);
};

/* What a source embeds as the first member of its own struct. */
struct kt_ram {
	const struct kt_ram_ops *ops;
	size_t n_ranges;
	struct kt_ram_range *ranges; /* all RAM: sorted, disjoint */
	/* VMCOREINFO as a dump's note gives it, with a NUL behind it; NULL: only the RAM has it. */
	char *vmcoreinfo;
};

/* The RAM of a machine. @mem is borrowed and must outlive it. -ENOMEM. */
int kt_ram_open_mem(const struct kt_mem *mem, struct kt_ram **ret_ram, struct kt_err *reterr);

/*
 * The RAM in a file: an ELF core (QEMU's dump-guest-memory, /proc/vmcore), or all bytes of a
 * guest's RAM one behind the other, as a template has them (kt_mem_layout() says where they lie).
 * -ENOTSUP for a dump in another format, which the error names.
 */
int kt_ram_open_file(const char *path, bool writable, struct kt_ram **ret_ram,
		     struct kt_err *reterr);

/* Returns NULL, to be stored back. NULL is allowed. */
struct kt_ram *kt_ram_close(struct kt_ram *ram);

/* Copy the pieces; nothing is copied when one of them is not RAM. */
int kt_ram_readv(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		 struct kt_err *reterr);
/* -EROFS where the source cannot be written. */
int kt_ram_writev(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		  struct kt_err *reterr);

/* One piece. */
int kt_ram_read(struct kt_ram *ram, uint64_t gpa, void *to, size_t len, struct kt_err *reterr);
int kt_ram_write(struct kt_ram *ram, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr);

/* Returns true when all @len bytes from @gpa on are RAM. */
bool kt_ram_has(const struct kt_ram *ram, uint64_t gpa, uint64_t len);

/*
 * Returns where this process has the bytes mapped that the guest itself uses, NULL when it has not:
 * after a copy-on-write restore the RAM is private to the machine's process. An atomic operation
 * on them is atomic for the guest, too.
 */
void *kt_ram_pointer(struct kt_ram *ram, uint64_t gpa, size_t len);

/* See struct kt_ram_ops. */
int kt_ram_data(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range);
