/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * struct sched_attr, which sched_setattr(2) takes, beside <sched.h>. The headers of older kernels, Debian 12's
 * among them, define struct sched_param along with it, which is <sched.h>'s; glibc 2.41 masks it like this too.
 */

#define sched_param kt_masked_sched_param
#include <linux/sched/types.h>
#undef sched_param
