/* SPDX-License-Identifier: MIT */
#pragma once
/* The limit of the guest's time, which the guest sets with KT_HOSTCALL_LIMIT. */

#include <stdbool.h>
#include <stdint.h>

/* @alarm is a pipe, which gets a byte when the limit is reached. */
void kt_limit_init(int alarm);

/* In @ns of virtual time from the end of this block on; 0: never. Returns 0 or -ERANGE. */
int kt_limit_set(uint64_t ns);

/* The guest's time is over. */
bool kt_limit_is_reached(void);

/* To be called in each block of instructions. A guest whose time is over does not get on. */
void kt_limit_on_block(void);
