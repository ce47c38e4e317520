/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Scope-bound ownership: a variable declared with KT_CLEANUP(), KT_FREE or KT_CLOSE releases what
 * it holds when it goes out of scope. kt_steal() hands the value on and disarms the variable.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* @fn is called with a pointer to the variable. */
#define KT_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Evaluates to the pointer in @p and leaves NULL there: ownership moves to the receiver. */
#define kt_steal(p)                                                                                \
	({                                                                                         \
		__typeof__(p) kt_stolen_ = (p);                                                    \
		(p) = NULL;                                                                        \
		kt_stolen_;                                                                        \
	})

/* Evaluates to the descriptor in @fd and leaves -1 there. */
#define kt_steal_fd(fd)                                                                            \
	({                                                                                         \
		int kt_stolen_ = (fd);                                                             \
		(fd) = -1;                                                                         \
		kt_stolen_;                                                                        \
	})

#define KT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KT_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define KT_MAX(a, b)    ((a) > (b) ? (a) : (b))

static inline void kt_freep(void *p)
{
	free(*(void **)p);
}

/* Closes @fd unless it is negative. Returns -1, for the caller to store: fd = kt_close(fd). */
static inline int kt_close(int fd)
{
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static inline void kt_closep(int *fd)
{
	*fd = kt_close(*fd);
}

static inline void kt_fclosep(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* The variable must be initialized: NULL for KT_FREE, -1 for KT_CLOSE. */
#define KT_FREE  KT_CLEANUP(kt_freep)
#define KT_CLOSE KT_CLEANUP(kt_closep)
