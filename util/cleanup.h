/* SPDX-License-Identifier: MIT */
#pragma once
/* Scope-bound ownership: a variable with KT_CLEANUP() frees what it holds when it goes out of
 * scope. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KT_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Takes the value out of @p and leaves NULL there: the hand-over of ownership. */
#define kt_steal(p)                                                                                \
	({                                                                                         \
		__typeof__(p) kt_stolen_ = (p);                                                    \
		(p) = NULL;                                                                        \
		kt_stolen_;                                                                        \
	})

/* Takes the descriptor out of @fd and leaves -1 there. */
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

/* Closes @fd unless it is negative; always returns -1, to be stored back. */
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

#define KT_FREE  KT_CLEANUP(kt_freep)
#define KT_CLOSE KT_CLEANUP(kt_closep)
