/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * struct sched_attr of sched_setattr(2), for files that also include <sched.h>.
 *
 * Both headers can define struct sched_param: <sched.h> always does, and so does
 * <linux/sched/types.h> of older kernels, for example in Debian 12. The macro renames the kernel's
 * definition. glibc 2.41 does the same in its own headers.
 */

#define sched_param kt_masked_sched_param
#include <linux/sched/types.h>
#undef sched_param
