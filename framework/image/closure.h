/* SPDX-License-Identifier: MIT */
#pragma once
/* The shared libraries that a program needs, found by the rules of the dynamic loader. */

#include <stddef.h>

#include "util/err.h"

/* A library or program interpreter. The strings are owned. */
struct kt_closure_file {
	char *host;  /* path of the file on the host */
	char *guest; /* path at which the guest's dynamic loader looks for it */
	char *name;  /* soname, or the path of a program interpreter */
};

/* What one or more programs need, each file once. */
struct kt_closure {
	struct kt_closure_file *files;
	size_t n;
};

#define KT_CLOSURE_NULL ((struct kt_closure){ .n = 0 })

void kt_closure_deinit(struct kt_closure *closure);

/*
 * Adds the libraries that the ELF file @program needs, directly or through others, and its program
 * interpreter to *@closure; not @program itself. @guest_dir is the directory in the guest in which
 * the program will be, for $ORIGIN.
 *
 * Places are searched in the order of ld.so(8): DT_RPATH of the object and of the objects that
 * loaded it (unless the object has DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH, /etc/ld.so.cache, the
 * default directories. In the guest, a library that was found by a run path keeps its path; every
 * other one is placed in the directory of libc, where the guest's loader looks by default.
 *
 * Where libc is needed, libgcc_s comes along if the host has it: glibc loads it when a thread is
 * cancelled.
 *
 * -ENOENT when a library is missing; the error names it and the file that needs it. -ENOEXEC when
 * a file is not an x86-64 program or library. After a failure *@closure may have some of the files.
 */
int kt_closure_add(struct kt_closure *closure, const char *program, const char *guest_dir,
		   struct kt_err *reterr);
