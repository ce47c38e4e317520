/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The memory context of a machine: access to its guest's kernel (vmm/inspect/) that heals itself.
 *
 * A context attaches to a machine at any moment, also before the machine has started or its kernel
 * is there. That the kernel cannot be found yet is no error: the context says so once, and tries
 * again by a timer, each time later, until it succeeds. Then it publishes the kernel, once.
 *
 * Functions that return int return 0 or a negative errno.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/loop.h"
#include "vmm/inspect/inspect.h"
#include "vmm/mem.h"

struct kt_memctx;

#define KT_MEMCTX_WRITE_MAX 192u /* bytes of one kt_memctx_write() */

/* @loop, @source and @data are borrowed for the life of the context, @cache is copied. */
struct kt_memctx_config {
	/* Gives access to the RAM, as kt_machine_memory() does; may fail until there is some. */
	int (*memory)(void *source, struct kt_mem *ret_mem, struct kt_err *reterr);
	void *source;
	struct kt_loop *loop;    /* NULL: no timer; the owner calls kt_memctx_try() */
	const char *cache;       /* directory of symbols and types; NULL: none */
	unsigned int fail_boots; /* for tests: that many attempts fail before one is made */
	/* The kernel was found; called once, from the loop or kt_memctx_try(). May be NULL. */
	void (*published)(void *data, struct kt_inspect *inspect);
	/* One line about the first failure, before any success. May be NULL. */
	void (*note)(void *data, const char *line);
	void *data;
};

/* Makes a context. If there is a loop, its first attempt is made from there, at once. */
int kt_memctx_new(const struct kt_memctx_config *config, struct kt_memctx **ret_memctx);

/* Returns NULL, to be stored back. NULL is allowed. */
struct kt_memctx *kt_memctx_free(struct kt_memctx *memctx);

/* The kernel; NULL until it is published. Owned by the context. */
struct kt_inspect *kt_memctx_inspect(const struct kt_memctx *memctx);

/*
 * Makes an attempt now, unless one has succeeded; the timer goes on after a failure. For a caller
 * that knows that the kernel is there, because it answers.
 */
int kt_memctx_try(struct kt_memctx *memctx, struct kt_err *reterr);

/* How many attempts were made, and whether another one is due by the timer. */
unsigned int kt_memctx_attempts(const struct kt_memctx *memctx);
bool kt_memctx_is_waiting(const struct kt_memctx *memctx);

/*
 * Writes @len bytes to the kernel's address @kva, whole or not at all: -EMSGSIZE beyond
 * KT_MEMCTX_WRITE_MAX, -EAGAIN before the kernel is published.
 */
int kt_memctx_write(struct kt_memctx *memctx, uint64_t kva, const void *from, size_t len,
		    struct kt_err *reterr);

/*
 * The RAM for somebody who must not write it. kt_memctx_ram_fd() gives a descriptor that is only
 * good for reading, also when it is opened again (F_SEAL_FUTURE_WRITE), where the RAM is a memfd
 * that the guest shares; the caller closes it. A file with a name is protected by its permissions
 * alone. -ENOTSUP where the guest's RAM is private to its machine, as after a fork.
 *
 * kt_memctx_window() gives the same for all machines, as a struct kt_ram whose writes are -EROFS.
 * It is good as long as the context, and the caller closes it before.
 */
int kt_memctx_ram_fd(struct kt_memctx *memctx, int *ret_fd, struct kt_err *reterr);
int kt_memctx_window(struct kt_memctx *memctx, struct kt_ram **ret_ram, struct kt_err *reterr);

/* Whether this process shares the RAM with the guest, so that atomic operations reach it. */
bool kt_memctx_is_shared(const struct kt_memctx *memctx);
