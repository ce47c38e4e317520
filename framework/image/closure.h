/* SPDX-License-Identifier: MIT */
#pragma once
/* The shared libraries that a program needs, found as the dynamic loader finds them. */

#include <stddef.h>

#include "util/err.h"

/* One file of the closure. */
struct kt_closure_file {
	char *host;  /* where it is */
	char *guest; /* where the guest's dynamic loader will look for it */
	char *name;  /* soname, or the path of the program interpreter */
};

struct kt_closure {
	struct kt_closure_file *files;
	size_t n;
};

#define KT_CLOSURE_NULL ((struct kt_closure){ .n = 0 })

void kt_closure_deinit(struct kt_closure *closure);

/*
 * Adds what the ELF file @program needs, itself not included, to *@closure, each file once.
 * @guest_dir is the directory that it will lie in in the guest, for $ORIGIN.
 *
 * Rules of ld.so(8): DT_RPATH of the object and of those that loaded it (unless the object has
 * DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH, /etc/ld.so.cache, the default directories. A library
 * that is found by a run path keeps its place; others go beside libc, a default directory of the
 * guest's loader as of the host's. -ENOENT names a missing library and who needs it.
 */
int kt_closure_add(struct kt_closure *closure, const char *program, const char *guest_dir,
		   struct kt_err *reterr);
